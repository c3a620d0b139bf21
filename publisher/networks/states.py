# SPDX-License-Identifier: Apache-2.0
"""A network's state as a member reads it, and the body of the document that follows. It asks nobody."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.content import NetworkContent, ReadState, read_content
from trustedpods.protocol.networks.documents import Document
from trustedpods.protocol.networks.member_keys import member_key
from trustedpods.protocol.networks.members import (
    MemberCard,
    MemberChange,
    NetworkName,
    Role,
    Roster,
    no_members,
    sign_card,
    sign_change,
)
from trustedpods.protocol.networks.migrations import SCHEMA
from trustedpods.protocol.networks.sealed_documents import (
    SealedBody,
    open_body,
    parse_body,
    seal_body,
    verified,
)
from trustedpods.publisher.market.session import Publisher


@dataclass(frozen=True, slots=True)
class NetworkState:
    """What a document says to a member who opened it; `read.writable()` is the content to be changed."""

    network: NetworkName
    document: Document
    body: SealedBody
    roster: Roster
    read: ReadState

    @property
    def cards(self) -> Sequence[MemberCard]:
        """The members' cards."""
        return self.body.cards


def read_state(publisher: Publisher, network: NetworkName, document: Document) -> NetworkState:
    """The state in *document*: its members and its writer verified, opened with *publisher*'s key.

    Refused where that does not hold (rules `members`, `writer`, `network`) or for one who is no member
    (rule `role`); RemoteProtocolError for what is no document.
    """
    body = parse_body(document.body)
    roster = verified(body)
    if body.network != network or body.generation != document.generation:
        raise RemoteProtocolError(f"a cluster gave generation {body.generation} of {body.network}")
    read = read_content(open_body(body, publisher.address, member_key(publisher.secret)))
    if read.schema_version != body.schema_version or read.content.metadata.name != network.name:
        raise RemoteProtocolError(f"the state of {network} is not what stands beside it in clear")
    return NetworkState(network, document, body, roster, read)


def own_card(publisher: Publisher) -> MemberCard:
    """What an owner needs to let *publisher* in."""
    return sign_card(publisher.key, member_key(publisher.secret).public_bytes)


def first_body(publisher: Publisher, network: NetworkName, content: NetworkContent, at: int) -> bytes:
    """The body of generation 1, by the founder, who is its one owner; *at* is Unix seconds."""
    card = own_card(publisher)
    founding = sign_change(
        publisher.key,
        no_members(network),
        "found",
        at=at,
        role=Role.OWNER,
        member=card.member,
        subject=hashlib.sha256(card.key).digest(),
    )
    return _sealed(publisher, network, 1, content, at, [founding], [card])


def next_body(
    publisher: Publisher,
    state: NetworkState,
    content: NetworkContent,
    *,
    at: int,
    changes: Sequence[MemberChange] | None = None,
    cards: Sequence[MemberCard] = (),
) -> bytes:
    """The body that follows *state*: *content*, changed *at* (Unix seconds) by *publisher*.

    *changes* is the whole chain where members change, *cards* what it needs beside the present ones.
    Refused (rule `schema`) where *state* is newer than this version writes.
    """
    if state.read.schema_version > SCHEMA:
        state.read.writable()
    chain = state.body.changes if changes is None else changes
    known = [*state.cards, *cards]
    return _sealed(publisher, state.network, state.document.generation + 1, content, at, chain, known)


def first_again(publisher: Publisher, backed_up: NetworkState, content: NetworkContent, at: int) -> bytes:
    """The body of generation 1 with the members of *backed_up*: for clusters that keep nothing any more."""
    chain, cards = backed_up.body.changes, backed_up.cards
    return _sealed(publisher, backed_up.network, 1, content, at, chain, cards)


def _sealed(
    publisher: Publisher,
    network: NetworkName,
    generation: int,
    content: NetworkContent,
    at: int,
    changes: Sequence[MemberChange],
    cards: Sequence[MemberCard],
) -> bytes:
    stamp = {"name": network.name, "updated_at": at, "updated_by": address_bytes(publisher.address)}
    stamped = content.model_copy(update={"metadata": content.metadata.model_copy(update=stamp)})
    return seal_body(publisher.key, network, generation, SCHEMA, changes, cards, encode(stamped))

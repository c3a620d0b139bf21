# SPDX-License-Identifier: Apache-2.0
"""A network's state as a member reads it from a document, and the next document as a member writes it.

What comes from a cluster is believed only after its chain of members and its writer's signature held.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.content import (
    NetworkCluster,
    NetworkContent,
    ReadState,
    StateMetadata,
    read_content,
)
from trustedpods.protocol.networks.documents import Document, check_epoch, later_epoch
from trustedpods.protocol.networks.member_keys import member_key
from trustedpods.protocol.networks.members import (
    MemberCard,
    MemberChange,
    NetworkName,
    Role,
    Roster,
    lost_digest,
    no_members,
    roster_of,
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

UNREADABLE = "unreadable"
"""The rule of a state that its writer signed, and that is none."""

_WAY_OUT = (
    "an owner lets a backup follow it: `trustedpods state restore NAME FILE --go-back`, all clusters named"
)


@dataclass(frozen=True, slots=True)
class MemberView:
    """One document, verified and opened: the team, the state, and the body that both stand in."""

    network: NetworkName
    document: Document
    body: SealedBody
    roster: Roster
    read: ReadState

    @property
    def content(self) -> NetworkContent:
        """The state, to be read. `read.writable()` is the one to be changed."""
        return self.read.content


def own_card(publisher: Publisher) -> MemberCard:
    """The publisher's card, which an owner needs to let him in: it comes from the key alone."""
    return sign_card(publisher.key, member_key(publisher.secret).public_bytes)


def read_state(publisher: Publisher, network: NetworkName, document: Document) -> MemberView:
    """What *document* says to this member.

    Raises Refused (rules `role`, `members`, `writer`) for one that is not sealed to us, not signed by who
    may, or has a cluster for lost without an owner's word; RemoteProtocolError for what is none of this
    network, and (rule `unreadable`) for what is no state though it was signed.
    """
    body = parse_body(document.body)
    if body.network != network or body.generation != document.generation:
        raise RemoteProtocolError(
            f"a document of {body.network}, generation {body.generation}, "
            f"stands for {network}, generation {document.generation}"
        )
    roster = verified(body)
    try:
        read = _opened(publisher, body)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(error.what, rule=UNREADABLE, hint=_WAY_OUT) from error
    _check_lost(roster, read.content)
    return MemberView(network, document, body, roster, _in_clear_epoch(read, body.epoch))


def _opened(publisher: Publisher, body: SealedBody) -> ReadState:
    read = read_content(open_body(body, publisher.address, member_key(publisher.secret)))
    if read.schema_version != body.schema_version or read.content.metadata.name != body.name:
        raise RemoteProtocolError(f"the state of {body.network} is not what stands beside it in clear")
    return read


def _in_clear_epoch(read: ReadState, epoch: int | None) -> ReadState:
    """The state in the epoch that daemons let pass: only its writer bounded what stands sealed."""
    if epoch is None:
        return read
    metadata = read.content.metadata.model_copy(update={"epoch": epoch})
    return replace(read, content=read.content.model_copy(update={"metadata": metadata}))


def _check_lost(roster: Roster, content: NetworkContent) -> None:
    """Refused (rule `members`) where a cluster is lost by no owner's word: daemons cannot see that."""
    for cluster in content.clusters:
        if cluster.lost is None:
            continue
        name, reason = cluster.name, cluster.lost.reason
        if lost_digest(name, cluster.owner, cluster.daemon, reason) not in roster.lost:
            raise Refused(
                f"cluster {cluster.name} stands as lost in {roster.network}, and no owner declared it so",
                rule="members",
                hint=_WAY_OUT,
            )


def first_content(
    publisher: Publisher, network: NetworkName, clusters: Sequence[NetworkCluster]
) -> NetworkContent:
    """The state of a network of which nothing is known yet. Its nodes may run: others may have lost it."""
    now = int(time.time())
    metadata = StateMetadata(
        name=network.name, updated_at=now, updated_by=address_bytes(publisher.address), epoch=now
    )
    return NetworkContent(metadata=metadata, clusters=sorted(clusters, key=lambda one: one.name))


def founded_body(publisher: Publisher, network: NetworkName, content: NetworkContent) -> bytes:
    """The body of a network's first document, with that *content*: its founder alone is a member."""
    card = own_card(publisher)
    founded = sign_change(
        publisher.key,
        no_members(network),
        "found",
        at=int(time.time()),
        role=Role.OWNER,
        member=card.member,
        subject=hashlib.sha256(card.key).digest(),
    )
    return _sealed(publisher, network, 1, [founded], [card], content)


def first_again(publisher: Publisher, backed_up: MemberView, content: NetworkContent) -> bytes:
    """The body of generation 1 with the team of *backed_up*: for clusters that keep nothing any more."""
    body = backed_up.body
    return _sealed(publisher, backed_up.network, 1, body.changes, body.cards, content)


def in_new_epoch(content: NetworkContent, *others: NetworkContent) -> NetworkContent:
    """*content* in an epoch that is later than its own and those of *others*: generations may count anew.

    Nodes have books of documents that nobody has any more, so the clock goes first. An absurd epoch of
    theirs counts as none: what is begun is sane again.
    """
    known = [one.metadata.epoch for one in (content, *others)]
    metadata = content.metadata.model_copy(update={"epoch": later_epoch(known, int(time.time()))})
    return content.model_copy(update={"metadata": metadata})


def body_over(publisher: Publisher, saved: MemberView, present: SealedBody, content: NetworkContent) -> bytes:
    """The body that follows *present*, whose content nobody can read: its team, which stands in clear, stays.

    *saved* may have cards that are missing.
    """
    cards = [*present.cards, *saved.body.cards]
    return _sealed(publisher, saved.network, present.generation + 1, present.changes, cards, content)


def next_body(
    publisher: Publisher,
    view: MemberView,
    content: NetworkContent,
    changes: Sequence[MemberChange] = (),
    cards: Sequence[MemberCard] = (),
) -> bytes:
    """The body that follows *view*: *content* stamped, sealed to the team after *changes*.

    *cards* are those of members who are new. BadInput where one is missing or the state is too large,
    Refused (rule `schema`) where a newer client wrote *view*, or an older one and *content* does not say
    that it was migrated; (rule `epoch`) for an epoch that may not follow, as daemons refuse it.
    """
    for before in (None, view.content.metadata.epoch):
        check_epoch(before, content.metadata.epoch, int(time.time()))
    if content.metadata.migration == view.content.metadata.migration or view.read.schema_version > SCHEMA:
        view.read.writable()
    chain = [*view.body.changes, *changes]
    known = [*view.body.cards, *cards]
    return _sealed(publisher, view.network, view.document.generation + 1, chain, known, content)


def _sealed(
    publisher: Publisher,
    network: NetworkName,
    generation: int,
    changes: Sequence[MemberChange],
    cards: Sequence[MemberCard],
    content: NetworkContent,
) -> bytes:
    _check_lost(roster_of(network, changes, verify=False), content)
    stamp = {"updated_at": int(time.time()), "updated_by": address_bytes(publisher.address)}
    stamped = content.model_copy(update={"metadata": content.metadata.model_copy(update=stamp)})
    try:
        checked = NetworkContent.model_validate(stamped.model_dump())
    except ValueError as error:  # a model copy is not checked by itself
        raise BadInput(f"the state of {network} cannot be written: {error}") from None
    epoch, sealed = checked.metadata.epoch, encode(checked)
    return seal_body(publisher.key, network, generation, SCHEMA, changes, cards, sealed, epoch=epoch)

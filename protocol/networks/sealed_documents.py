# SPDX-License-Identifier: Apache-2.0
"""The body of a network's document: sealed to the team, beside the team in clear.

Every generation has a content key of its own, sealed to each present member; so who was taken out
opens nothing that is written later, without anything more to do. A writer signs the whole: members'
keys are public, and a provider could otherwise seal a state of its own to the team. What is checked
here is checked by daemons before they take a write and by clients before they believe a copy.
"""

import hashlib
import os
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError
from trustedpods.protocol.ids import Address, address_bytes, address_from_bytes
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.messages.base import U32, U64, Bytes20, Message
from trustedpods.protocol.networks.documents import Document, check_epoch
from trustedpods.protocol.networks.members import (
    MAX_CHANGES,
    MAX_MEMBERS,
    MemberCard,
    MemberChange,
    NetworkName,
    Role,
    Roster,
    Signature,
    changed,
    check_card,
    network_salt,
    roster_of,
)
from trustedpods.protocol.networks.names import Name
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.signatures import SIGNATURE_BYTES, sign_statement, statement_signer

MAX_BODY: Final = 384 * KIB
"""Two of them, the current one and the pending, leave room in the 1 MiB of a Kubernetes Secret."""

MAX_CONTENT: Final = 224 * KIB
"""Of the state itself: a body less 256 changes of members and 32 members' cards and keys."""

_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_NONCE: Final = bytes(12)
"""A content key seals one content, once."""

_CONTEXT_TAG: Final = b"trusted-pods/network-document/v1\0"


class SealedKey(Message):
    """The content key of one generation, sealed to one member."""

    member: Bytes20
    sealed: Annotated[
        bytes, Field(min_length=_KEY_BYTES + hpke.OVERHEAD, max_length=_KEY_BYTES + hpke.OVERHEAD)
    ]


class SealedBody(Message):
    """One generation of a network's state. `cards` and `keys` are one for each member, by address.

    `schema_version` is that of the sealed content, in clear: a daemon refuses a lower one than it
    has, and an older client learns why it must not write. `epoch` is in clear, and alone counts, so that a
    daemon bounds it; None where an earlier version wrote the body, whose signature is over no epoch.
    """

    kind: Literal["network-document"] = "network-document"
    founder: Bytes20
    name: Name
    generation: U64
    schema_version: Annotated[U32, Field(ge=1)]
    epoch: U64 | None = None
    changes: Annotated[list[MemberChange], Field(min_length=1, max_length=MAX_CHANGES)]
    cards: Annotated[list[MemberCard], Field(min_length=1, max_length=MAX_MEMBERS)]
    keys: Annotated[list[SealedKey], Field(min_length=1, max_length=MAX_MEMBERS)]
    sealed: Annotated[bytes, Field(min_length=_TAG_BYTES, max_length=MAX_CONTENT + _TAG_BYTES)]
    writer: Bytes20
    signature: Signature

    @property
    def network(self) -> NetworkName:
        """Which network it is of."""
        return NetworkName(address_from_bytes(self.founder), self.name)

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        return {name: value for name, value in fields.items() if (name, value) != ("epoch", None)}


def seal_body(
    private_key: bytes,
    network: NetworkName,
    generation: int,
    schema_version: int,
    changes: Sequence[MemberChange],
    cards: Sequence[MemberCard],
    content: bytes,
    *,
    epoch: int | None,
) -> bytes:
    """The body of the next document: *content* sealed to the team that *changes* make, and signed.

    *epoch* is that of *content*; None as an earlier version wrote it. *cards* may hold more than the
    members'. BadInput where a card is missing or *content* is too large.
    """
    roster = roster_of(network, changes, verify=False)
    if len(content) > MAX_CONTENT:
        raise BadInput(f"the state of {network} would have {len(content)} bytes, more than {MAX_CONTENT}")
    key = os.urandom(_KEY_BYTES)
    context = _context(network, generation)
    present = _present_cards(roster, cards)
    unsigned = SealedBody(
        founder=address_bytes(network.founder),
        name=network.name,
        generation=generation,
        schema_version=schema_version,
        epoch=epoch,
        changes=list(changes),
        cards=present,
        keys=[
            SealedKey(member=card.member, sealed=hpke.seal(card.key, key, context + card.member))
            for card in present
        ],
        sealed=AESGCM(key).encrypt(_NONCE, content, context),
        writer=bytes(20),
        signature=bytes(SIGNATURE_BYTES),
    )
    writer, signature = sign_statement(private_key, lambda address: _signed_text(unsigned, address))
    body = encode(unsigned.model_copy(update={"writer": address_bytes(writer), "signature": signature}))
    if len(body) > MAX_BODY:
        raise BadInput(f"the document of {network} would have {len(body)} bytes, more than {MAX_BODY}")
    return body


def parse_body(body: bytes) -> SealedBody:
    """The parts of a body. RemoteProtocolError where it is none or too large; nothing is verified."""
    if len(body) > MAX_BODY:
        raise RemoteProtocolError(f"a network's document of {len(body)} bytes is over {MAX_BODY}")
    parsed = decode(body, SealedBody)
    if encode(parsed) != body:
        raise RemoteProtocolError("a network's document is not in the one form that its bytes may have")
    return parsed


def open_body(body: SealedBody, who: Address, key: hpke.PrivateKey) -> bytes:
    """The content, for the member *who*. Refused (rule `role`) for one to whom it is not sealed."""
    mine = next((each for each in body.keys if each.member == address_bytes(who)), None)
    if mine is None:
        raise Refused(f"{who} is no member of {body.network}", rule="role")
    context = _context(body.network, body.generation)
    content_key = key.open(mine.sealed, context + mine.member)
    try:
        return AESGCM(content_key).decrypt(_NONCE, body.sealed, context)
    except (InvalidTag, ValueError):
        raise RemoteProtocolError(f"the state of {body.network} does not open", rule="sealed") from None


def verified(body: SealedBody, known: SealedBody | None = None) -> Roster:
    """The team of *body*, whose chain, cards and writer hold. *known* is an earlier one that held.

    Refused (rule `members`), or (rule `writer`) where nobody signed who may write: so nobody can take
    out or demote himself, another owner does that.
    """
    network = body.network
    if known is None:
        roster = roster_of(network, body.changes)
    else:
        old = len(known.changes)
        if body.network != known.network or body.changes[:old] != known.changes:
            raise Refused(f"it forgets changes of the members of {network}", rule="members")
        roster = roster_of(network, known.changes, verify=False)
        for change in body.changes[old:]:
            roster = changed(roster, change)
    _check_cards(body, roster, [] if known is None else known.cards)
    writer = address_from_bytes(body.writer)
    role = roster.role(writer)
    if role is None or not role.writes:
        raise Refused(f"{writer}, who wrote the state of {network}, is no operator of it", rule="writer")
    if statement_signer(_signed_text(body, writer), body.signature) != writer:
        raise Refused(f"the state of {network} is not signed by {writer}", rule="writer")
    return roster


def check_write(
    founder: Address, salt: bytes, base: Document, document: Document, signer: Address, now: int
) -> None:
    """Whether *signer* may let *document* follow *base*; what a daemon asks before it takes a write.

    *signer* need not have written it: whoever holds the leases next rolls forward what another began. *now*
    is the daemon's clock, in Unix seconds.

    Refused, with the rule that failed (`network`, `generation`, `role`, `members`, `schema`,
    `writer`, `epoch`), or RemoteProtocolError for what is no document.
    """
    body = parse_body(document.body)
    known = parse_body(base.body) if base.body else None
    network = body.network
    if network.founder != founder or network_salt(network.name) != salt:
        raise Refused(f"the document is of {network}, not of the network that is asked about", rule="network")
    if body.generation != document.generation or document.generation != base.generation + 1:
        raise Refused(
            f"generation {body.generation} of {network} does not follow {base.generation}", rule="generation"
        )
    roster = verified(body, known)
    role = (roster if known is None else _roster(known)).role(signer)
    if role is None or not role.writes:
        raise Refused(f"{signer} is no operator of {network}", rule="role")
    if known is not None:
        _check_schema(body, known)
    check_epoch(None if known is None else known.epoch, body.epoch, now)


def _check_schema(body: SealedBody, known: SealedBody) -> None:
    """It never goes back, and only an owner lets it go on: a number that no client knows ends all writing."""
    network, writer = body.network, address_from_bytes(body.writer)
    if body.schema_version < known.schema_version:
        raise Refused(
            f"the state of {network} has schema {known.schema_version}, "
            f"this would put {body.schema_version} back",
            hint="use the newer client that wrote it",
            rule="schema",
        )
    if body.schema_version > known.schema_version and _roster(known).role(writer) is not Role.OWNER:
        raise Refused(f"{writer} is no owner of {network}: only owners migrate its state", rule="role")


def role_of(founder: Address, salt: bytes, body: bytes, who: Address) -> Role | None:
    """What *who* may with a copy that was checked when it was taken; None for one who is no member.

    Where there is no document yet, only the founder may anything.
    """
    if not body:
        return Role.OWNER if who == founder else None
    parsed = parse_body(body)
    if parsed.network.founder != founder or network_salt(parsed.name) != salt:
        return None
    return _roster(parsed).role(who)


def name_of(body: bytes) -> str:
    """The network's name, which everybody may learn."""
    return parse_body(body).name


def _roster(body: SealedBody) -> Roster:
    return roster_of(body.network, body.changes, verify=False)


def _present_cards(roster: Roster, cards: Sequence[MemberCard]) -> list[MemberCard]:
    found = {(address_from_bytes(card.member), hashlib.sha256(card.key).digest()): card for card in cards}
    try:
        chosen = [found[who, member.key_digest] for who, member in roster.members.items()]
    except KeyError as error:
        raise BadInput(f"the card of {error.args[0][0]} is missing") from None
    return sorted(chosen, key=lambda card: card.member)


def _check_cards(body: SealedBody, roster: Roster, held: Sequence[MemberCard]) -> None:
    """One card and one key for each member, no more; signatures only of cards that are new."""
    wanted = {address_bytes(who): member.key_digest for who, member in roster.members.items()}
    given = {card.member: hashlib.sha256(card.key).digest() for card in body.cards}
    in_order = sorted(wanted)
    if given != wanted or not (
        [card.member for card in body.cards] == [key.member for key in body.keys] == in_order
    ):
        raise Refused(f"the state of {body.network} is not sealed to exactly its members", rule="members")
    for card in body.cards:
        if card not in held:
            check_card(card)


def _context(network: NetworkName, generation: int) -> bytes:
    name = address_bytes(network.founder) + network_salt(network.name)
    return _CONTEXT_TAG + name + generation.to_bytes(8, "big")


def _signed_text(body: SealedBody, writer: Address) -> str:
    blank = body.model_copy(update={"writer": address_bytes(writer), "signature": bytes(SIGNATURE_BYTES)})
    return (
        "Trusted Pods: a generation of a network's state, version 1.\n"
        f"network {body.network}\ngeneration {body.generation}\ndigest "
        f"{hashlib.sha256(encode(blank)).hexdigest()}"
    )

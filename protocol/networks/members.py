# SPDX-License-Identifier: Apache-2.0
"""The team of a network: who its members are, as a chain of changes that owners signed.

The chain begins with the founder and stands in clear beside the sealed state, so a daemon can hold
people to their roles and opens nothing. Each change is signed over the digest of the one before
(EIP-191 text, so any wallet can do it): none can be left out, moved, or taken into another network.
A member's key for sealing comes with its own signature: an owner cannot put in a key that is not the
member's.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import ADDRESS_BYTES, Address, address_bytes, address_from_bytes
from trustedpods.protocol.messages.base import U64, Bytes20, Bytes32, Message
from trustedpods.protocol.networks.names import MAX_NAME
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.signatures import SIGNATURE_BYTES, sign_statement, statement_signer

MAX_MEMBERS: Final = 32
"""Members of one network: a large team. Each costs 1.2 KB for its key, and as much again in each document."""

MAX_CHANGES: Final = 256
"""Changes of one network's members: one a week for five years, and checked in a tenth of a second."""

NO_BYTES32: Final = bytes(32)
NOBODY: Final = bytes(ADDRESS_BYTES)

_SALT_TAG: Final = b"trusted-pods/network-salt/v1\0"
_CHAIN_TAG: Final = b"trusted-pods/network-members/v1\0"
_LOST_TAG: Final = b"trusted-pods/network-lost-cluster/v2\0"
_DAEMON_BYTES: Final = 4
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")

Signature = Annotated[bytes, Field(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]


class Role(StrEnum):
    """What a member may: a viewer reads, an operator writes too, an owner changes members too."""

    OWNER = "owner"
    OPERATOR = "operator"
    VIEWER = "viewer"

    @property
    def writes(self) -> bool:
        """Whether it may hold the lease and write."""
        return self is not Role.VIEWER


class MemberCard(Message):
    """A member's key to which state is sealed, signed by the member: handed to an owner to be let in."""

    member: Bytes20
    key: Annotated[bytes, Field(min_length=hpke.PUBLIC_KEY_BYTES, max_length=hpke.PUBLIC_KEY_BYTES)]
    signature: Signature


class MemberChange(Message):
    """One change of the team, signed by an owner.

    `found` and `set` give `member` a role and name its card's key by `subject`, the key's SHA-256;
    `remove` takes `member` out; `lose` declares a cluster lost, `subject` is `lost_digest`.
    `at` is Unix seconds by the owner's clock, for people alone.
    """

    action: Literal["found", "set", "remove", "lose"]
    role: Literal["none", "owner", "operator", "viewer"]
    member: Bytes20
    subject: Bytes32
    at: U64
    by: Bytes20
    signature: Signature


@dataclass(frozen=True, slots=True)
class NetworkName:
    """Which network: the address that founded it, and the name that it got then and keeps."""

    founder: Address
    name: str

    def __str__(self) -> str:
        """As people type it."""
        return f"{self.founder}/{self.name}"


@dataclass(frozen=True, slots=True)
class Member:
    """What the chain says of one member."""

    role: Role
    key_digest: bytes


@dataclass(frozen=True, slots=True)
class Roster:
    """The team after the changes so far. `head` is the digest of the last one; `lost` are `lost_digest`s."""

    network: NetworkName
    head: bytes
    changes: int = 0
    members: Mapping[Address, Member] = field(default_factory=dict)
    lost: frozenset[bytes] = frozenset()

    def role(self, who: Address) -> Role | None:
        """The role of *who*; None for one who is no member."""
        member = self.members.get(who)
        return None if member is None else member.role


def check_network_name(name: str) -> str:
    """*name* if a network can be called so; BadInput otherwise."""
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise BadInput(
            f"not a network's name: {name[:80]!r}",
            hint=f"lower-case letters, digits and dashes, a letter first, at most {MAX_NAME}",
        )
    return name


def network_salt(name: str) -> bytes:
    """32 bytes that name the network beside its founder's address: a member finds it by these two alone."""
    return hashlib.sha256(_SALT_TAG + name.encode()).digest()


def lost_digest(cluster: str, owner: bytes, daemon: int, reason: str) -> bytes:
    """What an owner signs who declares *cluster* lost, which is row *daemon* of the provider *owner*.

    All stand in the sealed state. The word is of that provider: it makes no other lost that bears the name.
    """
    provider = owner + daemon.to_bytes(_DAEMON_BYTES, "big")
    named = cluster.encode() + b"\0" + reason.encode()
    return hashlib.sha256(_LOST_TAG + provider + named).digest()


def no_members(network: NetworkName) -> Roster:
    """The team before the founder."""
    named = address_bytes(network.founder) + network_salt(network.name)
    return Roster(network, hashlib.sha256(_CHAIN_TAG + named).digest())


def sign_card(private_key: bytes, key: bytes) -> MemberCard:
    """The card of whoever holds *private_key*, for the public HPKE *key*."""
    member, signature = sign_statement(private_key, lambda address: _card_text(address, key))
    return MemberCard(member=address_bytes(member), key=key, signature=signature)


def check_card(card: MemberCard) -> None:
    """Refused (rule `members`) unless the member signed it and its key is one."""
    member = address_from_bytes(card.member)
    if statement_signer(_card_text(member, card.key), card.signature) != member:
        raise Refused(f"the card of {member} is not signed by {member}", rule="members")
    hpke.check_public(card.key)


def sign_change(
    private_key: bytes,
    roster: Roster,
    action: Literal["found", "set", "remove", "lose"],
    *,
    at: int,
    role: Role | None = None,
    member: bytes = NOBODY,
    subject: bytes = NO_BYTES32,
) -> MemberChange:
    """The next change of *roster*, signed; whether it is allowed `changed` says."""
    unsigned = MemberChange(
        action=action,
        role="none" if role is None else role.value,
        member=member,
        subject=subject,
        at=at,
        by=NOBODY,
        signature=bytes(SIGNATURE_BYTES),
    )
    by, signature = sign_statement(
        private_key,
        lambda address: _change_text(roster, unsigned.model_copy(update={"by": address_bytes(address)})),
    )
    return unsigned.model_copy(update={"by": address_bytes(by), "signature": signature})


def changed(roster: Roster, change: MemberChange, *, verify: bool = True) -> Roster:
    """The team after one more change. Refused (rule `members`) for one that may not be.

    *verify* may be False for a change whose signature was checked before it was kept.
    """
    by = address_from_bytes(change.by)
    if verify and statement_signer(_change_text(roster, change), change.signature) != by:
        raise _refused(roster, f"it is not signed by {by}")
    if roster.changes >= MAX_CHANGES:
        raise _refused(roster, f"a network takes {MAX_CHANGES} changes of members")
    if change.action != "found" and roster.role(by) is not Role.OWNER:
        raise _refused(roster, f"{by} is no owner")
    members = _changed_members(roster, change, by)
    lost = roster.lost | {change.subject} if change.action == "lose" else roster.lost
    _check_team(roster, members)
    return Roster(roster.network, _next_head(roster, change), roster.changes + 1, members, lost)


def _changed_members(roster: Roster, change: MemberChange, by: Address) -> dict[Address, Member]:
    members, who = dict(roster.members), address_from_bytes(change.member)
    match change.action:
        case "found":
            if roster.changes or not by == who == roster.network.founder or change.role != "owner":
                raise _refused(roster, "only the founder begins it, once, as an owner")
            members[who] = Member(Role.OWNER, change.subject)
        case "set":
            if change.role == "none" or change.member == NOBODY:
                raise _refused(roster, "it gives nobody a role")
            members[who] = Member(Role(change.role), change.subject)
        case "remove":
            if members.pop(who, None) is None:
                raise _refused(roster, f"{who} is no member")
        case "lose":
            pass
    return members


def roster_of(network: NetworkName, changes: Sequence[MemberChange], *, verify: bool = True) -> Roster:
    """The team that *changes* make, from the founder on. Refused (rule `members`) where one may not be."""
    roster = no_members(network)
    for change in changes:
        roster = changed(roster, change, verify=verify)
    return roster


def _check_team(roster: Roster, members: Mapping[Address, Member]) -> None:
    if not any(member.role is Role.OWNER for member in members.values()):
        raise _refused(roster, "no owner would be left")
    if len(members) > MAX_MEMBERS:
        raise _refused(roster, f"a network has at most {MAX_MEMBERS} members")


def _refused(roster: Roster, why: str) -> Refused:
    return Refused(f"change {roster.changes + 1} of the members of {roster.network}: {why}", rule="members")


def _next_head(roster: Roster, change: MemberChange) -> bytes:
    return hashlib.sha256(_CHAIN_TAG + roster.head + encode(change)).digest()


def _card_text(member: Address, key: bytes) -> str:
    return (
        "Trusted Pods: the key to which state of networks is sealed for me, version 1.\n"
        f"member {member}\nkey {hashlib.sha256(key).hexdigest()}"
    )


def _change_text(roster: Roster, change: MemberChange) -> str:
    return (
        "Trusted Pods: a change of a network's members, version 1.\n"
        f"network {roster.network}\nafter {roster.head.hex()}\nnumber {roster.changes + 1}\n"
        f"{change.action} {address_from_bytes(change.member)} {change.role} {change.subject.hex()}\n"
        f"at {change.at} by {address_from_bytes(change.by)}"
    )

# SPDX-License-Identifier: Apache-2.0
"""`network member add | role | remove` and `network lost`: changes that only an owner signs.

Each writes a next document, which is sealed to the team as it is then: who was taken out opens nothing of it.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import Address, address_bytes
from trustedpods.protocol.networks.content import LostCluster, NetworkContent
from trustedpods.protocol.networks.history import MAX_TEXT
from trustedpods.protocol.networks.members import (
    MemberCard,
    MemberChange,
    Role,
    changed,
    lost_digest,
    sign_change,
)
from trustedpods.publisher.core.networks.history import DONE
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.states import MemberView
from trustedpods.publisher.results.networks import MembersResult
from trustedpods.publisher.verbs.networks.documents.changing import changing, opened_view
from trustedpods.publisher.verbs.networks.files import read_card
from trustedpods.publisher.verbs.networks.places import NetworkPlace

Change = Callable[[MemberView], tuple[list[MemberChange], NetworkContent]]
"""What an owner signs over a state, and the content that goes with it."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A change, with the cards of who is new and the clusters that are lost by it."""

    change: Change
    cards: tuple[MemberCard, ...] = ()
    lost: tuple[str, ...] = ()


async def add(
    account: MarketAccount,
    place: NetworkPlace,
    member: Address,
    card: Path,
    role: Role,
    wait_s: float,
    journal: Journal,
) -> MembersResult:
    """Let *member*, whose card is in the file, in with that *role*; or give a member a new card.

    Raises BadInput for a file that is not that member's card; Refused for one who is no owner (rule
    `role`) and as the team's rules say (rule `members`); Locked, NetworkFailure, CopiesDiffer.
    """
    if role is not Role.OWNER:
        _not_himself(account, member)
    read = read_card(card, member, str(card))
    given = [("member", member), ("card", str(card)), ("--role", role.value)]
    change = _given(account, member, role, hashlib.sha256(read.key).digest())
    return await _changed(
        account, place, "network member add", given, wait_s, journal, _Wanted(change, (read,))
    )


async def set_role(
    account: MarketAccount,
    place: NetworkPlace,
    member: Address,
    role: Role,
    wait_s: float,
    journal: Journal,
) -> MembersResult:
    """Give *member* another role; no owner takes his own. Raises as `add`."""

    def change(view: MemberView) -> tuple[list[MemberChange], NetworkContent]:
        known = view.roster.members.get(member)
        if known is None:
            raise Refused(f"{member} is no member of {view.network}", rule="members")
        return _given(account, member, role, known.key_digest)(view)

    if role is not Role.OWNER:
        _not_himself(account, member)
    given = [("member", member), ("role", role.value)]
    return await _changed(account, place, "network member role", given, wait_s, journal, _Wanted(change))


async def remove(
    account: MarketAccount, place: NetworkPlace, member: Address, wait_s: float, journal: Journal
) -> MembersResult:
    """Take *member* out; nobody takes himself out, another owner does. Raises as `add`."""

    def change(view: MemberView) -> tuple[list[MemberChange], NetworkContent]:
        signed = sign_change(
            account.publisher.key, view.roster, "remove", at=int(time.time()), member=address_bytes(member)
        )
        return [signed], view.read.writable()

    _not_himself(account, member)
    given = [("member", member)]
    return await _changed(account, place, "network member remove", given, wait_s, journal, _Wanted(change))


async def lose(
    account: MarketAccount,
    place: NetworkPlace,
    clusters: Sequence[str],
    reason: str,
    wait_s: float,
    journal: Journal,
) -> MembersResult:
    """Declare *clusters* lost, in one write: they are asked no more, and need not be named.

    One of *place* leads to the others, which must all answer. Pods of lost ones stay in the state until an
    apply removes them. Raises BadInput without a cluster or a reason, or for one that the network does not
    have; else as `add`.
    """
    gone = tuple(dict.fromkeys(clusters))
    if not gone:
        raise BadInput("no cluster is named that is lost", where="CLUSTER")
    if not reason.strip() or len(reason) > MAX_TEXT:
        raise BadInput(f"a reason has 1 to {MAX_TEXT} letters", where="--reason")
    publisher, at = account.publisher, int(time.time())

    def change(view: MemberView) -> tuple[list[MemberChange], NetworkContent]:
        content, roster, signed = view.read.writable(), view.roster, list[MemberChange]()
        named = {one.name: one for one in content.clusters}
        for name in gone:
            subject = lost_digest(name, named[name].owner, named[name].daemon, reason)
            signed.append(sign_change(publisher.key, roster, "lose", at=at, subject=subject))
            roster = changed(roster, signed[-1])
        lost = LostCluster(at=at, by=address_bytes(publisher.address), reason=reason)
        kept = [
            one.model_copy(update={"lost": lost}) if one.name in gone else one for one in content.clusters
        ]
        return signed, content.model_copy(update={"clusters": kept})

    given = [*(("cluster", name) for name in gone), ("--reason", reason)]
    wanted = _Wanted(change, lost=gone)
    return await _changed(account, place, "network lost", given, wait_s, journal, wanted)


def _not_himself(account: MarketAccount, member: Address) -> None:
    if member == account.publisher.address:
        raise BadInput(
            "nobody takes himself or his role out of a network",
            where="ADDRESS",
            hint="another owner does it",
        )


def _given(account: MarketAccount, member: Address, role: Role, key_digest: bytes) -> Change:
    def change(view: MemberView) -> tuple[list[MemberChange], NetworkContent]:
        signed = sign_change(
            account.publisher.key,
            view.roster,
            "set",
            at=int(time.time()),
            role=role,
            member=address_bytes(member),
            subject=key_digest,
        )
        return [signed], view.read.writable()

    return change


async def _changed(
    account: MarketAccount,
    place: NetworkPlace,
    verb: str,
    given: Sequence[tuple[str, str]],
    wait_s: float,
    journal: Journal,
    wanted: _Wanted,
) -> MembersResult:
    who = account.publisher.address
    opening = changing(account, place, verb, given, wait_s, journal, lost=wanted.lost)
    async with opening as (network, change):
        view = change.state or opened_view(account, network, change.document)
        if view.roster.role(who) is not Role.OWNER:
            raise Refused(f"{who} is no owner of {view.network}: only owners change members", rule="role")
        signed, content = wanted.change(view)
        after = await change.write(content, changes=signed, cards=wanted.cards, result=DONE)
        return MembersResult(
            network,
            {address: member.role for address, member in after.roster.members.items()},
            {one.name: one.lost.reason for one in after.content.clusters if one.lost is not None},
            after.document,
        )

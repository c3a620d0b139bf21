# SPDX-License-Identifier: Apache-2.0
"""Signed claims: stored before they are sent, kept while their pods stand as the bill's evidence."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, and_, func, insert, or_, select, update

from trustedpods.contracts.usage import ItemFlags
from trustedpods.protocol import limits
from trustedpods.protocol.ids import ChannelId, channel_hex
from trustedpods.protocol.messages.usage import UsageLeaf
from trustedpods.protocol.units import UnixSeconds, Usage
from trustedpods.provider.core.settlement import Cut
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import asked_pairs
from trustedpods.provider.store.tables import CLAIMS, CUTS, EARNED, FEES

_HASH_BYTES = 32
MAX_LEAVES = min(limits.MAX_LEAVES, 4096)
_SKIPPED = int(ItemFlags.DRY | ItemFlags.STALE | ItemFlags.FOREIGN)
_ENDED = int(ItemFlags.RELEASED)


class ClaimState(StrEnum):
    """How far a signed claim came. Only `final` and `lost` need no more attention."""

    PREPARED = "prepared"
    SENT = "sent"
    MINED = "mined"
    FINAL = "final"
    LOST = "lost"
    """None of its items can land any more; what they held is cut anew."""


OPEN_STATES = (ClaimState.PREPARED, ClaimState.SENT, ClaimState.MINED)
_OPEN = CLAIMS.c.state.in_([str(state) for state in OPEN_STATES])


@dataclass(frozen=True, slots=True)
class StoredClaim:
    """A signed claim and its items, in order. `signed` is the coded SignedClaim."""

    root: bytes
    signed: bytes
    state: ClaimState
    created: UnixSeconds
    tx: bytes | None
    block: int | None
    cuts: tuple[Cut, ...]


@dataclass(frozen=True, slots=True)
class ClaimOutcome:
    """What the chain did with one item: the contract's flags and the base units paid."""

    channel: ChannelId
    flags: int
    paid: int


def save_claim(
    tx: Tx,
    root: bytes,
    signed: bytes,
    cuts: Sequence[Cut],
    proofs: Sequence[Sequence[bytes]],
    lives: Mapping[ChannelId, str],
    now: UnixSeconds,
    gas_wei: int | None = None,
) -> None:
    """Store a claim that was signed and not yet sent; *lives* are the channels' namespaces.

    *gas_wei* is the most that it may cost, where a day's gas is bounded.
    """
    before = tx.connection.execute(select(func.max(CLAIMS.c.number))).scalar() or 0
    state = str(ClaimState.PREPARED)
    values = {"root": root, "signed": signed, "state": state, "created": now, "number": before + 1}
    if gas_wei is not None:
        values["gas_wei"] = str(gas_wei)
    tx.connection.execute(insert(CLAIMS).values(values))
    rows = [
        {
            "root": root,
            "place": place,
            "channel": channel_hex(cut.channel),
            "life": lives[cut.channel],
            "from_": cut.from_,
            "up_to": cut.up_to,
            "cpu_core_ms": cut.usage.cpu_core_ms,
            "memory_mib_s": cut.usage.memory_mib_s,
            "storage_mib_s": cut.usage.storage_mib_s,
            "egress_kib": cut.usage.egress_kib,
            "ingress_kib": cut.usage.ingress_kib,
            "release": cut.release,
            "proof": b"".join(proof),
        }
        for place, (cut, proof) in enumerate(zip(cuts, proofs, strict=True))
    ]
    tx.connection.execute(insert(CUTS), rows)


def open_claim(tx: Tx) -> StoredClaim | None:
    """The oldest claim that is under way, if any."""
    row = tx.connection.execute(select(CLAIMS).where(_OPEN).order_by(CLAIMS.c.number).limit(1)).one_or_none()
    return None if row is None else _claim(tx, row)


def load_claim(tx: Tx, root: bytes) -> StoredClaim:
    """The claim as it is stored; it is there."""
    return _claim(tx, tx.connection.execute(select(CLAIMS).where(CLAIMS.c.root == root)).one())


def open_claims(tx: Tx, without: Collection[bytes] = ()) -> list[StoredClaim]:
    """The claims that are under way, oldest first; not those whose roots are in *without*."""
    query = select(CLAIMS).where(_OPEN).order_by(CLAIMS.c.number)
    return [_claim(tx, row) for row in tx.connection.execute(query).all() if row.root not in without]


def claimed_now(tx: Tx) -> frozenset[ChannelId]:
    """Channels that a claim under way has an item of: no other claim may have one meanwhile."""
    query = select(CUTS.c.channel).join(CLAIMS, CUTS.c.root == CLAIMS.c.root).where(_OPEN)
    return frozenset(ChannelId(int(key, 16)) for key in tx.connection.execute(query).scalars())


def gas_out(tx: Tx) -> int:
    """The most wei that claims under way may cost whose fee is not booked yet."""
    query = (
        select(CLAIMS.c.gas_wei)
        .outerjoin(FEES, FEES.c.tx == CLAIMS.c.tx)
        .where(_OPEN, CLAIMS.c.gas_wei.is_not(None), FEES.c.tx.is_(None))
    )
    return sum(int(wei) for wei in tx.connection.execute(query).scalars())


def count_open(tx: Tx) -> int:
    """How many claims are under way."""
    return tx.connection.execute(select(func.count()).select_from(CLAIMS).where(_OPEN)).scalar() or 0


@dataclass(frozen=True, slots=True)
class ClaimsNow:
    """Of all claims together: channels that one under way has, how many are, when one was last signed."""

    channels: frozenset[ChannelId]
    under_way: int
    last_at: UnixSeconds


def claims_now(tx: Tx) -> ClaimsNow:
    """All that is asked at each look, in one read."""
    return ClaimsNow(claimed_now(tx), count_open(tx), last_claim_at(tx))


def mark_claim(
    tx: Tx, root: bytes, state: ClaimState, transaction: bytes | None = None, block: int | None = None
) -> None:
    """Note how far a claim came, and by which transaction."""
    values: dict[str, Any] = {"state": str(state)}
    if transaction is not None:
        values["tx"] = transaction
    if block is not None:
        values["block"] = block
    tx.connection.execute(update(CLAIMS).where(CLAIMS.c.root == root).values(values))


def settle_claim(
    tx: Tx,
    root: bytes,
    state: ClaimState,
    transaction: bytes | None,
    block: int | None,
    outcomes: Sequence[ClaimOutcome],
) -> list[ClaimOutcome]:
    """Note how far a claim came together with what its items were paid; returns what is new of that.

    All or nothing is stored, and the same again changes nothing. A claim that is lost after all
    (its block is no longer on the chain) was paid nothing: give it no outcomes.
    """
    mark_claim(tx, root, state, transaction, block)
    if state is ClaimState.LOST:
        tx.connection.execute(update(CUTS).where(CUTS.c.root == root).values(flags=None, paid=None))
    return [outcome for outcome in outcomes if _record(tx, root, outcome)]


def _record(tx: Tx, root: bytes, outcome: ClaimOutcome) -> bool:
    values = {"flags": outcome.flags, "paid": str(outcome.paid)}
    mine = (CUTS.c.root == root, CUTS.c.channel == channel_hex(outcome.channel))
    other = or_(CUTS.c.flags.is_(None), CUTS.c.flags != outcome.flags, CUTS.c.paid != values["paid"])
    changed = tx.connection.execute(update(CUTS).where(*mine, other).values(values)).rowcount > 0
    if changed and not outcome.flags & _SKIPPED:
        _undo_overlapping(tx, root, outcome.channel)
    return changed


def _undo_overlapping(tx: Tx, root: bytes, channel: ChannelId) -> None:
    """The chain was set back behind what had counted as final: what older cuts held is in this one."""
    cut = tx.connection.execute(
        select(CUTS.c.from_, CUTS.c.life).where(CUTS.c.root == root, CUTS.c.channel == channel_hex(channel))
    ).one()
    tx.connection.execute(
        update(CUTS)
        .where(
            CUTS.c.channel == channel_hex(channel),
            CUTS.c.life == cut.life,
            CUTS.c.root != root,
            CUTS.c.up_to > cut.from_,
        )
        .values(flags=int(ItemFlags.STALE), paid="0")
    )


def count_by_state(tx: Tx) -> dict[str, int]:
    """How many claims there are in each state."""
    query = select(CLAIMS.c.state, func.count()).group_by(CLAIMS.c.state)
    return {row.state: row[1] for row in tx.connection.execute(query)}


def last_claim_at(tx: Tx) -> UnixSeconds:
    """When a claim was last signed; 0 before the first."""
    return UnixSeconds(tx.connection.execute(select(func.max(CLAIMS.c.created))).scalar() or 0)


def newest_up_to(tx: Tx, channel: ChannelId) -> UnixSeconds:
    """Up to where the books claim a channel, sent or not; 0 before its first claim."""
    query = (
        select(func.max(CUTS.c.up_to))
        .join(CLAIMS, CUTS.c.root == CLAIMS.c.root)
        .where(CUTS.c.channel == channel_hex(channel), CLAIMS.c.state != str(ClaimState.LOST))
    )
    return UnixSeconds(tx.connection.execute(query).scalar() or 0)


def stations(tx: Tx, channel: ChannelId) -> frozenset[UnixSeconds]:
    """Every time at which a period of the channel began or ended that these books ever claimed."""
    query = select(CUTS.c.from_, CUTS.c.up_to).where(CUTS.c.channel == channel_hex(channel))
    return frozenset(UnixSeconds(at) for row in tx.connection.execute(query) for at in row)


def last_root(tx: Tx) -> bytes:
    """Root of the newest claim; empty before the first."""
    query = select(CLAIMS.c.root).order_by(CLAIMS.c.number.desc()).limit(1)
    return tx.connection.execute(query).scalar() or b""


def paid_in_life(tx: Tx, channel: ChannelId, life: str) -> int:
    """Base units paid so far for one life of a channel."""
    return paid_in_lives(tx, {channel: life})[channel]


def paid_in_lives(tx: Tx, lives: Mapping[ChannelId, str]) -> dict[ChannelId, int]:
    """The same of many channels, each in the life that is named by its namespace; two queries."""
    asked = asked_pairs("asked")
    mine = and_(CUTS.c.channel == asked.first, CUTS.c.life == asked.second_text, CUTS.c.paid.is_not(None))
    query = select(CUTS.c.channel, CUTS.c.paid).select_from(asked.rows).join(CUTS, mine)
    paid = dict.fromkeys(lives, 0)
    keys = json.dumps([[channel_hex(channel), life] for channel, life in lives.items()])
    together = and_(EARNED.c.channel == asked.first, EARNED.c.life == asked.second_text)
    by_day = select(EARNED.c.channel, EARNED.c.paid).select_from(asked.rows).join(EARNED, together)
    for of_lives in (query, by_day):
        for row in tx.connection.execute(of_lives, {"asked": keys}):
            paid[ChannelId(int(row.channel, 16))] += int(row.paid)
    return paid


def released_in_life(tx: Tx, channel: ChannelId, life: str) -> bytes | None:
    """Transaction of the claim that released the channel at the end of that life."""
    query = (
        select(CLAIMS.c.tx)
        .join(CUTS, CUTS.c.root == CLAIMS.c.root)
        .where(
            CUTS.c.channel == channel_hex(channel),
            CUTS.c.life == life,
            CUTS.c.release,
            CLAIMS.c.state != str(ClaimState.LOST),
        )
        .order_by(CLAIMS.c.created.desc())
        .limit(1)
    )
    return tx.connection.execute(query).scalar()


def leaves(tx: Tx, channel: ChannelId, life: str, since: UnixSeconds) -> list[UsageLeaf]:
    """Usage leaves of one life of a channel that end after *since*, oldest first.

    Without those of lost claims, and without items that the chain skipped for good.
    """
    query = (
        select(CUTS, CLAIMS.c.tx, CLAIMS.c.state)
        .join(CLAIMS, CUTS.c.root == CLAIMS.c.root)
        .where(
            CUTS.c.channel == channel_hex(channel),
            CUTS.c.life == life,
            CUTS.c.up_to > since,
            CLAIMS.c.state != str(ClaimState.LOST),
            or_(
                CUTS.c.flags.is_(None), CUTS.c.flags.op("&")(_SKIPPED) == 0, CUTS.c.flags.op("&")(_ENDED) != 0
            ),
        )
        .order_by(CUTS.c.up_to)
        .limit(MAX_LEAVES)
    )
    return [_leaf(row) for row in tx.connection.execute(query)]


def _leaf(row: Row[Any]) -> UsageLeaf:
    mined = row.state in (ClaimState.MINED, ClaimState.FINAL)
    return UsageLeaf(
        from_=row.from_,
        up_to=row.up_to,
        usage=list(_usage(row).quantities),
        root=row.root,
        proof=[row.proof[at : at + _HASH_BYTES] for at in range(0, len(row.proof), _HASH_BYTES)],
        transaction=row.tx if mined else None,
    )


def _usage(row: Row[Any]) -> Usage:
    return Usage(row.cpu_core_ms, row.memory_mib_s, row.storage_mib_s, row.egress_kib, row.ingress_kib)


def _claim(tx: Tx, row: Row[Any]) -> StoredClaim:
    cuts = tx.connection.execute(select(CUTS).where(CUTS.c.root == row.root).order_by(CUTS.c.place))
    return StoredClaim(
        root=row.root,
        signed=row.signed,
        state=ClaimState(row.state),
        created=row.created,
        tx=row.tx,
        block=row.block,
        cuts=tuple(Cut(ChannelId(int(c.channel, 16)), c.from_, c.up_to, _usage(c), c.release) for c in cuts),
    )

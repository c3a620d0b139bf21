# SPDX-License-Identifier: Apache-2.0
"""The contract's settlement in plain numbers: what an item will be paid before it is sent.

Kept equal to `Words.settle` and `PodPayments._settle` by tests that run both.
"""

from dataclasses import dataclass, replace

from trustedpods.contracts.records import NOTHING, Channel
from trustedpods.contracts.terms import DAY_S, due
from trustedpods.contracts.usage import ItemFlags, SubmissionResult, UsageItem
from trustedpods.protocol.units import TokenUnits, UnixSeconds

MAX_CARRY = DAY_S // 2


@dataclass(frozen=True, slots=True)
class ItemSettlement:
    """The answer for one item, and the channel after it (None where there was none)."""

    result: SubmissionResult
    channel: Channel | None


def allowance(channel: Channel, up_to: UnixSeconds) -> TokenUnits:
    """What the rate cap lets through for a period from the channel's `up_to` to *up_to*."""
    seconds = 2 * channel.carry + up_to - channel.up_to
    return TokenUnits(channel.terms.cap_per_day * seconds // DAY_S)


def settle(
    channel: Channel | None,
    item: UsageItem,
    meter_tag: int,
    now: UnixSeconds,
    most: TokenUnits | None = None,
) -> ItemSettlement:
    """Settle *item*, signed by the meter with that tag, at block time *now*.

    *most* is what a voucher that holds lets through whatever the cap says; None is no voucher.
    """
    skipped = _skip(channel, item, meter_tag, now, vouched=most is not None)
    if channel is None or skipped:
        stored = channel.up_to if channel else UnixSeconds(0)
        return ItemSettlement(_result(item, skipped, stored, TokenUnits(0)), channel)
    flags = ItemFlags(0)
    paid = due(item.usage, channel.terms.prices)
    limit = max(allowance(channel, item.up_to), most or NOTHING)
    if paid > limit:
        paid, flags = limit, ItemFlags.CUT_CAP
    if paid > channel.left:
        paid, flags = channel.left, flags | ItemFlags.CUT_DEPOSIT
    if flags and item.whole and not item.release:
        return ItemSettlement(_result(item, ItemFlags.DRY | flags, channel.up_to, NOTHING), channel)
    after = replace(
        channel,
        up_to=item.up_to,
        left=TokenUnits(channel.left - paid),
        carry=_carry(channel, item.up_to, paid),
    )
    return ItemSettlement(_result(item, flags, item.up_to, paid), after)


def _skip(
    channel: Channel | None, item: UsageItem, meter_tag: int, now: UnixSeconds, *, vouched: bool
) -> ItemFlags:
    if channel is None or channel.meter_tag != meter_tag:
        return ItemFlags.FOREIGN
    if item.from_ != channel.up_to or item.up_to <= channel.up_to:
        return ItemFlags.STALE
    if item.up_to > now:
        return ItemFlags.FUTURE
    if item.voucher and not vouched:
        return ItemFlags.STALE | ItemFlags.BAD_REF
    return ItemFlags.DRY if channel.left == 0 else ItemFlags(0)


def _carry(channel: Channel, up_to: UnixSeconds, paid: TokenUnits) -> int:
    cap = channel.terms.cap_per_day
    budget = cap * (2 * channel.carry + up_to - channel.up_to)
    return min(MAX_CARRY, max(0, budget - paid * DAY_S) // (2 * cap))


def _result(item: UsageItem, flags: ItemFlags, up_to: UnixSeconds, paid: TokenUnits) -> SubmissionResult:
    return SubmissionResult(item.channel % (1 << 128), flags, up_to, paid)

# SPDX-License-Identifier: Apache-2.0
"""What the operator lets his key spend on gas in a UTC day, and which transactions wait for the next one.

Only what can wait is held back: money that would be lost, and people who wait, cost more than gas.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.earnings.sums import DAY_S
from trustedpods.provider.core.settlement import ClaimCandidate, Cut

CLAIM_GAS, ITEM_GAS, RELEASE_GAS = 80_000, 12_000, 60_000
"""The gas limit of a claim, for each of its items, and for each that ends a channel (the chain's client
gives them so much): it can use no more."""

HEARTBEAT_GAS = 60_000
"""The gas limit of a row that is kept: 30,000 as measured, and what the chain's client adds to it."""

PRICE_ROOM = 2
"""A transaction offers up to twice the base fee of its moment, so at most twice the usual price."""

MINED_WITHIN_S = 3600
"""What has to be mined before a time goes out so long before it: nodes lag, and blocks are full at times."""

MOST_UNCLAIMED_S = 47 * 3600
"""Publishers' clients alarm when a period is 48 hours old. What is due after a day, as by default, and is
held back waits for midnight, which is 23 hours off but for the day's first hour: then it goes at once."""


OVER = "over the day's gas"
"""How the reason of what goes out over the cap begins."""


class Urgency(StrEnum):
    """Why a transaction does not wait for another day; what can wait has no reason."""

    CAN_WAIT = "it can wait"
    RELEASE = "a pod ended, and its publisher waits for the rest of the deposit"
    NOTICE = (
        "the publisher's notice ends before the next day's claims are mined: the money would be his again"
    )
    OLD = "its period would be 48 hours old, and publishers are alarmed then"
    ROW = "clients would leave the provider out of their lists"
    ASKED = "the operator asked for it"


@dataclass(frozen=True, slots=True)
class GasToday:
    """A UTC day's gas in wei: the *cap* (None: there is none), what receipts say was spent, and what is out.

    *out* is the most that transactions may cost that are not final yet.
    """

    cap: int | None
    spent: int
    out: int = 0

    def with_more(self, wei: int) -> "GasToday":
        """One more transaction is out, of so much at most."""
        return GasToday(self.cap, self.spent, self.out + wei)


@dataclass(frozen=True, slots=True)
class GasDecision:
    """Whether to *send* now, and why or why not."""

    send: bool
    reason: str


def decide(today: GasToday, worst: int, urgency: Urgency) -> GasDecision:
    """Whether a transaction that costs at most *worst* wei goes out today."""
    if today.cap is None:
        return GasDecision(True, "there is no cap")
    if today.spent + today.out + worst <= today.cap:
        return GasDecision(True, "it is within the day's gas")
    if urgency is not Urgency.CAN_WAIT:
        return GasDecision(True, f"{OVER}: {urgency}")
    told = f"{today.spent} wei are spent today" + (f", {today.out} more are out" if today.out else "")
    return GasDecision(
        False,
        f"{told}, and this may cost {worst}: gas.most_wei_per_day is {today.cap}; it waits for midnight UTC",
    )


def next_day(now: UnixSeconds) -> UnixSeconds:
    """When the next UTC day begins."""
    return UnixSeconds(now // DAY_S * DAY_S + DAY_S)


def urgency_of(one: ClaimCandidate, now: UnixSeconds, *, asked: bool = False) -> Urgency:
    """Whether a channel's claim may wait for the next day without a loss; *asked*: the operator's verb."""
    sent_next = next_day(now) + MINED_WITHIN_S
    if one.release:
        return Urgency.RELEASE
    if one.leaving and (one.ends_at is None or one.ends_at <= sent_next):
        return Urgency.NOTICE
    if one.from_ + MOST_UNCLAIMED_S <= next_day(now):
        return Urgency.OLD
    return Urgency.ASKED if asked else Urgency.CAN_WAIT


def row_urgency(updated_at: UnixSeconds, fresh_s: int, now: UnixSeconds) -> Urgency:
    """Whether a row that clients leave out *fresh_s* after its last update may wait for the next day."""
    late = updated_at + fresh_s <= next_day(now) + MINED_WITHIN_S
    return Urgency.ROW if late else Urgency.CAN_WAIT


def claim_wei(cuts: Sequence[Cut], gas_price: int) -> int:
    """The most that a claim of these items costs, at *gas_price* wei a unit now."""
    gas = CLAIM_GAS + ITEM_GAS * len(cuts) + RELEASE_GAS * sum(cut.release for cut in cuts)
    return gas * gas_price * PRICE_ROOM


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """Items that go out now as one claim, the most that it costs in wei, and why it goes."""

    cuts: list[Cut]
    worst: int
    reason: str


@dataclass(frozen=True, slots=True)
class GasPlan:
    """What goes out today, and channels whose claims wait for the next day, with the reason."""

    batches: tuple[PlannedBatch, ...]
    waiting: frozenset[ChannelId] = frozenset()
    reason: str = ""


def within(
    batches: Iterable[Sequence[Cut]], urgencies: Mapping[ChannelId, Urgency], today: GasToday, gas_price: int
) -> GasPlan:
    """Of *batches* those that go out today. One that is over the cap goes with its urgent items alone."""
    go: list[PlannedBatch] = []
    waiting: set[ChannelId] = set()
    reason = ""
    for cuts in batches:
        whole = claim_wei(cuts, gas_price)
        first = decide(today, whole, Urgency.CAN_WAIT)
        chosen = list(cuts)
        if not first.send:
            chosen = [cut for cut in cuts if urgencies[cut.channel] is not Urgency.CAN_WAIT]
            left = {cut.channel for cut in cuts} - {cut.channel for cut in chosen}
            waiting |= left
            reason = first.reason if left else reason
        if not chosen:
            continue
        worst = claim_wei(chosen, gas_price)
        why = first.reason if first.send else decide(today, worst, urgencies[chosen[0].channel]).reason
        go.append(PlannedBatch(chosen, worst, why))
        today = today.with_more(worst)
    return GasPlan(tuple(go), frozenset(waiting), reason)


@dataclass
class GasUnderWay:
    """What waits for the next day now, by kind (`claims`, `row`), and what else is being sent, in wei.

    Of this process alone: what is held back is decided anew after a start, and claims that are out stand in
    the books.
    """

    waiting: dict[str, int] = field(default_factory=dict)
    sending: dict[str, int] = field(default_factory=dict)

    def waits(self, kind: str, count: int) -> None:
        """So many of that kind wait now."""
        self.waiting[kind] = count

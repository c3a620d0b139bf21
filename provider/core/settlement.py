# SPDX-License-Identifier: Apache-2.0
"""When to cut a claim, what goes into it, and what became of one that was sent.

A cut begins exactly where the chain's `upTo` stands and ends where everything is known. Several batches are
out at a time, of which no two have a channel in common. Each is stored before it is sent, and the same signed
bytes go out again until the chain shows them, whatever happened in between.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from trustedpods.contracts.records import Submission
from trustedpods.contracts.usage import ItemFlags as Flags
from trustedpods.contracts.usage import SubmissionResult
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import UnixSeconds, Usage
from trustedpods.provider.core.pod import ChannelFact

MAX_BATCH = 100
"""Items of one claim: 100 cost under a million gas."""

MAX_UNDER_WAY = 100
"""Claims that are out at a time: 10,000 channels are settled together. Each is a transaction that waits in
the nodes' pools, where more of one sender are the first to be dropped; others are cut when one is final."""

GAS_FIXED = 50_000
GAS_PER_ITEM = 10_000
"""What a claim costs: measured are 42,342 for one item and 936,779 for a hundred."""

COIN_WEI = 10**18

LATE_INTERVALS = 1.5
"""A claim that is so much overdue goes out for less profit: publishers' clients alarm after 48 h."""


@dataclass(frozen=True, slots=True)
class ClaimCandidate:
    """A channel that could be claimed from now: `due` is what its usage costs, in base units.

    `allowed` is what its rate cap lets through. `release` ends the channel with this claim; `urgent`
    does not wait for the interval. With `leaving` a notice runs: what is not claimed before it ends (at
    `ends_at`) is the publisher's again.
    """

    channel: ChannelId
    from_: UnixSeconds
    up_to: UnixSeconds
    usage: Usage
    due: int
    left: int
    allowed: int | None = None
    release: bool = False
    urgent: bool = False
    leaving: bool = False
    ends_at: UnixSeconds | None = None

    @property
    def worth(self) -> int:
        """Base units that it would bring: nothing where the deposit would cut it, as what is cut is lost.

        It is claimed when there is enough again, or as far as can be when the channel is about to end.
        """
        payable = self.due if self.allowed is None else min(self.due, self.allowed)
        if payable > self.left and not (self.release or self.leaving):
            return 0
        return min(payable, self.left)

    @property
    def whole(self) -> bool:
        """Whether the item asks to be paid whole: what the cap cuts is lost whenever it is claimed."""
        capped = self.allowed is not None and self.due > self.allowed
        return not (self.release or self.leaving or capped)


@dataclass(frozen=True, slots=True)
class Cut:
    """One item of a claim: a period of one channel, whether it is the last, and whether paid whole only."""

    channel: ChannelId
    from_: UnixSeconds
    up_to: UnixSeconds
    usage: Usage
    release: bool
    whole: bool = False


def cut_of(one: ClaimCandidate) -> Cut:
    """The item that claims all of it."""
    return Cut(one.channel, one.from_, one.up_to, one.usage, one.release, one.whole)


@dataclass(frozen=True, slots=True)
class ClaimFees:
    """What sending costs. `gas_price` in wei; `coin_price` in base units of the token for a whole coin.

    A claim may cost `max_percent` of what it brings. With `coin_price` 0 gas is not weighed.
    """

    gas_price: int = 0
    coin_price: int = 0
    max_percent: int = 100

    def cost(self, gas: int) -> int:
        """Base units that so much gas costs, rounded up."""
        return -(-gas * self.gas_price * self.coin_price // COIN_WEI)

    def pays(self, worth: int, items: int, *, late: bool) -> bool:
        """Whether a claim of so many items is worth sending; a *late* one may cost all that it brings."""
        percent = 100 if late else self.max_percent
        return worth * percent >= 100 * self.cost(GAS_FIXED + GAS_PER_ITEM * items)


@dataclass(frozen=True, slots=True)
class Timing:
    """The operator's rules: seconds between claims, the least that one must earn, and what it may cost."""

    interval_s: int
    min_claim: int
    fees: ClaimFees = ClaimFees()


def plan(
    candidates: Iterable[ClaimCandidate],
    timing: Timing,
    now: UnixSeconds,
    last_claim: UnixSeconds,
    *,
    forced: bool = False,
) -> list[Cut]:
    """The items of the batch to cut now; empty when it is not time or not worth its gas.

    A release goes out whatever it brings: it gives the publisher the rest of the deposit.
    """
    batches = plan_all(candidates, timing, now, last_claim, forced=forced, most=1)
    return batches[0] if batches else []


def plan_all(
    candidates: Iterable[ClaimCandidate],
    timing: Timing,
    now: UnixSeconds,
    last_claim: UnixSeconds,
    *,
    forced: bool = False,
    most: int = MAX_UNDER_WAY,
) -> list[list[Cut]]:
    """The batches to cut now, *most* at most: `plan`, and once more for what it had no room for.

    No channel is in two of them.
    """
    queue = _Queue.of(candidates, timing, now, last_claim, forced=forced)
    batches: list[list[Cut]] = []
    while len(batches) < most and queue.pays(timing):
        batches.append([cut_of(one) for one in queue.batch])
        # Behind the first the others go where an interval is over for them.
        again = len(batches) == 1
        queue = _Queue.of(queue.rest, timing, now, now, forced=forced) if again else queue.next
    return batches


def again(batches: Iterable[Sequence[Cut]], known: Iterable[ClaimCandidate]) -> list[list[Cut]]:
    """The same batches of what is *known* of their channels by now.

    Nothing new is chosen. What has no time or cannot be paid any more is left to a later claim.
    """
    able = {c.channel: cut_of(c) for c in known if c.up_to > c.from_ and (c.release or c.worth > 0)}
    anew = ([able[cut.channel] for cut in cuts if cut.channel in able] for cuts in batches)
    return [cuts for cuts in anew if cuts]


@dataclass(frozen=True, slots=True)
class _Queue:
    """Candidates whose time has come, in order, and those for whom it has not."""

    chosen: Sequence[ClaimCandidate]
    others: Sequence[ClaimCandidate]
    late: bool

    @classmethod
    def of(
        cls,
        candidates: Iterable[ClaimCandidate],
        timing: Timing,
        now: UnixSeconds,
        last_claim: UnixSeconds,
        *,
        forced: bool,
    ) -> Self:
        able = [c for c in candidates if c.up_to > c.from_]
        least = timing.fees.cost(GAS_PER_ITEM)
        earning = {c.channel for c in able if c.worth > least}
        begun = [c.from_ for c in able if c.channel in earning]
        all_of_them = forced or is_time(begun, timing.interval_s, now, last_claim)
        late = forced or is_time(begun, int(timing.interval_s * LATE_INTERVALS), now, last_claim)
        chosen: list[ClaimCandidate] = []
        others: list[ClaimCandidate] = []
        for one in able:
            goes = one.release or (one.channel in earning and (all_of_them or one.urgent))
            (chosen if goes else others).append(one)
        return cls(sorted(chosen, key=lambda c: (not c.release, not c.urgent, -c.due)), others, late)

    @property
    def batch(self) -> Sequence[ClaimCandidate]:
        return self.chosen[:MAX_BATCH]

    @property
    def rest(self) -> Sequence[ClaimCandidate]:
        """All that the batch leaves."""
        return [*self.chosen[MAX_BATCH:], *self.others]

    @property
    def next(self) -> "_Queue":
        """The queue behind the batch."""
        return replace(self, chosen=self.chosen[MAX_BATCH:])

    def pays(self, timing: Timing) -> bool:
        """Whether the batch is worth its gas; a release goes out whatever it brings."""
        if any(c.release for c in self.batch):
            return True
        worth = sum(c.worth for c in self.batch)
        return worth >= max(1, timing.min_claim) and timing.fees.pays(worth, len(self.batch), late=self.late)


def is_time(begun: Iterable[UnixSeconds], interval_s: int, now: UnixSeconds, last_claim: UnixSeconds) -> bool:
    """An interval has passed since the last claim, and since the first of the open periods *begun*.

    A pod that comes after a long silence is not claimed for its first seconds. A period that was due
    when the last claim was cut, and had no room in it, does not wait for another interval.
    """
    first = min(begun, default=last_claim)
    return now >= max(last_claim, first) + interval_s or first + interval_s <= last_claim


class Fate(StrEnum):
    """What the chain says of one item of a stored claim."""

    LANDED = "landed"
    PENDING = "pending"
    """The chain still stands at the item's beginning: send (again)."""
    LOST = "lost"
    """It can never land any more: cut anew from where the chain stands."""


def judge(cut: Cut, chain: ChannelFact | None, *, ours: bool = True, payable: bool = True) -> Fate:
    """Fate of a stored item; *chain* None means read, and no such channel.

    A released channel is gone because of the item; another's was closed by its publisher. Not
    *ours*: another meter counts the channel now. Not *payable*: the channel ran dry, or holds less than
    an item that is to be paid whole; it is cut anew when there is money again.
    """
    if chain is None:
        return Fate.LANDED if cut.release else Fate.LOST
    if chain.up_to == cut.from_:
        return Fate.PENDING if ours and ((chain.left and payable) or cut.release) else Fate.LOST
    if chain.up_to == cut.up_to and not cut.release:
        return Fate.LANDED
    return Fate.LOST


def verdict(fates: Iterable[Fate]) -> Fate:
    """Fate of a whole claim: send while an item can still land, else it landed if any did."""
    seen = set(fates)
    if Fate.PENDING in seen:
        return Fate.PENDING
    return Fate.LANDED if Fate.LANDED in seen else Fate.LOST


def written(result: SubmissionResult) -> bool:
    """Whether a transaction changed the item's channel."""
    return not result.flags.skipped or Flags.RELEASED in result.flags


def outcomes(items: int, submissions: Sequence[Submission]) -> list[SubmissionResult] | None:
    """What became of each item over all transactions that carried the batch; None when there is none.

    The same batch may be mined twice, after a time-out or because somebody else sent it too: the
    second finds everything stale. An item counts where it was written, else as it was last skipped.
    """
    told = [one.results for one in submissions if len(one.results) == items]
    if not told:
        return None
    return [
        next((results[place] for results in told if written(results[place])), told[-1][place])
        for place in range(items)
    ]

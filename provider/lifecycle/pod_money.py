# SPDX-License-Identifier: Apache-2.0
"""What a pod has, owes and burns at one moment, from its record and its part of the ledger."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from trustedpods.contracts.terms import Terms, due
from trustedpods.protocol.errors import StoreFailure
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import TokenUnits, UnixSeconds, Usage
from trustedpods.provider.core import funds, metering
from trustedpods.provider.core.pod import ChannelFact, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import ledger

LEDGERS_AT_ONCE = 100
"""Pods whose books are read together: the daemon does not stand still while it counts their money."""


@dataclass(frozen=True, slots=True)
class PodMoney:
    """What was known of a pod's money at one time, and when to look again."""

    runway_s: int | None
    next_look: UnixSeconds
    replicas: int
    left: int
    revivable: bool
    accrued: int
    at: UnixSeconds


def money_of(
    record: PodRecord, fact: ChannelFact, replicas: int, book: metering.Ledger, now: UnixSeconds, grace_s: int
) -> PodMoney:
    """The pod's money at *now*; *book* is its ledger since the chain's `upTo`."""
    prices = Terms.unpack(record.terms or 0).prices
    accrued = due(metering.usage(book, fact.up_to, max(now, fact.up_to)), prices)
    rate = metering.rate(book, now)
    kept, least = metering.held(book, now), max(1, record.scaling.min_replicas)
    held = funds.Funds(left=fact.left, accrued=accrued, reserve=funds.reserve(kept, grace_s, prices))
    runway = funds.runway(held, rate, prices)
    awake = Usage(
        cpu_core_ms=record.size.cpu_milli * least,
        memory_mib_s=record.size.memory_mib * least,
        storage_mib_s=kept + record.size.scratch_mib * least,
    )
    return PodMoney(
        runway_s=runway,
        next_look=funds.next_check(runway, now),
        replicas=replicas,
        left=TokenUnits(fact.left),
        revivable=funds.may_revive(held, awake, prices),
        accrued=accrued,
        at=now,
    )


class PodMoneys:
    """What was last computed of each pod's money; *running* says how many replicas there are of a label."""

    def __init__(self, doors: Doors, pods: Pods, running: Callable[[str], int]) -> None:
        self._doors = doors
        self._pods = pods
        self._running = running
        self._last: dict[ChannelId, PodMoney] = {}

    def last(self, channel: ChannelId) -> PodMoney | None:
        """What was computed last, however long ago."""
        return self._last.get(channel)

    def forget(self, channel: ChannelId) -> None:
        """Something changed that the money depends on: it is computed anew at the next look."""
        self._last.pop(channel, None)

    def keep_only(self, standing: Collection[ChannelId]) -> None:
        """Of all other pods nothing is kept."""
        self._last = {channel: money for channel, money in self._last.items() if channel in standing}

    def known(self, record: PodRecord) -> PodMoney | None:
        """What was computed last, while it still holds."""
        known, fact = self._last.get(record.channel), record.chain
        if known is None or fact is None or known.left != fact.left:
            return None
        fresh = self._doors.now() < known.next_look and known.replicas == self._running(record.label)
        return known if fresh else None

    async def refresh(self, records: list[PodRecord]) -> None:
        """Bring up to date what is known of the money of *records*, in a few reads for all; StoreFailure."""
        latest = [self._pods.get(record.channel) or record for record in records]
        wanted = {
            record.channel: record.chain
            for record in latest
            if record.chain is not None and record.terms is not None and self.known(record) is None
        }
        channels = list(wanted)
        for start in range(0, len(channels), LEDGERS_AT_ONCE):
            asked = {channel: wanted[channel].up_to for channel in channels[start : start + LEDGERS_AT_ONCE]}
            for channel, book in (await self._doors.store.read(ledger.load_ledgers, asked)).items():
                record = self._pods.get(channel)
                if record is not None and record.terms is not None and record.chain == wanted[channel]:
                    self._last[channel] = self._of(record, wanted[channel], self._running(record.label), book)

    async def look_at(self, record: PodRecord) -> PodMoney | None:
        """The pod's money now, or as far as can be said; None where it has no channel or terms yet."""
        fact = record.chain
        if fact is None or record.terms is None:
            return None
        money = self.known(record)
        if money is None:
            try:
                money = await self.count(record, fact, self._running(record.label))
            except StoreFailure:
                return self._grown_old(record.channel)
            self._last[record.channel] = money
        return money

    async def count(self, record: PodRecord, fact: ChannelFact, replicas: int) -> PodMoney:
        """What the pod has, owes and burns now; StoreFailure."""
        book = await self._doors.store.read(ledger.load_ledger, record.channel, fact.up_to)
        return self._of(record, fact, replicas, book)

    def _of(self, record: PodRecord, fact: ChannelFact, replicas: int, book: metering.Ledger) -> PodMoney:
        return money_of(record, fact, replicas, book, self._doors.now(), self._doors.config.terms.grace_s)

    def _grown_old(self, channel: ChannelId) -> PodMoney | None:
        """What was known last, with the time since then taken off: a pod runs no further than that."""
        known = self._last.get(channel)
        if known is None or known.runway_s is None:
            return known
        return replace(known, runway_s=max(0, known.runway_s - (self._doors.now() - known.at)))

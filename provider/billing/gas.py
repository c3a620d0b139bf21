# SPDX-License-Identifier: Apache-2.0
"""What is spent on gas today, by the books, and which claims and deeds go out within the operator's cap.

What a claim may cost is stored with it before it is sent, and stands until its receipt is booked: a kill
between the two changes nothing. The price of gas is asked for only where there is a cap.
"""

import logging
from collections.abc import Collection, Mapping, Sequence, Set

from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.earnings import gas
from trustedpods.provider.core.earnings.gas import GasDecision, GasPlan, GasToday, PlannedBatch, Urgency
from trustedpods.provider.core.earnings.sums import DAY_S
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.core.settlement import ClaimCandidate, Cut
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import claims
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.operator import earnings

_log = logging.getLogger(__name__)

CLAIMS = "claims"
"""What waits, where pods' claims do."""


async def gas_today(doors: Doors) -> GasToday:
    """The UTC day's gas; StoreFailure without books."""
    spent, out = await doors.store.read(_spent_and_out, UnixSeconds(doors.now() // DAY_S * DAY_S))
    return GasToday(doors.config.gas.most_wei_per_day, spent, out + sum(doors.gas.sending.values()))


def _spent_and_out(tx: Tx, midnight: UnixSeconds) -> tuple[int, int]:
    return earnings.spent_since(tx, midnight), claims.gas_out(tx)


async def plan_within(
    doors: Doors,
    batches: Sequence[list[Cut]],
    found: Sequence[ClaimCandidate],
    *,
    asked: Collection[ChannelId] | None,
) -> GasPlan:
    """Of *batches* of these candidates what goes out today; *asked*: the operator said to claim these now.

    None means all of them.
    """
    if doors.config.gas.most_wei_per_day is None:
        return GasPlan(tuple(PlannedBatch(cuts, 0, "") for cuts in batches))
    now = doors.now()
    urgencies: Mapping[ChannelId, Urgency] = {
        one.channel: gas.urgency_of(one, now, asked=asked is None or one.channel in asked) for one in found
    }
    plan = gas.within(batches, urgencies, await gas_today(doors), await doors.chain.gas_price())
    for batch in plan.batches:
        if batch.reason.startswith(gas.OVER):
            _log.warning("a claim of %d channels goes out %s", len(batch.cuts), batch.reason)
    return plan


class HeldBack:
    """Channels whose claims wait for the next day, each with the end of its notice when that was said."""

    def __init__(self, doors: Doors, pods: Pods) -> None:
        self._doors = doors
        self._pods = pods
        self._notices: dict[ChannelId, UnixSeconds] = {}

    @property
    def channels(self) -> Set[ChannelId]:
        """Those that wait."""
        return self._notices.keys()

    def forget(self, channel: ChannelId) -> None:
        """It is decided anew."""
        self._notices.pop(channel, None)

    def keep(self, standing: Set[ChannelId]) -> None:
        """Of pods that are gone nothing waits."""
        self._notices = {channel: at for channel, at in self._notices.items() if channel in standing}
        self._doors.gas.waits(CLAIMS, len(self._notices))

    def notice_came(self, record: PodRecord) -> bool:
        """Whether it leaves at another time than when it was held back."""
        known = self._notices.get(record.channel)
        return known is not None and record.chain is not None and record.chain.unlock_at != known

    async def note(self, plan: GasPlan, notices: Mapping[ChannelId, UnixSeconds], *, early: bool) -> None:
        """These wait now, and no others; each that did not wait yet is told why.

        An *early* plan holds what is not due too: of that nothing waits.
        """
        waiting = plan.waiting & self.channels if early else plan.waiting
        new = waiting - self.channels
        self._notices = {channel: notices[channel] for channel in waiting}
        self._doors.gas.waits(CLAIMS, len(waiting))
        if new:
            _log.warning("claims of %d pods wait: %s", len(new), plan.reason)
        for channel in sorted(new):
            await self._pods.note(channel, "claim-deferred", plan.reason)


async def may_send(doors: Doors, kind: str, limit: int, urgency: Urgency) -> GasDecision:
    """Whether a deed with so much gas goes out today; where not, it is told as waiting under *kind*."""
    if doors.config.gas.most_wei_per_day is None:
        return GasDecision(True, "")
    worst = limit * await doors.chain.gas_price() * gas.PRICE_ROOM
    decision = gas.decide(await gas_today(doors), worst, urgency)
    doors.gas.waits(kind, 0 if decision.send else 1)
    if decision.send:
        doors.gas.sending[kind] = worst
    else:
        _log.warning("%s: %s", kind, decision.reason)
    return decision

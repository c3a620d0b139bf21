# SPDX-License-Identifier: Apache-2.0
"""The loop that compares store, chain, cluster and facade, and lets `core` say what follows.

What could not be read is left as it was last known: a chain that does not answer ends no pod, but
a pod runs at most to the runway that was last known.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import trio

from trustedpods.contracts.records import Channel
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import (
    InsufficientFunds,
    NetworkFailure,
    Refused,
    StoreFailure,
    TrustedPodsError,
)
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.billing.channel_watch import departure_of
from trustedpods.provider.core import funds
from trustedpods.provider.core.admission import check_channel
from trustedpods.provider.core.lifecycle import LifecycleCommand
from trustedpods.provider.core.pod import WORKING, ChannelFact, Phase, PodRecord
from trustedpods.provider.core.reconcile import (
    Decision,
    OperatorTimes,
    PodFacts,
    Read,
    Undisturbed,
    decide,
    nothing_can_follow,
)
from trustedpods.provider.doors import Doors
from trustedpods.provider.lifecycle.namespaces_look import NamespacesLook
from trustedpods.provider.lifecycle.pod_money import PodMoney, PodMoneys
from trustedpods.provider.lifecycle.recovery import Recovery
from trustedpods.provider.lifecycle.seldom import SeldomWarnings
from trustedpods.provider.lifecycle.workers import PodWorkers
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.serving.autoscaler import Autoscaler

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.5
"""A pod whose money ends runs on for so long at most; one look is two calls of the chain for all pods."""

CHAIN_LOOK_S = 4.0
"""A node that says nothing must not keep the other facts waiting: a pod's money may end meanwhile."""

PUBLISHED_AT_ONCE = 16
"""Pods that are published again side by side; each asks the cluster once."""

ABSENT_LOOKS = 2
"""A channel must be seen to be absent in so many looks (and in enough blocks) to be gone."""


@dataclass
class _Chain:
    """What the last readable look at the chain showed."""

    head: int = 0
    channels: dict[ChannelId, Channel | None] = field(default_factory=dict)
    absent_since: dict[ChannelId, tuple[int, int]] = field(default_factory=dict)
    taken_over: dict[ChannelId, Channel] = field(default_factory=dict)
    """What the records hold already: most looks find nothing else."""
    departed: dict[ChannelId, "_Departed"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Departed:
    """A channel that is not what was agreed: how, as what it was seen, and since which block."""

    how: str
    seen: Channel
    since: int


class Reconciler:
    """One look every `LOOK_EVERY_S`."""

    def __init__(
        self,
        doors: Doors,
        pods: Pods,
        bundles: Bundles,
        autoscaler: Autoscaler,
        workers: PodWorkers,
        recovery: Recovery,
    ) -> None:
        self._doors = doors
        self._recovery = recovery
        self._pods = pods
        self._bundles = bundles
        self._autoscaler = autoscaler
        self._workers = workers
        self._chain = _Chain()
        self._namespaces = NamespacesLook(doors)
        self._warnings = SeldomWarnings(_log)
        self._unpublished: list[PodRecord] = []
        self._moneys = PodMoneys(doors, pods, autoscaler.replicas.running_of)
        self._undisturbed: dict[ChannelId, Undisturbed] = {}

    def money(self, channel: ChannelId) -> PodMoney | None:
        """What was last computed of a pod's money."""
        return self._moneys.last(channel)

    async def count(self, record: PodRecord, fact: ChannelFact, replicas: int) -> PodMoney:
        """What the pod has, owes and burns now."""
        return await self._moneys.count(record, fact, replicas)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.look()
            except TrustedPodsError as error:
                _log.warning("reconciling: %s", error)
            await trio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """One look at everything."""
        await self._pods.catch_up()
        records = self._pods.standing
        for record in records:
            if record.phase in WORKING:
                self._workers.ensure(record.channel)
        self._forget_all_but({record.channel for record in records})
        looked_at = [
            record for record in records if record.phase not in WORKING or record.watched_while_waiting
        ]
        if not looked_at:
            return
        chain_read = await self._read_chain(looked_at)
        await self._namespaces.refresh()
        disturbed = [record for record in looked_at if not (chain_read and self._is_undisturbed(record))]
        for record in disturbed:
            self._undisturbed.pop(record.channel, None)
        try:
            await self._moneys.refresh(disturbed)
        except StoreFailure as error:
            _log.warning("money is reckoned from what was known: %s", error)
        self._unpublished = []
        for record in disturbed:
            await self._guarded(record, "look", partial(self._one, record, chain_read=chain_read))
        await self._publish_all(self._unpublished)

    def _forget_all_but(self, standing: set[ChannelId]) -> None:
        self._moneys.keep_only(standing)
        self._warnings.keep_only((channel, name) for channel in standing for name in ("look", "publish"))
        self._undisturbed = {one: last for one, last in self._undisturbed.items() if one in standing}

    async def _guarded(self, record: PodRecord, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do *work* for a pod; what it meets is told seldom, and ends nobody else's care."""
        subject = (record.channel, name)
        try:
            await work()
        except TrustedPodsError as error:
            self._warnings.warn(subject, f"{record.label}: {error}")
        except Exception:  # noqa: BLE001 - a bug met by one pod must not end the others' care
            _log.exception("%s: it could not be looked at", record.label)
        else:
            self._warnings.well(subject)

    async def _publish_all(self, records: list[PodRecord]) -> None:
        """Some side by side: a pod that cannot be published now must not keep the others waiting."""
        limiter = trio.CapacityLimiter(PUBLISHED_AT_ONCE)
        async with trio.open_nursery() as nursery:
            for record in records:
                nursery.start_soon(self._guarded, record, "publish", partial(self._publish, record, limiter))

    async def _publish(self, record: PodRecord, limiter: trio.CapacityLimiter) -> None:
        async with limiter:
            latest = self._pods.get(record.channel)
            if latest is not None and latest.phase is record.phase:
                await self._pods.run(latest, LifecycleCommand.PUBLISH)

    # ---- reading -----------------------------------------------------------------------------

    async def _read_chain(self, records: list[PodRecord]) -> bool:
        ids = [record.channel for record in records]
        try:
            with trio.fail_after(CHAIN_LOOK_S):
                head = await self._doors.chain.head()
                channels = await self._doors.chain.channels(self._doors.owner, ids)
        except trio.TooSlowError:
            _log.warning("the chain cannot be read: no answer within %s s", CHAIN_LOOK_S)
            return False
        except NetworkFailure as error:
            _log.warning("the chain cannot be read: %s", error)
            return False
        self._chain.head = head.number
        self._chain.channels = dict(zip(ids, channels, strict=True))
        taken_over: dict[ChannelId, Channel] = {}
        for record, channel in zip(records, channels, strict=True):
            last = self._undisturbed.get(record.channel)
            if last is not None and channel is not None and last[:2] == (record, channel):  # compared before
                taken_over[record.channel] = channel
                continue
            try:
                if channel is None:
                    first, looks = self._chain.absent_since.get(record.channel, (head.number, 0))
                    self._chain.absent_since[record.channel] = (first, looks + 1)
                elif await self._compared(self._pods.get(record.channel) or record, channel):
                    taken_over[record.channel] = channel
            except TrustedPodsError as error:
                _log.warning("%s: what its channel shows cannot be kept: %s", record.label, error)
            except Exception:  # noqa: BLE001 - as in `look`
                _log.exception("%s: its channel could not be looked at", record.label)
        self._chain.taken_over = taken_over
        return True

    async def _compared(self, record: PodRecord, channel: Channel) -> bool:
        """Whether the record holds what its channel shows, which is still the one that was agreed."""
        self._chain.absent_since.pop(record.channel, None)
        same = record.chain == ChannelFact.of(channel)
        if not same or self._chain.taken_over.get(record.channel) != channel:
            known = self._chain.departed.get(record.channel)
            if known is None or known.seen != channel:
                await self._recovery.compare(record, channel)
            if not await self._take_over(record, channel):
                return False
        self._chain.departed.pop(record.channel, None)
        return True

    async def _take_over(self, record: PodRecord, channel: Channel) -> bool:
        """What the chain says now; False where that is another channel than was agreed, and nothing is taken.

        Of the terms, a publisher can raise the cap, at any time.
        """
        how = await departure_of(self._doors.store, record, channel)
        if how is not None and not await self._agree_anew(record, channel, how):
            return False
        record, fact = self._pods.get(record.channel) or record, ChannelFact.of(channel)
        known = None if record.terms is None else Terms.unpack(record.terms)
        if known is not None and funds.cap_raised(known, channel.terms):
            record = await self._pods.learn(record.channel, chain=fact, terms=channel.terms.pack())
            self._autoscaler.limits_changed(record)
        else:
            await self._pods.learn(record.channel, chain=fact)
        return True

    async def _agree_anew(self, record: PodRecord, channel: Channel, how: str) -> bool:
        """Whether a departed channel is good for its pod after all: checked like a new one, once it stopped.

        Like a new one it must have stood for the market's finality. Terms that changed are measured by
        today's list.
        """
        before = self._chain.departed.get(record.channel)
        since = self._chain.head if before is None or before.seen != channel else before.since
        self._chain.departed[record.channel] = _Departed(how, channel, since)
        deep = self._chain.head >= since + self._doors.config.market.finality_blocks
        if record.phase is not Phase.STOPPED or record.terms is None or not deep:
            return False
        agreed, now = Terms.unpack(record.terms), self._doors.now()
        try:
            check_channel(channel, self._doors.offer, record.meter, record.size, record.scaling, now, agreed)
        except (Refused, InsufficientFunds) as error:
            _log.debug("%s stays stopped: %s", record.label, error)
            return False
        record = await self._pods.change(
            record.channel, chain=ChannelFact.of(channel), terms=channel.terms.pack()
        )
        self._moneys.forget(record.channel)
        self._autoscaler.limits_changed(record)
        await self._pods.note(record.channel, "channel-checked", f"{how}; it is good for the pod as it is")
        return True

    # ---- deciding ----------------------------------------------------------------------------

    async def _one(self, record: PodRecord, *, chain_read: bool) -> None:
        latest = self._pods.get(record.channel)
        if latest is None or latest.phase is not record.phase:
            return
        if (
            latest.other is not None and latest.phase not in WORKING
        ):  # a failure or a kill kept it from being taken away
            await self._autoscaler.discard(latest, latest.other)
            latest = await self._pods.change(latest.channel, other=None)
        await self._discard_strays(latest)
        money = await self._moneys.look_at(latest)
        facts = self._facts(latest, money, chain_read=chain_read)
        terms = self._doors.config.terms
        decision = decide(latest, facts, OperatorTimes(terms.grace_s, terms.warn_before_s))
        await self._carry_out(latest, decision)
        await self._warn(latest, money)
        rests_on = self._rests_on(latest)
        compared = self._chain.taken_over.get(latest.channel) == rests_on.channel
        if compared and nothing_can_follow(latest, facts, decision):
            self._undisturbed[latest.channel] = rests_on

    def _rests_on(self, record: PodRecord) -> Undisturbed:
        key = record.channel
        channel, money = self._chain.channels.get(key), self._moneys.last(key)
        return Undisturbed(record, channel, money, self._namespaces.changes)

    def _is_undisturbed(self, record: PodRecord) -> bool:
        """Whether all that the last look at the pod went by is as it was, so that this one finds the same."""
        last, latest = self._undisturbed.get(record.channel), self._pods.get(record.channel)
        return (
            last is not None
            and latest is not None
            and last == self._rests_on(latest)
            and self._moneys.known(latest) is last.money
            and self._autoscaler.pod_scaler(latest.channel) is not None
            and self._bundles.held(latest)
        )

    async def _discard_strays(self, record: PodRecord) -> None:
        for namespace in self._namespaces.take_strays(record):
            _log.warning("%s: namespace %s is of no version that is known; it goes", record.label, namespace)
            await self._autoscaler.discard(record, namespace)

    def _facts(self, record: PodRecord, money: PodMoney | None, *, chain_read: bool) -> PodFacts:
        held = self._bundles.held(record)
        pod_scaler = self._autoscaler.pod_scaler(record.channel)
        fact, departed = record.chain, self._chain.departed.get(record.channel)
        return PodFacts(
            now=self._doors.now(),
            key_held=held,
            channel=self._channel_read(record) if chain_read else Read.UNKNOWN,
            unlock_at=departed.seen.unlock_at if departed else fact.unlock_at if fact else UnixSeconds(0),
            namespace=self._namespaces.read(record),
            published=Read.PRESENT if pod_scaler is not None else Read.ABSENT,
            replicas=self._autoscaler.replicas.running_of(record.label),
            runway_s=money.runway_s if money else None,
            revivable=money.revivable if money else False,
            departed=departed.how if departed else None,
        )

    def _channel_read(self, record: PodRecord) -> Read:
        if record.channel not in self._chain.channels:
            return Read.UNKNOWN
        if self._chain.channels[record.channel] is not None:
            return Read.PRESENT
        first, looks = self._chain.absent_since[record.channel]
        deep = self._chain.head >= first + self._doors.config.market.finality_blocks
        return Read.ABSENT if deep and looks >= ABSENT_LOOKS else Read.UNKNOWN

    async def _carry_out(self, record: PodRecord, decision: Decision) -> None:
        if decision.event is not None:
            await self._workers.give_up(record.channel, decision.reason)
            await self._pods.step(record.channel, decision.event, decision.reason)
            self._workers.ensure(record.channel)
            self._moneys.forget(record.channel)
        for command in decision.commands:
            if command is LifecycleCommand.PUBLISH:
                self._unpublished.append(record)
            else:
                await self._pods.run(record, command)

    async def _warn(self, record: PodRecord, money: PodMoney | None) -> None:
        if money is None or not (record.live or record.phase is Phase.RETAINED):
            return
        near = funds.must_warn(money.runway_s, self._doors.config.terms.warn_before_s)
        if near and not record.warned:
            await self._pods.learn(record.channel, warned=True)
            await self._pods.note(
                record.channel,
                "funds-warning",
                f"the deposit lasts {money.runway_s} s more at the present rate: top it up",
            )
        elif not near and record.warned:
            await self._pods.learn(record.channel, warned=False)

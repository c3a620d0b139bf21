# SPDX-License-Identifier: Apache-2.0
"""Writes what happened into the ledger: starts and ends of replicas, bytes that passed.

Times are the API server's own, and a finalizer keeps each ended replica readable until its end is
in the ledger, so a daemon that was away loses nothing.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import trio

from trustedpods.protocol.errors import NetworkFailure, StoreFailure, TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.billing.refused_egress import RefusedEgress
from trustedpods.provider.cluster.views import NodeView, PodView
from trustedpods.provider.core.metering import REPORT_LAG_S, Ceiling, Run
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.core.traffic import SlotStats, Traffic, TrafficMark, combine, traffic_since
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import boots, ledger

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrafficReading:
    """What the facade's counters showed of each pod, and why that is not in the books, where it is not."""

    readings: Mapping[ChannelId, SlotStats]
    unwritten: StoreFailure | None = None


class Meter:
    """Observes replicas and traffic. Seeing the same thing twice writes nothing."""

    def __init__(self, doors: Doors, pods: Pods) -> None:
        self._doors = doors
        self._pods = pods
        self._written: dict[str, Run] = {}
        self._marks: dict[ChannelId, TrafficMark] = {}
        self._booked: dict[str, tuple[int, int]] = {}
        self.refused = RefusedEgress()
        """Pods that limits of egress hold back."""
        self._last_requests: dict[ChannelId, UnixSeconds] = {}
        self._pending: dict[ChannelId, UnixSeconds] = {}
        self._let_go_at: dict[ChannelId, UnixSeconds] = {}
        """Pods of which nothing is stored since then, where that is not in the ledger yet."""
        self._observing = trio.Lock()
        self._counting = trio.Lock()
        self._began = doors.now()

    async def seen(self, view: PodView) -> None:
        """A replica as the cluster shows it now: note its start, its end, and let it go.

        What runs without its bundle's key is from before a reboot: nobody asked for it since, nobody pays.
        Unless it runs on after a take-over.
        """
        record = self._pods.of_label(view.label)
        if record is None:
            return
        awaits = record.phase is Phase.AWAITING_KEY
        counts = record.runs_on if awaits else record.boot_id == self._doors.keys.boot_id
        run = run_of(view) if counts else None
        if run is not None and self._written.get(view.uid) != run:
            await self._doors.store.write(ledger.record_run, record.channel, view.namespace, run)
            self._written[view.uid] = run
        if not view.over:
            return
        if view.finished_at is None or not counts:
            # It counts only if it was seen to run: of one that never did the node says the same.
            ended = end_of(view, self._doors.now()) if view.finished_at is None else view.finished_at
            await self._doors.store.write(ledger.end_runs, [view.uid], ended)
        if view.metered:
            if view.deleted_at is None:
                await self._pods.note(record.channel, "replica-ended", await self._why(view))
            await self._doors.cluster.drop_finalizer(view.namespace, view.name, view.uid)
        if view.deleted_at is None:
            await self._doors.cluster.delete_ended(view.namespace, view.name, view.uid)

    async def _why(self, view: PodView) -> str:
        """Why a replica ended that nobody asked to; an eviction may stand in Kubernetes' events only."""
        try:
            lines = await self._doors.cluster.events(view.namespace)
        except TrustedPodsError:
            lines = []  # the bill does not wait for a reason
        told = [line for line in lines if line.startswith("Warning") and f"/{view.name}: " in line]
        return view.waiting or (told[-1] if told else "it ended by itself")

    async def observe(self) -> UnixSeconds:
        """Look at all replicas; everything before the returned time is then in the ledger.

        NetworkFailure when the cluster cannot be read: nothing may be claimed on old knowledge.
        """
        async with self._observing:
            began = self._doors.now()
            for channel in list(self._let_go_at):
                await self._write_let_go(channel)
            views = await self._doors.cluster.pods()
            for view in views:
                await self.seen(view)
            nodes = await self._doors.cluster.nodes()
            await self._end_silent(views, nodes)
            self._pending = self._pending_in(views, nodes, began)
            await self._end_lost({view.uid for view in views}, began)
            await self._count_past_the_facade({view.uid for view in views})
            await self._doors.store.write(boots.counted, self._doors.keys.boot_id, began)
            return began

    def pending_since(self, channel: ChannelId) -> UnixSeconds | None:
        """From when on it was not known at the last `observe` whether a replica counts."""
        return self._pending.get(channel)

    def _pending_in(
        self, views: Iterable[PodView], nodes: Mapping[str, NodeView], now: UnixSeconds
    ) -> dict[ChannelId, UnixSeconds]:
        """From when on each channel's use is not known yet: see `unsure_since`."""
        found: dict[ChannelId, UnixSeconds] = {}
        for view in views:
            record = self._pods.of_label(view.label)
            if record is None or view.over:
                continue
            since = unsure_since(view, nodes, now)
            if since is None:
                continue
            found[record.channel] = min(since, found.get(record.channel, since))
        return found

    async def _count_past_the_facade(self, present: Collection[str] | None = None) -> None:
        """Book what replicas sent and received without the facade. Totals: what is not read now is later.

        Where the replicas that are *present* are known, limited pods are told so, once for each time.
        """
        try:
            found = await self._doors.traffic.counters()
        except NetworkFailure as error:
            _log.warning("traffic past the facade is not counted now: %s", error)
            return
        totals = {one.uid: (one.egress_bytes, one.ingress_bytes) for one in found}
        changed = {uid: total for uid, total in totals.items() if self._booked.get(uid) != total}
        if changed:
            await self._doors.store.write(ledger.record_counters, changed, self._doors.now(), self._began)
        self._booked = totals
        if present is not None:
            for namespace in self.refused.take(found, present, self._doors.now()):
                await self._tell_limited(namespace)

    async def _tell_limited(self, namespace: str) -> None:
        for record in self._pods.standing:
            if record.namespace == namespace:
                limits = self._doors.config.egress.limits or "none any more"
                text = f"packets are refused: the pod sends more than this provider's limit, {limits}"
                await self._pods.note(record.channel, "egress-limited", text)

    async def _end_silent(self, views: Iterable[PodView], nodes: Mapping[str, NodeView]) -> None:
        """Runs that are to end, on a node that nobody hears any more: others took their place meanwhile.

        Each ends when its node was last heard. Should it return and say more, a recorded end stays.
        """
        for view in views:
            node = nodes.get(view.node or "")
            if node is not None and node.silent and view.deleted_at is not None and not view.over:
                heard = min(node.heard, self._doors.now())  # by the node's own clock
                await self._doors.store.write(ledger.end_runs, [view.uid], heard)

    async def _end_lost(self, present: set[str], now: UnixSeconds) -> None:
        """Runs whose replica is gone although it was never seen to end: somebody removed it by force.

        It ends when it was last seen: whether it ran after that, nobody knows.
        """
        unfinished = await self._doors.store.read(ledger.open_runs)
        lost = [uid for uid in unfinished if uid not in present]
        if lost:
            _log.warning("%d replicas vanished without an end", len(lost))
            seen = await self._doors.store.read(boots.last_counted_by_any)
            await self._doors.store.write(ledger.end_runs, lost, now if seen is None else seen)
        for uid in [uid for uid, run in self._written.items() if uid not in present and run.ended]:
            del self._written[uid]

    async def running(self, channel: ChannelId) -> bool:
        """Whether a run of the pod has no end yet."""
        book = await self._doors.store.read(ledger.load_ledger, channel, self._doors.now())
        return any(run.ended is None for run in book.runs)

    async def hold(self, record: PodRecord) -> None:
        """From now on volumes, image, and what is missing to the idle minimum are billed.

        No second costs more CPU and memory than `scale.max` replicas of the size that it has now.
        """
        size, least = record.size, self._doors.config.terms.idle_mib
        sizes = {
            "image": size.image_mib,
            "volume": size.volume_mib,
            "floor": max(0, least - size.image_mib - size.volume_mib),
        }
        await self._write_let_go(record.channel)  # what it held until then ended before this
        now, most = self._doors.now(), record.scaling.max_replicas
        ceiling = Ceiling(now, most * size.cpu_milli, most * size.memory_mib, most * size.scratch_mib)
        opened = None if record.chain is None else record.chain.up_to
        await self._doors.store.write(ledger.hold, record.channel, sizes, now, ceiling, opened or now)

    async def hold_outliving(self, record: PodRecord) -> None:
        """From now on only the volumes that outlive their deleted pod are billed, without any minimum."""
        await self._write_let_go(record.channel)
        sizes = {"volume": record.size.volume_mib}
        await self._doors.store.write(ledger.hold, record.channel, sizes, self._doors.now())

    async def let_go(self, record: PodRecord) -> None:
        """Nothing is stored for the pod any more: from now on, also where that can only be written later."""
        self._let_go_at.setdefault(record.channel, self._doors.now())
        await self._write_let_go(record.channel)

    async def _write_let_go(self, channel: ChannelId) -> None:
        at = self._let_go_at.get(channel)
        if at is not None:
            await self._doors.store.write(ledger.hold, channel, {}, at)
            self._let_go_at.pop(channel, None)

    async def begin_traffic(self, marks: Mapping[ChannelId, TrafficMark]) -> None:
        """The pods have slots; their traffic counts from *marks*, unless earlier ones are stored."""
        async with self._counting:
            if marks:
                self._marks.update(await self._doors.store.write(ledger.begin_traffic, marks))

    async def end_traffic(self, channel: ChannelId) -> None:
        """The pod left its slot."""
        async with self._counting:
            self._marks.pop(channel, None)
            self._last_requests.pop(channel, None)
            await self._doors.store.write(ledger.drop_mark, channel)

    async def count_traffic(
        self, slots_of: Callable[[], Mapping[ChannelId, Collection[int]]]
    ) -> TrafficReading:
        """Read the pods' slots and book what passed, all in one transaction; nothing new writes nothing.

        One reading at a time: of two that cross a restart of the proxy the older would count once more.
        *slots_of* is asked before and after, as slots change while the facade answers. NetworkFailure when it
        does not.
        """
        async with self._counting:
            asked = {slot for slots in slots_of().values() for slot in slots}
            told = await self._doors.facade.stats(asked)
            readings = {
                channel: combine({slot: told[slot] for slot in slots})
                for channel, slots in slots_of().items()
                if set(slots) <= told.keys()  # else it got another slot meanwhile
            }
            try:
                await self._book(readings)
            except StoreFailure as error:  # counters are totals: it is booked with the next reading
                return TrafficReading(readings, error)
            return TrafficReading(readings)

    async def _book(self, readings: Mapping[ChannelId, SlotStats]) -> None:
        changed, now = {}, self._doors.now()
        for channel, stats in readings.items():
            mark = self._marks.get(channel)
            if mark is None:
                continue
            passed, next_mark = traffic_since(mark, stats)
            if passed.requests:
                self._last_requests[channel] = UnixSeconds(now - (stats.last_session_s or 0))
            if stats.newest_led_s is not None:
                led = UnixSeconds(now - stats.newest_led_s)
                self._last_requests[channel] = max(led, self._last_requests.get(channel, led))
            if next_mark != mark:
                changed[channel] = stats
        if changed:
            marks = await self._doors.store.write(ledger.count_traffic, changed, now, self._began)
            self._marks.update(marks)

    def last_request(self, channel: ChannelId) -> UnixSeconds | None:
        """When the newest request or connection began that was counted since the daemon's start."""
        return self._last_requests.get(channel)

    async def forgive_traffic(self, record: PodRecord, up_to: UnixSeconds) -> None:
        """The books were set back, and the chain has paid up to then: their marks are older than that.

        What the counters show beyond the marks is taken as paid; they count on from here. NetworkFailure
        without a facade.
        """
        await self._count_past_the_facade()
        async with self._counting:
            slots = self._doors.facade.slots_of(record.label).values()
            if slots:
                told = await self._doors.facade.stats(slots)
                await self._book({record.channel: combine({slot: told[slot] for slot in slots})})
            await self._doors.store.write(ledger.forgive_traffic, record.channel, up_to)

    async def carried(self, channel: ChannelId, passed: Traffic) -> None:
        """What the daemon itself carried to and from the pod: input and output of commands."""
        if passed.bytes_in or passed.bytes_out:
            await self._doors.store.write(ledger.add_traffic, channel, passed, self._doors.now(), self._began)

    async def keep_observing(self, pause_s: float) -> None:
        """Observe now and then, for what a watch may have missed. Never returns."""
        while True:
            try:
                await self.observe()
            except TrustedPodsError as error:
                _log.warning("replicas cannot be observed: %s", error)
            await trio.sleep(pause_s)


def unsure_since(view: PodView, nodes: Mapping[str, NodeView], now: UnixSeconds) -> UnixSeconds | None:
    """From when on it may turn out that a replica counts, or that it does not; None where that is known.

    The kubelet says a little late when it took one up. What runs counts for sure until its node was heard.
    With one node nothing takes the place of what ran there: it ran on, or says when it ended.
    """
    if run_of(view) is None:
        return UnixSeconds(now - REPORT_LAG_S) if view.started_at is None else view.started_at
    node = nodes.get(view.node or "")
    moved = node is not None and node.silent and view.deleted_at is not None
    if node is None or len(nodes) == 1 or moved:
        return None
    return min(node.heard, now)


def end_of(view: PodView, now: UnixSeconds) -> UnixSeconds:
    """When a replica ended of which no container says it: as soon as anybody knew, *now* at the latest."""
    known = [time for time in (view.deleted_at, view.turned_at) if time is not None]
    return min([now, *known])


def run_of(view: PodView) -> Run | None:
    """The run of a replica; None while no container of it has started, or when none ever did.

    A replica of which a container runs counts, also while its phase is still Pending: an init
    container works, or another one's image is awaited.
    """
    if view.started_at is None:
        return None
    if view.over:
        if view.finished_at is None:
            return None
        return Run(
            view.uid,
            view.started_at,
            UnixSeconds(max(view.started_at, view.finished_at)),
            view.cpu_milli,
            view.memory_mib,
            view.scratch_mib,
        )
    if view.phase != "Running" and not view.begun:
        return None
    return Run(view.uid, view.started_at, None, view.cpu_milli, view.memory_mib, view.scratch_mib)

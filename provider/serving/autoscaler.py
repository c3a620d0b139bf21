# SPDX-License-Identifier: Apache-2.0
"""All published pods: gives them scalers, wakes them, stops them, reads their traffic."""

import logging
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.messages.pod import PodFailure
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.core.metering import drain_limit
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.core.scaler import scaler, types
from trustedpods.provider.doors import Doors
from trustedpods.provider.exposure.service_keys import pod_of
from trustedpods.provider.facade import readiness
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeAnswer, WakeRefusal
from trustedpods.provider.facade.slots import ServiceSpec
from trustedpods.provider.pods.bundles import Bundles, OpenBundle
from trustedpods.provider.pods.host_proofs import HostProofs
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.serving import failures, version_switch
from trustedpods.provider.serving.facade_sync import FacadeSync
from trustedpods.provider.serving.limits import end_limit, limits_of
from trustedpods.provider.serving.log_keeper import LogKeeper
from trustedpods.provider.serving.pod_scaler import PodScaler, PublishedPod
from trustedpods.provider.serving.replica_watch import ReplicaWatch
from trustedpods.provider.serving.slots import ExposedServices, give_slots, take_off
from trustedpods.provider.serving.warm.sleepers import WarmSleepers
from trustedpods.provider.supervise import supervise

if TYPE_CHECKING:
    from trio_typing import TaskStatus

_log = logging.getLogger(__name__)

TICK_S = 1.0
"""How often awake pods are looked at: their traffic, and why they do not start."""

UNKNOWN_RETRY_S = 5
"""Retry-After for a slot without a scaler: by then the reconciler has looked at it again."""


class Autoscaler:
    """The scalers of all pods that are published here."""

    def __init__(self, doors: Doors, pods: Pods, bundles: Bundles, meter: Meter) -> None:
        self._doors = doors
        self._pods = pods
        self._bundles = bundles
        self._meter = meter
        self._pod_scalers: dict[ChannelId, PodScaler] = {}
        self._facade_sync = FacadeSync(doors, self._pod_scalers)
        self._labels: dict[str, PodScaler] = {}
        self._unpublished: dict[ChannelId, str] = {}
        self._logs, self._starts = LogKeeper(doors, pods), failures.StartHistory(pods)
        self._replicas = ReplicaWatch(doors, meter, self._logs, self._labels.get)
        self._nursery: trio.Nursery | None = None
        self._warm = WarmSleepers(doors, self._replicas.all)
        self._adopted = trio.Event()
        self.publishing = trio.Lock()
        self.hosts = HostProofs(doors.now)
        """Of publishers' own names, those under which a pod is not served."""

    def pod_scaler(self, channel: ChannelId) -> PodScaler | None:
        """The pod's scaler, if it is published."""
        return self._pod_scalers.get(channel)

    def replicas_of(self, record: PodRecord) -> tuple[int, int]:
        """How many replicas of a pod exist, and how many of them take requests."""
        pod_scaler = self._pod_scalers.get(record.channel)
        return self._replicas.running_of(record.label), len(pod_scaler.state.ready) if pod_scaler else 0

    def failure_of(self, record: PodRecord) -> PodFailure | None:
        """Why a pod that was proven does not start; None while nothing is wrong with it."""
        pod_scaler = self._pod_scalers.get(record.channel)
        if (
            record.phase is not Phase.SERVING
            or pod_scaler is None
            or not failures.is_failing(pod_scaler.state)
        ):
            return None
        clock = trio.current_time()
        return failures.failure_of(pod_scaler.state, pod_scaler.failure, self._doors.now(), clock)

    def start_told(self, record: PodRecord) -> str:
        """What holds up the start that goes on, in the cluster's words; empty if nothing does."""
        pod_scaler = self._pod_scalers.get(record.channel)
        if pod_scaler is None or pod_scaler.state.phase is not scaler.ScalePhase.WAKING:
            return ""
        return "" if pod_scaler.found is None else f"starting: {failures.sentence(pod_scaler.found.text)}"

    @property
    def replicas(self) -> ReplicaWatch:
        """All replicas, as the watch shows them."""
        return self._replicas

    async def answer_wake(self, slot: int) -> WakeAnswer:
        """What the activator asks. While a pod is being changed its requests wait."""
        asked, cold = trio.current_time(), self._sleeps(slot)
        answer = await self._wake(slot)
        served = isinstance(answer, WakeAddress)
        self._doors.metrics.woken(trio.current_time() - asked, cold=cold, served=served)
        return answer

    def _sleeps(self, slot: int) -> bool:
        pod_scaler = self._labels.get(pod_of(self._doors.facade.label_of(slot) or ""))
        return pod_scaler is not None and pod_scaler.state.phase is scaler.ScalePhase.ASLEEP

    async def _wake(self, slot: int) -> WakeAnswer:
        with trio.move_on_after(self._longest_wake):
            while (key := self._doors.facade.label_of(slot)) is not None:
                pod_scaler = self._labels.get(pod_of(key))
                if pod_scaler is None:
                    await self._adopted.wait()
                elif (answer := await pod_scaler.wake(slot)) is not None:
                    return answer
        return WakeRefusal("this pod is not ready to be woken yet", UNKNOWN_RETRY_S)

    @property
    def _longest_wake(self) -> float:
        """No pod's requests wait longer; each pod's scaler has its own limit below."""
        return max(self._doors.config.facade.wake_limit_s, self._doors.config.terms.max_start_s)

    async def publish(self, record: PodRecord, opened: OpenBundle) -> PodScaler:
        """Give the pod its slot and a scaler; one that it has gets the new limits."""
        replicas = None
        if not self._runs(record):  # asked before others have to wait
            replicas = await self._doors.cluster.replicas(record.namespace)
        async with self.publishing:
            known = self._pod_scalers.get(record.channel)
            if known is not None:
                await self._read_traffic([known])  # the last reading of the slots that it had
            found = await give_slots(self._doors, self._meter, [(record, opened)], self.hosts)
            services = found[record.channel]
            if isinstance(services, TrustedPodsError):
                self._unpublished[record.channel] = services.what
                raise services
            known = self._pod_scalers.get(record.channel)
            if known is not None and self._runs(record):
                known.serves(services)
                known.feed(types.LimitsSet(self._limits(record)))
                return known
            if replicas is None:
                replicas = await self._doors.cluster.replicas(record.namespace)
            return self._adopt(self._make(record, opened, services, replicas))

    def _runs(self, record: PodRecord) -> bool:
        """Whether there is a scaler for the version of the record."""
        known = self._pod_scalers.get(record.channel)
        return known is not None and known.published.namespace == record.namespace

    def _make(
        self, record: PodRecord, opened: OpenBundle, services: ExposedServices, replicas: int
    ) -> PodScaler:
        published = PublishedPod(
            record.channel,
            record.label,
            record.namespace,
            services,
            readiness.probes_of(opened.manifest, [part.port for part in services.values()]),
            opened.manifest.spec.termination_grace_period_seconds,
        )
        return PodScaler(self._doors.cluster, self._doors.facade, published, self._limits(record), replicas)

    def _limits(self, record: PodRecord, stopped: str | None = None) -> types.Limits:
        return limits_of(self._doors, self._bundles, record, stopped)

    def limits_changed(self, record: PodRecord) -> None:
        """The channel has a higher cap, or its publisher stopped or started it: what runs keeps to that."""
        pod_scaler = self._pod_scalers.get(record.channel)
        if pod_scaler is not None:
            proven = self._proven(record)[0] if record.waits_for_others else record
            pod_scaler.feed(scaler.LimitsSet(self._limits(proven, pod_scaler.state.limits.halted)))

    def unpublished_told(self, record: PodRecord) -> str:
        """Why the facade does not serve a pod that should be served, in words; empty if it does."""
        reason = self._unpublished.get(record.channel)
        return "" if reason is None or record.channel in self._pod_scalers else f"not served now: {reason}"

    def cap_told(self, record: PodRecord) -> str:
        """That the channel's cap holds the pod back, in words; empty if it does not."""
        pod_scaler = self._pod_scalers.get(record.channel)
        return "" if pod_scaler is None else scaler.cap_told(pod_scaler.state, trio.current_time())

    async def park(self, record: PodRecord, reason: str) -> None:
        """No replicas from now on; whoever asks is told why."""
        pod_scaler = self._pod_scalers.get(record.channel)
        if pod_scaler is not None:
            pod_scaler.feed(scaler.LimitsSet(self._limits(record, reason)))
            return
        try:
            await take_off(self._doors, self._meter, record, self.publishing)
        finally:  # without a facade too: it is not to cost anything
            if await self._doors.cluster.replicas(record.namespace):
                await self._doors.cluster.scale(record.namespace, 0)

    async def withdraw(self, record: PodRecord) -> None:
        """Take the pod off the facade for good; `Meter.end_traffic` closes the book of its last reading."""
        pod_scaler = self._pod_scalers.get(record.channel)
        if pod_scaler is not None:
            await self._read_traffic([pod_scaler])
        self.drop(record.channel)
        for slot in self._doors.facade.slots_of(record.label).values():
            await self._doors.facade.withdraw(slot)

    def drop(self, channel: ChannelId) -> None:
        """Forget the pod's scaler; it stays as it is in cluster and facade."""
        pod_scaler = self._pod_scalers.pop(channel, None)
        if pod_scaler is not None:
            self._labels.pop(pod_scaler.published.label, None)
            pod_scaler.end()

    async def quiesce(self, record: PodRecord) -> None:
        """Bring a pod to zero before its objects change: new requests wait, old ones may finish."""
        pod_scaler = self._pod_scalers.get(record.channel)
        if pod_scaler is not None:
            self.drop(record.channel)
            with trio.move_on_after(drain_limit(pod_scaler.published.grace_s)):
                while await self._in_flight(pod_scaler) > 0:  # noqa: ASYNC110 - HAProxy tells nobody
                    await trio.sleep(0.25)
        await self.empty(record)

    async def prove(self, record: PodRecord, opened: OpenBundle, namespace: str) -> None:
        """See that a version which was applied in *namespace* runs; Refused says why not."""
        await version_switch.prove(self._doors, self._replicas, record, opened, namespace)

    async def until_all_ready(self, record: PodRecord, opened: OpenBundle) -> None:
        """Wait until every replica of a pod with a fixed number takes requests; Refused says why not."""
        pod_scaler = self._pod_scalers.get(record.channel)
        count = version_switch.to_prove(opened)
        if pod_scaler is not None and count > 1:
            await version_switch.until_all_ready(self._doors, self._replicas, pod_scaler, count)

    async def take_over(self, record: PodRecord, opened: OpenBundle, namespace: str) -> PodScaler:
        """Requests go to the version in *namespace* once it is seen ready, until then where they went."""
        async with self.publishing:
            known = self._pod_scalers.get(record.channel)
            if known is not None:
                await self._read_traffic([known])
            found = await give_slots(self._doors, self._meter, [(record, opened)], self.hosts)
            services = found[record.channel]
            if isinstance(services, TrustedPodsError):
                raise services
            replicas = await self._doors.cluster.replicas(namespace)
            self.drop(record.channel)
            return self._adopt(self._make(replace(record, namespace=namespace), opened, services, replicas))

    async def let_finish(self, record: PodRecord, namespace: str) -> None:
        """Wait a while until replicas in *namespace*, which get nothing new, have nothing in flight."""
        names = {view.name for view in self._replicas.of(record.label) if view.namespace == namespace}
        pod_scaler = self._pod_scalers.get(record.channel)
        if pod_scaler is not None:
            await version_switch.let_finish(self._doors, pod_scaler, names)

    async def discard(self, record: PodRecord, namespace: str) -> None:
        """A version that goes: what it wrote last is kept, then its namespace is taken away."""
        views = [view for view in self._replicas.of(record.label) if view.namespace == namespace]
        await self._logs.before_end(views)
        await self._doors.cluster.delete_namespace(namespace)

    async def _in_flight(self, pod_scaler: PodScaler) -> int:
        """Shut all its services off; what they still have to finish."""
        return sum([await self._doors.facade.drain(slot) for slot in pod_scaler.published.services])

    async def empty(self, record: PodRecord) -> None:
        """End all replicas, and wait a while until none is left."""
        if await self._doors.cluster.replicas(record.namespace):
            await self._logs.before_end(self._replicas.of(record.label))
            await self._doors.cluster.scale(record.namespace, 0)
        with trio.move_on_after(end_limit(self._bundles, record)):
            await self._replicas.until_empty(record.label, record.namespace)

    async def clear(self, record: PodRecord) -> None:
        """End every replica that an earlier boot left; NetworkFailure while some are still ending.

        Nobody counts them, so none may serve a pod that is released again.
        """
        if record.channel not in self._pod_scalers:
            await take_off(self._doors, self._meter, record, self.publishing)
        await self.empty(record)
        if record.other is not None:
            await self.discard(record, record.other)
        left = 0
        for namespace in filter(None, (record.namespace, record.other)):
            for view in await self._doors.cluster.pods(namespace):
                await self._meter.seen(view)
            left += len(await self._doors.cluster.pods(namespace))
        if left:
            raise NetworkFailure("replicas from before the reboot are still ending", rule="ending")

    # ---- tasks -------------------------------------------------------------------------------

    async def run(self, *, task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Watch, tick and keep the facade in step, for ever."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._replicas.begin(nursery)
            self._starts.begin(nursery)
            self._warm.begin(nursery)
            nursery.start_soon(supervise, "the fleet's tick", self._tick)
            nursery.start_soon(supervise, "keeping the facade", self._facade_sync.run)
            task_status.started()

    async def restore(self, records: list[PodRecord]) -> list[tuple[PodRecord, OpenBundle]]:
        """After a start: scalers for all pods that were published, as the cluster has them.

        Returns those that are published now. What is not, the reconciler publishes later.
        """
        pods: list[tuple[PodRecord, OpenBundle]] = []
        for record in records:
            try:
                pods.append(self._proven(record))
            except TrustedPodsError as error:
                _log.warning("%s: not published after the start: %s", record.label, error)
            await trio.lowlevel.checkpoint()
        try:
            async with self.publishing:
                given = await give_slots(self._doors, self._meter, pods, self.hosts)
                replicas = await self._doors.cluster.all_replicas()
                for record, opened in pods:
                    self._restore(record, opened, given[record.channel], replicas.get(record.namespace, 0))
        except TrustedPodsError as error:
            _log.warning("the pods are not published after the start: %s", error)
        return [(record, opened) for record, opened in pods if record.channel in self._pod_scalers]

    def _proven(self, record: PodRecord) -> tuple[PodRecord, OpenBundle]:
        """The bundle whose replicas there are, and the record with its size and scaling: no newer one's."""
        opened = self._bundles.open_stored(record.proven)
        scaling = opened.scaling(self._doors.config.terms.idle_after_s)
        return replace(record, request=record.proven, size=opened.size, scaling=scaling), opened

    def _restore(
        self,
        record: PodRecord,
        opened: OpenBundle,
        services: ExposedServices | TrustedPodsError,
        replicas: int,
    ) -> None:
        if isinstance(services, TrustedPodsError):
            _log.warning("%s: not published after the start: %s", record.label, services)
            self._unpublished[record.channel] = services.what
            return
        pod_scaler = self._make(record, opened, services, replicas)
        if not replicas:
            pod_scaler.told_with_all()
        self._adopt(pod_scaler)
        if record.phase is Phase.STOPPED:
            pod_scaler.feed(scaler.LimitsSet(self._limits(record, record.reason)))

    def _adopt(self, pod_scaler: PodScaler) -> PodScaler:
        assert self._nursery is not None
        self._pod_scalers[pod_scaler.published.channel] = pod_scaler
        self._unpublished.pop(pod_scaler.published.channel, None)
        self._labels[pod_scaler.published.label] = pod_scaler
        pod_scaler.stepped, pod_scaler.leave = self._starts.stepped, self._logs.before_end
        pod_scaler.warm = self._warm
        self._nursery.start_soon(pod_scaler.run)
        self._adopted.set()
        self._adopted = trio.Event()
        self._replicas.introduce(pod_scaler)
        return pod_scaler

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_S)
            for pod_scaler in list(self._pod_scalers.values()):
                if not scaler.rests(pod_scaler.state):
                    pod_scaler.tick()
            awake = [m for m in self._pod_scalers.values() if not m.state.asleep]
            try:
                await self._read_traffic(awake)
                await self._replicas.diagnose_waking(awake)
            except TrustedPodsError as error:
                _log.warning("the fleet cannot be read: %s", error)

    async def _read_traffic(self, pod_scalers: list[PodScaler]) -> None:
        """Of those that are still the pods' scalers when their turn comes."""

        def slots() -> dict[ChannelId, Collection[int]]:
            published = [known.published for known in pod_scalers if self._is_known(known)]
            return {one.channel: one.services for one in published}

        read = await self._meter.count_traffic(slots)
        for pod_scaler in pod_scalers:  # also of what could not be written: pods still fall asleep
            if pod_scaler.published.channel in read.readings:
                pod_scaler.feed(scaler.TrafficSeen(read.readings[pod_scaler.published.channel]))
        if read.unwritten is not None:
            raise read.unwritten

    def _is_known(self, pod_scaler: PodScaler) -> bool:
        return self._pod_scalers.get(pod_scaler.published.channel) is pod_scaler

    async def take_over_facade(self, more: Iterable[ServiceSpec], untouched: frozenset[str]) -> None:
        """After a start: the facade serves the scalers' pods and *more*; see `FacadeSync.take_over`."""
        await self._facade_sync.take_over(more, untouched)

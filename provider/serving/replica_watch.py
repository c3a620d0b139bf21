# SPDX-License-Identifier: Apache-2.0
"""What the cluster says of replicas, as it happens: told to their scalers, probed, metered."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.cluster.freezer.listening import listening_words
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.doors import Doors
from trustedpods.provider.facade.readiness import Tally
from trustedpods.provider.serving.log_keeper import LogKeeper
from trustedpods.provider.serving.pod_scaler import PodScaler
from trustedpods.provider.supervise import supervise

_log = logging.getLogger(__name__)

ROOM_SETTLES_S = 15.0
"""After a replica's end, until the quota has counted it and the controllers have tried again."""

PAUSE_S = 1.0
"""Before the watch is opened again: an API server that is away is not asked in a busy loop."""

DIAGNOSE_AFTER_S = 1.0
"""A start that has no ready replica by then is asked about."""

DIAGNOSED_AT_ONCE = 16
"""Waking pods that are asked about side by side: one that is slow to tell must not hide the others."""

LISTENING_LIMIT_S = 2.0
"""A node tells within milliseconds where its replicas listen; one that hangs holds up no other pod. Who has
had no turn by then is looked at the next time."""

LISTENED_AT_ONCE = 4
"""Each question has every node look for the pod among all of its own."""

_NONE: Mapping[str, PodView] = {}


class Replicas:
    """All replicas of all pods, as the watch last showed them."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, PodView]] = {}

    def put(self, view: PodView) -> None:
        """A replica as it is now."""
        self._pods.setdefault(view.label, {})[view.uid] = view

    def drop(self, view: PodView) -> None:
        """It is no longer there."""
        mine = self._pods.get(view.label, {})
        mine.pop(view.uid, None)
        if not mine:
            self._pods.pop(view.label, None)

    def of(self, label: str) -> Mapping[str, PodView]:
        """Those of one pod, by their uids; a look at a sleeping pod costs nothing."""
        return self._pods.get(label, _NONE)

    def all(self) -> Iterable[PodView]:
        """Every one."""
        return (view for mine in self._pods.values() for view in mine.values())


class ReplicaWatch:
    """All replicas of this provider's pods as they were last seen; `find` is the scaler of a label."""

    def __init__(
        self, doors: Doors, meter: Meter, logs: LogKeeper, find: Callable[[str], PodScaler | None]
    ) -> None:
        self._doors = doors
        self._logs = logs
        self._meter = meter
        self._find = find
        self._views = Replicas()
        self._probing: set[tuple[str, int]] = set()
        self._changed = trio.Event()
        self._last_end = -ROOM_SETTLES_S
        self._nursery: trio.Nursery | None = None

    def begin(self, nursery: trio.Nursery) -> None:
        """Watch from now on, with the tasks in *nursery*."""
        self._nursery = nursery
        self._logs.begin(nursery)
        nursery.start_soon(supervise, "watching replicas", self._watch)

    def all(self) -> Iterable[PodView]:
        """Replicas of all pods, also those that are over."""
        return self._views.all()

    def of(self, label: str) -> list[PodView]:
        """Replicas of the pod of this label, also those that are over."""
        return list(self._views.of(label).values())

    def running_of(self, label: str) -> int:
        """How many replicas of the pod are not over."""
        return sum(not view.over for view in self._views.of(label).values())

    def lent_of(self, label: str) -> int:
        """Thousandths of a core that frozen replicas of the pod have lent to the scheduler."""
        return sum(view.lent_milli for view in self._views.of(label).values() if not view.over)

    def at(self, ip: str) -> PodView | None:
        """The replica that has this address now."""
        return next((view for view in self._views.all() if view.ip == ip and not view.over), None)

    async def known(self, ip: str) -> PodView:
        """The same; waits until there is one."""
        while (found := self.at(ip)) is None:
            await self._changed.wait()
        return found

    def running(self) -> set[str]:
        """The namespaces in which a replica runs or is to run."""
        return {view.namespace for view in self._views.all() if not view.over}

    def label_at(self, ip: str) -> str | None:
        """Label of the pod that has a replica with this address now."""
        found = self.at(ip)
        return None if found is None else found.label

    def room_may_come(self) -> bool:
        """Whether a replica is ending, or has just ended: what it held becomes free by itself."""
        ending = any(view.deleted_at is not None for view in self._views.all())
        return ending or trio.current_time() - self._last_end < ROOM_SETTLES_S

    async def diagnose(self, namespace: str) -> Diagnosis | None:
        """Why no replica in *namespace* is ready; room that an ending one holds comes by itself."""
        return self._with_room(await self._doors.cluster.diagnose(namespace))

    async def diagnose_unready(self, namespace: str) -> Diagnosis | None:
        """Why some replica in *namespace* is not ready, also where others are."""
        return self._with_room(await self._doors.cluster.diagnose(namespace, all_ready=True))

    def _with_room(self, found: Diagnosis | None) -> Diagnosis | None:
        if found is not None and found.room and self.room_may_come():
            return replace(found, hopeless=False)
        return found

    async def diagnose_waking(self, pod_scalers: Iterable[PodScaler]) -> None:
        """Tell waking pods why they are not there yet, some side by side; hopeless ends the attempt."""
        now, limiter = trio.current_time(), trio.CapacityLimiter(DIAGNOSED_AT_ONCE)
        nodes = trio.CapacityLimiter(LISTENED_AT_ONCE)
        async with trio.open_nursery() as nursery:
            for pod_scaler in pod_scalers:
                if pod_scaler.waking and now - pod_scaler.state.since >= DIAGNOSE_AFTER_S:
                    nursery.start_soon(self._diagnose_one, pod_scaler, limiter, nodes)

    async def _diagnose_one(
        self, pod_scaler: PodScaler, limiter: trio.CapacityLimiter, nodes: trio.CapacityLimiter
    ) -> None:
        try:
            async with limiter:
                found = await self.diagnose(pod_scaler.published.namespace)
        except TrustedPodsError as error:
            _log.warning("%s: why it does not start is not known: %s", pod_scaler.published.label, error)
            return
        if pod_scaler.waking:
            pod_scaler.diagnosed(found)
        if pod_scaler.waking and found is None:
            await self._listen(pod_scaler, nodes)

    async def _listen(self, pod_scaler: PodScaler, nodes: trio.CapacityLimiter) -> None:
        """What runs and does not answer may listen elsewhere: then its publisher reads where."""
        tallies = dict(pod_scaler.tallies)
        if not tallies or not self._doors.freezer.there:
            return
        with trio.move_on_after(LISTENING_LIMIT_S):
            async with nodes:
                found = await self._doors.freezer.listening(tallies)
            for uid, listeners in found.items():
                if uid in tallies:
                    tallies[uid].listening = listening_words(listeners)

    def next_change(self) -> trio.Event:
        """Happens when the watch shows anything after this call."""
        return self._changed

    async def until_empty(self, label: str, namespace: str) -> None:
        """Wait until no replica of the pod is left in *namespace*; for ever, if need be."""
        while any(view.namespace == namespace for view in self.of(label)):
            await self._changed.wait()

    def introduce(self, pod_scaler: PodScaler) -> None:
        """A scaler that is new here learns of its replicas."""
        pod_scaler.views = {
            view.uid: view
            for view in self.of(pod_scaler.published.label)
            if view.namespace == pod_scaler.published.namespace
        }
        self._probe_all(pod_scaler)
        pod_scaler.see()

    async def _watch(self) -> None:
        while True:
            try:
                async with self._doors.cluster.watch_pods() as changes:
                    async for change in changes:
                        self._on_change(change.pod, gone=change.gone)
            except TrustedPodsError as error:
                _log.warning("the watch on replicas ended: %s", error)
                await trio.sleep(PAUSE_S)

    def _on_change(self, view: PodView, *, gone: bool) -> None:
        if gone:
            self._views.drop(view)
            self._last_end = trio.current_time()
        else:
            self._logs.changed(self._views.of(view.label).get(view.uid), view)
            self._views.put(view)
        self._changed.set()
        self._changed = trio.Event()
        pod_scaler = self._find(view.label)
        if pod_scaler is not None and pod_scaler.published.namespace == view.namespace:
            self._tell(pod_scaler, view, gone=gone)
        if not gone and self._nursery is not None:
            self._nursery.start_soon(self._meter_view, view)

    def _tell(self, pod_scaler: PodScaler, view: PodView, *, gone: bool) -> None:
        if gone:
            pod_scaler.views.pop(view.uid, None)
            pod_scaler.probed.pop(view.uid, None)
            pod_scaler.tallies.pop(view.uid, None)
        else:
            pod_scaler.views[view.uid] = view
        self._probe_all(pod_scaler)
        pod_scaler.see()

    async def _meter_view(self, view: PodView) -> None:
        try:
            await self._meter.seen(view)
        except TrustedPodsError as error:
            _log.warning("%s: not metered yet: %s", view.label, error)  # `observe` comes by again
        except Exception:  # noqa: BLE001 - one replica must not stop the others
            _log.exception("%s: not metered yet", view.label)

    def _probe_all(self, pod_scaler: PodScaler) -> None:
        assert self._nursery is not None
        for view in pod_scaler.unprobed():
            key = (view.uid, view.restarts)
            if key not in self._probing and view.deleted_at is None:
                self._probing.add(key)
                self._nursery.start_soon(self._probe, pod_scaler, view)

    async def _probe(self, pod_scaler: PodScaler, view: PodView) -> None:
        try:
            assert view.ip is not None
            tally = pod_scaler.tallies[view.uid] = Tally()
            limit = pod_scaler.state.limits.start_limit
            result = await self._doors.until_ready(view.ip, pod_scaler.published.probes, limit, tally)
        finally:
            pod_scaler.tallies.pop(view.uid, None)
            self._probing.discard((view.uid, view.restarts))
        if view.uid in pod_scaler.views:
            if result.ready:
                pod_scaler.probed[view.uid] = view.restarts
                pod_scaler.see()
            else:
                pod_scaler.see(failure=f"readiness probe: {result.reason}")

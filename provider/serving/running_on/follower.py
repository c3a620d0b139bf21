# SPDX-License-Identifier: Apache-2.0
"""The facade leads to pods that run on: at once after a take-over, and to their new replicas when they move.

Every address comes from a look at the cluster: what an earlier daemon, or this one in an earlier time,
left in the facade may be another tenant's by now. The watch only says when to look again.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.core.traffic import combine, mark_of
from trustedpods.provider.doors import Doors
from trustedpods.provider.exposure.service_keys import by_pod, pod_of
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeAnswer, WakeRefusal
from trustedpods.provider.facade.readiness import Tally
from trustedpods.provider.facade.slots import PublishedService, ServiceSpec
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.serving.autoscaler import Autoscaler
from trustedpods.provider.serving.running_on import ways
from trustedpods.provider.store import ledger

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
"""The longest between two looks, should the watch have missed something; traffic is booked with each."""

LOOKS_APART_S = 0.5
"""The shortest: a cluster in which much changes is not listed all the time."""

RETRY_AFTER_S = 5
"""Where no replica takes requests: by then the cluster may have made another one."""

_WAITS = "this pod runs on without its key, and has no replica just now"
_Proof = tuple[str, int]
"""A replica's uid, and how often its containers had started when it answered."""


class RunningOn:
    """Pods that outlived their daemon's machine, as the facade of this one serves them."""

    def __init__(self, doors: Doors, pods: Pods, meter: Meter, autoscaler: Autoscaler) -> None:
        self._doors = doors
        self._pods = pods
        self._meter = meter
        self._autoscaler = autoscaler
        self._proven: set[_Proof] = set()
        self._probing: set[_Proof] = set()
        self._serving: dict[ChannelId, tuple[PodView, ...]] = {}
        """What the facade was told of each pod."""
        self._proved = trio.Event()

    async def forget_others(self, published: Iterable[PodRecord]) -> None:
        """Before anything is published: who is neither to be *published* nor runs on has no slots here.

        They ended while another daemon led, and what they had here may be a port that this one's pods are
        known at. NetworkFailure where the facade does not answer.
        """
        kept = {record.label for record in (*published, *self._running_on())}
        async with self._autoscaler.publishing:
            for label, slots in self._doors.facade.slots_by_pod().items():
                if label not in kept:
                    for slot in slots.values():
                        await self._doors.facade.withdraw(slot)

    async def take_over(self) -> None:
        """After a start: the facade serves the scalers' pods and those that run on, and nothing else.

        What runs now was proven by the daemon before. NetworkFailure where facade or cluster do not answer.
        """
        records = self._running_on()
        found = await self._look() if records else {}
        for record in records:
            here = [view for view in found.get(record.label, ()) if ways.may_serve(record, view)]
            self._proven |= {(view.uid, view.restarts) for view in here}
            self._serving[record.channel] = tuple(here)
        config, here_now = self._doors.config.facade, self._doors.facade.slots_by_pod()
        older = frozenset(record.label for record in records if not ways.targets(record))
        placed = {one.label for one in records if ways.in_place(one, here_now.get(one.label, {}), config)}
        async with self._autoscaler.publishing:
            # what an earlier time left goes first: its hosts and slots may be others' by now
            await self._autoscaler.take_over_facade((), older | placed)
            await self._autoscaler.take_over_facade(await self._publish(records), older)

    async def run(self) -> None:
        """Follow their replicas and count their traffic, for ever."""
        async with trio.open_nursery() as nursery:
            while True:
                self._proved, shown = trio.Event(), self._autoscaler.replicas.next_change()
                records = self._running_on()
                try:
                    found = await self._look() if records else {}
                except TrustedPodsError as error:
                    _log.warning("pods that run on are not followed now: %s", error)
                else:
                    for record in records:
                        await self._try_to_follow(record, found.get(record.label, ()), nursery)
                    if records:
                        await self._count()
                await trio.sleep(LOOKS_APART_S)
                await _first_of(shown, self._proved)

    async def answer_wake(self, slot: int) -> WakeAnswer:
        """What the activator asks of any slot; a pod that runs on is where its replica is, never started."""
        key = self._doors.facade.label_of(slot)
        record = None if key is None else self._pods.of_label(pod_of(key))
        if key is None or record is None or not record.runs_on:
            return await self._autoscaler.answer_wake(slot)
        port = ways.target_of(record, key)
        here = ways.addresses(self._serving.get(record.channel, ()), port) if port is not None else ()
        if not here:
            return WakeRefusal(_WAITS, RETRY_AFTER_S)
        first = min(self._doors.facade.slots_of(record.label).values())
        return WakeAddress(here[0].ip, here[0].port, first)

    def _running_on(self) -> list[PodRecord]:
        return [record for record in self._pods.standing if record.runs_on]

    async def _look(self) -> dict[str, list[PodView]]:
        """All replicas as the cluster has them, by their pods' labels."""
        found: dict[str, list[PodView]] = defaultdict(list)
        for view in sorted(await self._doors.cluster.pods(), key=lambda view: view.name):
            found[view.label].append(view)
        return found

    async def _publish(self, records: Iterable[PodRecord]) -> list[ServiceSpec]:
        """Give them slots; what they are to serve, without those for which there is no slot or host."""
        facade = self._doors.config.facade
        wants = [
            want
            for record in records
            for want in ways.specs_of(record, self._serving[record.channel], facade)
        ]
        given = await self._doors.facade.publish_all(wants) if wants else {}
        slots: dict[str, PublishedService] = {}
        for label, one in given.items():
            if isinstance(one, PublishedService):
                slots[label] = one
            else:
                _log.warning("%s: it runs on and is not served: %s", label, one)
        grouped = by_pod({label: one.slot for label, one in slots.items()})
        for record in records:
            mine = [slots[key] for key in grouped.get(record.label, ())]
            await self._begin_counting(record, mine)
        return [want for want in wants if want.label in slots]

    async def _begin_counting(self, record: PodRecord, mine: Sequence[PublishedService]) -> None:
        """From here, unless this process of HAProxy counted for it before: else its counters hold others'."""
        if not mine:
            return
        mark = mark_of(combine({one.slot: one.stats for one in mine}))
        stored = (await self._doors.store.read(ledger.load_marks, [record.channel])).get(record.channel)
        if stored is not None and stored.boot != mark.boot:
            await self._meter.end_traffic(record.channel)
        await self._meter.begin_traffic({record.channel: mark})

    async def _try_to_follow(
        self, record: PodRecord, shown: Iterable[PodView], nursery: trio.Nursery
    ) -> None:
        """One that cannot be followed keeps no other one from it."""
        try:
            await self._follow(record, shown, nursery)
        except TrustedPodsError as error:
            _log.warning("%s: it runs on and is not followed now: %s", record.label, error)

    async def _follow(self, record: PodRecord, shown: Iterable[PodView], nursery: trio.Nursery) -> None:
        """Lead to the replicas that it has now."""
        here = [view for view in shown if ways.may_serve(record, view)]
        for view in here:
            if (view.uid, view.restarts) not in self._proven | self._probing:
                self._probing.add((view.uid, view.restarts))
                nursery.start_soon(self._probe, record, view)
        ready = tuple(view for view in here if (view.uid, view.restarts) in self._proven)
        async with self._autoscaler.publishing:
            known = self._pods.get(record.channel)
            slots = self._doors.facade.slots_of(record.label)
            if known is None or not known.runs_on or not slots:
                return  # its slots were taken from it meanwhile, and may be others'
            if ready != self._serving.get(record.channel):
                await self._lead(known, slots, ready)

    async def _count(self) -> None:
        """Book what passed for all of them at once; of one that left meanwhile nothing is taken."""
        try:
            read = await self._meter.count_traffic(self._slots)
        except TrustedPodsError as error:
            _log.warning("traffic of pods that run on is not read now: %s", error)
            return
        if read.unwritten is not None:  # a total, so it is booked later
            _log.warning("traffic of pods that run on is not booked now: %s", read.unwritten)

    def _slots(self) -> dict[ChannelId, Collection[int]]:
        held = self._doors.facade.slots_by_pod()
        return {one.channel: held[one.label].values() for one in self._running_on() if one.label in held}

    async def _lead(self, record: PodRecord, slots: dict[str, int], ready: tuple[PodView, ...]) -> None:
        for key, slot in slots.items():
            port = ways.target_of(record, key)
            if port is not None:
                await self._doors.facade.set_pods(slot, ways.addresses(ready, port))
        self._serving[record.channel] = ready

    async def _probe(self, record: PodRecord, view: PodView) -> None:
        """A replica that the daemon before never saw takes requests once its ports answer."""
        proof = (view.uid, view.restarts)
        try:
            assert view.ip is not None
            limit = self._doors.config.terms.start_limit_s
            found = await self._doors.until_ready(view.ip, ways.probes_of(record), limit, Tally())
        finally:
            self._probing.discard(proof)  # one that did not answer is asked again at the next look
        if found.ready:
            self._proven.add(proof)
            self._proved.set()


async def _first_of(*events: trio.Event) -> None:
    """Until one of them happens, or it is time to look without."""
    with trio.move_on_after(LOOK_EVERY_S):
        async with trio.open_nursery() as nursery:

            async def end_with(event: trio.Event) -> None:
                await event.wait()
                nursery.cancel_scope.cancel()

            for event in events:
                nursery.start_soon(end_with, event)

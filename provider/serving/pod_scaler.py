# SPDX-License-Identifier: Apache-2.0
"""One published pod: feeds the scaler's state machine, and runs its commands, one after another."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import trio

from trustedpods.manifests.spec.lifecycle import DEFAULT_GRACE_S
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.scaler import scaler, types
from trustedpods.provider.core.traffic import PodAddress
from trustedpods.provider.exposure.exposure import FacadeExposure
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeAnswer, WakeRefusal
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.readiness import ContainerProbe, Tally
from trustedpods.provider.serving.warm.sleepers import WarmSleepers

_log = logging.getLogger(__name__)

NO_PORT = 0
"""Of replicas of a pod of which the facade serves nothing: nobody connects to them."""

RETRY_S = 0.5
"""Pause before commands that failed are run again."""

SETTLE_FIRST_S = 0.05
SETTLE_MOST_S = 1.0
"""Between two looks at whether the controllers have seen a number; the pause grows by half each time."""

SECOND_TRY_S = 20.0
"""The kubelet tries again 10 to 15 s after a container could not be made (backOffPeriod and its jitter)."""


@dataclass(frozen=True, slots=True)
class PublishedPod:
    """What the facade and the scaler need of a pod; `services` are those that the facade serves, by slot.

    `grace_s`: how long a replica of it may take to end.
    """

    channel: ChannelId
    label: str
    namespace: str
    services: Mapping[int, FacadeExposure]
    probes: tuple[ContainerProbe, ...]
    grace_s: int = DEFAULT_GRACE_S

    @property
    def port(self) -> int:
        """A container port that the facade serves: with it the scaler knows a replica."""
        return next((service.port for service in self.services.values()), NO_PORT)


class PodScaler:
    """The scaler of one pod. Events go in by methods; `run` carries out what follows.

    `found` is what was last seen to hold up a start, `failure` what ended the last one that failed;
    `stepped` is called with the state before, whenever there is another; `leave` before replicas are
    scaled away; `warm` keeps replicas frozen.
    """

    def __init__(
        self,
        cluster: Cluster,
        facade: Facade,
        published: PublishedPod,
        limits: scaler.Limits,
        replicas: int,
    ) -> None:
        self.published = published
        self.state = scaler.begin(limits, trio.current_time(), replicas)
        self._cluster = cluster
        self._facade = facade
        self.warm: WarmSleepers | None = None
        self._waiters: dict[trio.Event, WakeAnswer | None] = {}
        self._ended = False
        self._commands: list[scaler.ScalerCommand] = []
        self._more = trio.Event()
        self._settling = trio.CancelScope()
        self.scope = trio.CancelScope()
        self.probed: dict[str, int] = {}
        self.views: dict[str, PodView] = {}
        self.tallies: dict[str, Tally] = {}
        self.found: Diagnosis | None = None
        self.failure: Diagnosis | None = None
        self._hindered: tuple[float, float] | None = None
        self.stepped: Callable[[PodScaler, scaler.ScaleState], None] = _ignore
        self.leave: Callable[[Iterable[PodView]], Awaitable[None]] = _let_go

    def told_with_all(self) -> None:
        """The facade is told of all sleeping pods together after a start, so not once more of each."""
        self.state = replace(self.state, told=True)

    def feed(self, event: scaler.ScalerEvent) -> None:
        """Let the state machine take an event; answers go out at once, the rest from `run`."""
        before = self.state
        self.state, commands = scaler.step(self.state, event, trio.current_time())
        if self.state != before:
            self.stepped(self, before)
        for command in commands:
            match command:
                case scaler.AnswerWakes(pod):
                    self._answer(WakeAddress(pod.ip, pod.port))
                case scaler.RefuseWakes(reason, retry_after):
                    self._answer(WakeRefusal(reason, retry_after, parked=self.state.limits.parked))
                case _:
                    self._queue(command)
        if self._commands:
            self._more.set()

    def _queue(self, command: scaler.ScalerCommand) -> None:
        """A command says what is wanted, so a newer one takes the place of one not yet run."""
        if isinstance(command, types.SetReplicas):
            self._settling.cancel()
        for index, older in enumerate(self._commands):
            if type(older) is type(command):
                self._commands[index] = command
                return
        first = command == types.SetFrozen(frozen=False)  # what is frozen does not end
        self._commands.insert(0 if first else len(self._commands), command)

    async def wake(self, slot: int | None = None) -> WakeAnswer | None:
        """Where the service of *slot* is, as soon as the pod is ready, or why it is not to be had.

        None when this scaler ended meanwhile: ask the pod's next one.
        """
        if self._ended:
            return None
        done = trio.Event()
        self._waiters[done] = None
        try:
            self.feed(types.WakeAsked())
            await done.wait()
            answer = self._waiters[done]
            service = self.published.services.get(slot) if slot is not None else None
            if isinstance(answer, WakeAddress) and service is not None:
                return replace(answer, port=service.port, pod=min(self.published.services))
            return answer
        finally:
            self._waiters.pop(done, None)

    @contextmanager
    def kept_awake(self) -> Iterator[None]:
        """While this lasts the pod does not fall asleep; if it asked for its sleep, that comes afterwards."""
        self.feed(types.KeptAwake(kept=True))
        try:
            yield
        finally:
            self.feed(types.KeptAwake(kept=False))

    def see(self, failure: str | None = None, replicas: int | None = None, *, settled: bool = False) -> None:
        """Tell the state machine what `views` and `probed` hold now."""
        ready: list[PodAddress] = []
        unready: list[PodAddress] = []
        for view in self.views.values():
            if view.ip is None or view.over:
                continue
            address = PodAddress(view.name, view.ip, self.published.port)
            (ready if self._is_ready(view) else unready).append(address)
        seen = types.PodsSeen(tuple(sorted(ready)), tuple(sorted(unready)), replicas, failure, settled)
        self.feed(seen)

    @property
    def waking(self) -> bool:
        """Whether a start goes on."""
        return self.state.phase is scaler.ScalePhase.WAKING

    def diagnosed(self, found: Diagnosis | None) -> None:
        """Why no replica is ready, as the cluster says; what is hopeless ends the attempt.

        A pod that has a scaler ran before: what the node may have spoilt ends it only if it lasts.
        """
        self.found = found
        if found is None or not found.hopeless:
            return
        if found.tried_again and trio.current_time() < self._first_seen() + SECOND_TRY_S:
            return
        self.failure = found
        self.see(failure=found.text)

    def _first_seen(self) -> float:
        """When something was in the way of this attempt for the first time."""
        attempt = self.state.since
        if self._hindered is None or self._hindered[0] != attempt:
            self._hindered = attempt, trio.current_time()
        return self._hindered[1]

    def tick(self) -> None:
        """Time went on, and this is how the probes of replicas that are not ready went so far.

        Those that the kubelet asks itself (commands, gRPC, TLS) are told of by the cluster.
        """
        asked = "; ".join(filter(None, map(str, self.tallies.values())))
        told = "" if self.found is None else self.found.text
        self.feed(types.Tick(asked or told))

    def unprobed(self) -> Iterable[PodView]:
        """Replicas that run and whose probes have not passed yet."""
        return [view for view in self.views.values() if view.ready and not self._is_ready(view)]

    def _is_ready(self, view: PodView) -> bool:
        """Its containers run, its probes passed since they last started, and nobody deletes it."""
        return view.ready and view.deleted_at is None and self.probed.get(view.uid) == view.restarts

    def _answer(self, answer: WakeAnswer) -> None:
        for done in self._waiters:
            if self._waiters[done] is None:
                self._waiters[done] = answer
                done.set()

    def end(self) -> None:
        """The pod is taken down or changed: whoever waits asks again, and nothing more is done."""
        self._ended = True
        if self.warm is not None:
            self.warm.forget(self.published.namespace)
        for done in self._waiters:
            done.set()
        self.scope.cancel()

    async def run(self) -> None:
        """Carry out commands until cancelled through `scope`."""
        with self.scope:
            async with trio.open_nursery() as nursery:
                if self.state.replicas:
                    nursery.start_soon(self._settle)
                while True:
                    await self._more.wait()
                    self._more = trio.Event()
                    await self._carry_out(nursery)

    async def _carry_out(self, nursery: trio.Nursery) -> None:
        """All commands. A failed one is repeated, unless a newer one took its place; those behind it wait."""
        while self._commands:
            command = self._commands.pop(0)
            try:
                await self._execute(command)
            except Exception as error:  # noqa: BLE001 - one pod must not stop the others
                level = logging.WARNING if isinstance(error, TrustedPodsError) else logging.ERROR
                _log.log(level, "%s: %s; trying again", self.published.label, error)
                self._put_back(command)
                await trio.sleep(RETRY_S)
            else:
                if isinstance(command, types.SetReplicas):
                    nursery.start_soon(self._settle, SETTLE_FIRST_S)

    async def _settle(self, pause: float = 0.0) -> None:
        """Look until all controllers have seen the last number; the next command of that kind ends this."""
        with trio.CancelScope() as self._settling:
            await trio.sleep(pause)
            while not await self._is_settled(self._settling):
                pause = min(SETTLE_MOST_S, max(SETTLE_FIRST_S, 1.5 * pause))
                await trio.sleep(pause)

    async def _is_settled(self, scope: trio.CancelScope) -> bool:
        """Look at the controllers, then at the replicas, and tell the state machine."""
        namespace = self.published.namespace
        try:
            rollout = await self._cluster.rollout(namespace)
            if not rollout.settled:
                return False
            listed = {view.uid: view for view in await self._cluster.pods(namespace)}
        except Exception as error:  # noqa: BLE001 - one pod must not stop the others
            level = logging.DEBUG if isinstance(error, TrustedPodsError) else logging.ERROR
            _log.log(level, "%s: not known to be settled: %s", self.published.label, error)
            return False
        if scope.cancel_called:
            return True  # for a number that is no longer the last
        # The watch may be behind: only what this look shows to go is news, the rest may be older.
        ending = {uid: view for uid, view in listed.items() if view.deleted_at is not None}
        self.views = {uid: ending.get(uid, view) for uid, view in self.views.items() if uid in listed}
        agreed = rollout.replicas == self.state.replicas  # else another hand was there: look once more
        self.see(replicas=rollout.replicas, settled=True)
        return agreed

    def _put_back(self, command: scaler.ScalerCommand) -> None:
        """To the front again, or a newer one of its kind in its place.

        A thaw that fails holds nothing up: the node's agent thaws what is to end, once it is there.
        """
        newer = next((other for other in self._commands if type(other) is type(command)), None)
        if newer is not None:
            self._commands.remove(newer)
        last = isinstance(command, types.SetFrozen)
        self._commands.insert(len(self._commands) if last else 0, newer or command)

    async def _execute(self, command: scaler.ScalerCommand) -> None:
        match command:
            case types.SetReplicas(count, victims):
                for name in victims:
                    if count:  # with none left nobody has to be chosen
                        await self._cluster.set_deletion_cost(self.published.namespace, name, -100)
                await self.leave(self._leaving(count, victims))
                await self._cluster.scale(self.published.namespace, count)
            case scaler.Serve(pods, draining):
                for slot, service in self.published.services.items():
                    here = [replace(pod, port=service.port) for pod in pods]
                    ending = [replace(pod, port=service.port) for pod in draining]
                    await self._facade.set_pods(slot, here, ending)
            case types.SetFrozen(frozen) if self.warm is not None:
                await (self._freeze(self.warm) if frozen else self._thaw(self.warm))
            case _:
                pass

    async def _freeze(self, warm: WarmSleepers) -> None:
        names = {pod.name for pod in self.state.ready}
        uids = {view.uid for view in self.views.values() if view.name in names}
        place, held = self.published, False
        try:
            held = await warm.freeze(place.namespace, place.channel, uids, self._let_go)
        except TrustedPodsError as error:
            _log.warning("%s sleeps cold: %s", place.label, error)
        if not held:
            self._let_go()

    def _let_go(self) -> None:
        self.feed(types.NotFrozen())

    async def _thaw(self, warm: WarmSleepers) -> None:
        await warm.thaw(self.published.namespace)
        self.feed(types.Thawed())
        try:
            await warm.note_ends()
        except TrustedPodsError as error:
            _log.warning("%s: its thaw is not written down yet: %s", self.published.label, error)

    def _leaving(self, count: int, victims: tuple[str, ...]) -> list[PodView]:
        """Replicas that a new number ends."""
        return [view for view in self.views.values() if not view.over and (not count or view.name in victims)]

    def serves(self, services: Mapping[int, FacadeExposure]) -> None:
        """The pod has these services now, in these slots."""
        if services != self.published.services:
            self.published = replace(self.published, services=services)
            self.state = replace(self.state, told=False)

    def moved_to(self, slots: Mapping[str, int]) -> None:
        """The facade may have services in other slots now; by their keys."""
        found = {slots.get(part.label, slot): part for slot, part in self.published.services.items()}
        self.serves(found)


async def _let_go(_views: Iterable[PodView]) -> None:
    """Where nobody reads what they wrote."""


def _ignore(_pod_scaler: PodScaler, _before: scaler.ScaleState) -> None:
    """Until somebody wants to know."""

# SPDX-License-Identifier: Apache-2.0
"""The scaler against a small world of cluster, proxy and clients, under arbitrary events."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.examples import examples
from tests.provider.core.scaler.world import LONGEST_PAUSE, SILENCE, WAKE_LIMIT, Request, World
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.metering import Ceiling, Ledger, Run, usage
from trustedpods.provider.core.scaler.scaler import (
    AnswerWakes,
    KeptAwake,
    Limits,
    LimitsSet,
    PodsSeen,
    RefuseWakes,
    ScalePhase,
    ScalerCommand,
    ScalerEvent,
    Serve,
    SetReplicas,
    SleepAsked,
    Tick,
    TrafficSeen,
    WakeAsked,
    begin,
    rests,
    step,
)
from trustedpods.provider.core.scaler.types import NotFrozen, SetFrozen, Thawed


class ScaledPod(RuleBasedStateMachine):
    """Events come in any order; commands run in order, with requests arriving between them."""

    @initialize(
        least=st.integers(0, 2),
        more=st.integers(0, 3),
        concurrency=st.integers(1, 4),
        idle=st.floats(1, 20),
        affordable=st.none() | st.integers(1, 4),
        late=st.lists(st.integers(0, 40), min_size=1, max_size=5),
        warm=st.just(0.0) | st.floats(1, 90),
    )
    def start(
        self,
        least: int,
        more: int,
        concurrency: int,
        idle: float,
        affordable: int | None,
        late: list[int],
        warm: float,
    ) -> None:
        limits = Limits(
            min=least,
            max=max(1, least + more),
            idle_after=idle,
            concurrency=concurrency,
            affordable=affordable,
            warm_for=warm,
        )
        self.begin(limits, late)

    def begin(self, limits: Limits, late: list[int]) -> None:
        self.now = 0.0
        self.world = World(ends_late=late)
        self.limits = replace(limits, wake_limit=WAKE_LIMIT, idle_connection=SILENCE)
        self.state = begin(self.limits, self.now)
        self.asks = 0
        self.untold: list[ScalerEvent] = []
        self.slow = False
        self.run(Tick())

    def run(self, event: ScalerEvent, arrivals: int = 0) -> None:
        self.state, commands = step(self.state, event, self.now)
        # The end of funds cuts, and so does giving up on a pod that cannot start.
        self.world.may_cut = self.world.stopped or self.state.phase is ScalePhase.FAILING
        for command in commands:
            if arrivals:
                arrivals -= 1
                self.request()
            self.obey(command)
        while self.asks:
            self.asks -= 1
            self.run(WakeAsked())
        while self.untold and not self.world.agent_away:
            self.run(self.untold.pop(0))

    def obey(self, command: ScalerCommand) -> None:
        match command:
            case SetReplicas(count):
                least = 0 if self.world.stopped else self.limits.min
                assert least <= count <= self.limits.max
                self.world.scale(command)
                if not self.slow:
                    self.world.catch_up(self.now)
            case SetFrozen(frozen):
                self.freeze(frozen)
            case Serve(pods):
                assert not any(pod.name in self.world.frozen for pod in pods)
                assert all(pod.name in self.world.replicas for pod in pods)
                self.world.serve(command, self.now)
            case AnswerWakes(pod):
                assert pod.name in self.world.replicas
                assert pod.name not in self.world.frozen
                for request in self.world.requests:
                    if request.pod is None:
                        request.pod = pod.name
                        request.moved = self.now
            case RefuseWakes(reason, retry_after):
                assert reason
                assert retry_after > 0
                self.world.requests = [r for r in self.world.requests if r.pod is not None]

    def freeze(self, frozen: bool) -> None:
        """Nothing that is frozen has a request in flight; what cannot be carried out now is told later."""
        if frozen:
            loud = [r for r in self.world.requests if r.pod and self.now - r.moved < SILENCE]
            assert not loud, "frozen with requests in flight"
        if self.world.agent_away:
            self.untold.append(NotFrozen() if frozen else Thawed())
        elif frozen:
            self.world.frozen = set(self.world.replicas)
        else:
            self.world.frozen.clear()
            self.untold.append(Thawed())

    def request(self) -> None:
        open_servers = [name for name, serving in self.world.servers.items() if serving]
        self.world.total += 1
        if open_servers:
            self.world.requests.append(Request(self.now, open_servers[0], held=False, moved=self.now))
        else:
            self.world.requests.append(Request(self.now, None, held=True, moved=self.now))
            self.asks += 1

    # ---- what may happen ---------------------------------------------------------------------

    @rule(count=st.integers(1, 6))
    def requests_come(self, count: int) -> None:
        for _ in range(count):
            self.request()
        self.run(Tick())

    @precondition(lambda self: self.world.requests)
    @rule(data=st.data())
    def a_request_ends(self, data: st.DataObject) -> None:
        done = data.draw(st.sampled_from(range(len(self.world.requests))))
        del self.world.requests[done]

    @precondition(lambda self: self.world.requests)
    @rule(data=st.data())
    def a_byte_moves(self, data: st.DataObject) -> None:
        at = data.draw(st.sampled_from(range(len(self.world.requests))))
        self.world.requests[at].moved = self.now

    @rule(pause=st.floats(0.01, LONGEST_PAUSE), arrivals=st.integers(0, 3))
    def time_goes_on(self, pause: float, arrivals: int) -> None:
        self.now += pause
        self.run(Tick(), arrivals)

    @rule(arrivals=st.integers(0, 3), moving=st.booleans())
    def a_minute_passes(self, arrivals: int, moving: bool) -> None:
        for _ in range(16):
            for request in self.world.requests if moving else ():
                request.moved = self.now
            self.time_goes_on(4.0, arrivals)
            self.counters_are_read(0)
            self.the_cluster_is_read(0)
            arrivals = 0

    @rule()
    def nobody_comes_until_it_sleeps(self) -> None:
        """Else most examples never get there."""
        self.world.requests.clear()
        for replica in self.world.replicas.values():
            replica.ready = True
        self.the_cluster_is_read(0)
        self.counters_are_read(0)
        self.now += self.limits.idle_after
        for _ in range(2):
            self.counters_are_read(0)

    @rule(arrivals=st.integers(0, 3))
    def the_pod_asks_for_its_sleep(self, arrivals: int) -> None:
        self.run(SleepAsked(), arrivals)

    @rule(kept=st.booleans())
    def the_pod_is_kept_awake_or_no_more(self, kept: bool) -> None:
        self.run(KeptAwake(kept))

    @rule(arrivals=st.integers(0, 3))
    def a_lease_lapses_or_memory_is_short(self, arrivals: int) -> None:
        if self.state.phase is ScalePhase.WARM:
            self.world.frozen.clear()
        self.run(NotFrozen(), arrivals)

    @rule()
    def the_agent_goes(self) -> None:
        self.world.agent_away = True

    @rule()
    def the_agent_is_back(self) -> None:
        """It thaws all that it finds; what was ordered meanwhile is done."""
        if self.world.agent_away:
            self.world.agent_away = False
            self.world.frozen.clear()
            if self.state.phase is ScalePhase.WARM:
                self.untold.append(NotFrozen())
            self.run(Tick())

    @rule(arrivals=st.integers(0, 3))
    def counters_are_read(self, arrivals: int) -> None:
        self.run(TrafficSeen(self.world.stats()), arrivals)

    @rule(arrivals=st.integers(0, 3))
    def the_cluster_is_read(self, arrivals: int) -> None:
        self.look(None, arrivals)

    def look(self, failure: str | None, arrivals: int = 0) -> None:
        replicas = self.world.replicas.values()
        ready = tuple(replica.address for replica in replicas if replica.ready)
        unready = tuple(replica.address for replica in replicas if not replica.ready)
        self.run(PodsSeen(ready, unready, self.world.spec, failure, self.world.settled), arrivals)

    @precondition(lambda self: any(not replica.ready for replica in self.world.replicas.values()))
    @rule()
    def a_replica_gets_ready(self) -> None:
        next(replica for replica in self.world.replicas.values() if not replica.ready).ready = True
        self.the_cluster_is_read(0)

    @precondition(lambda self: self.world.replicas)
    @rule(data=st.data(), gone=st.booleans())
    def a_replica_is_lost(self, data: st.DataObject, gone: bool) -> None:
        """It fails its probe, or ends: then its requests die with it, and a new one is made."""
        name = data.draw(st.sampled_from(sorted(self.world.replicas)))
        if gone:
            self.world.end(name, self.now)
            self.world.requests = [r for r in self.world.requests if r.pod != name]
            self.world.act(self.world.seen[0], self.now)
        else:
            self.world.replicas[name].ready = False
        self.the_cluster_is_read(0)

    @precondition(lambda self: not any(replica.ready for replica in self.world.replicas.values()))
    @rule()
    def the_start_fails(self) -> None:
        self.look("CrashLoopBackOff")

    @rule(other=st.integers(0, 5))
    def another_hand_scales(self, other: int) -> None:
        """Only up: what another hand takes away is lost without our doing."""
        if other > self.world.spec:
            self.world.scale(SetReplicas(other))
            if not self.slow:
                self.world.catch_up(self.now)
            self.the_cluster_is_read(0)

    @rule()
    def the_controller_gets_slow(self) -> None:
        """The API server was restarted: whoever watches it waits before it looks again."""
        self.slow = True

    @precondition(lambda self: self.slow)
    @rule(skip=st.integers(0, 4))
    def the_slow_controller_acts(self, skip: int) -> None:
        self.world.control(self.now, skip)
        self.the_cluster_is_read(0)

    @precondition(lambda self: self.slow)
    @rule()
    def the_controller_catches_up(self) -> None:
        self.slow = False
        self.world.catch_up(self.now)
        self.the_cluster_is_read(0)

    @rule(stopped=st.booleans())
    def funds_end_or_come(self, stopped: bool) -> None:
        self.world.stopped = stopped
        reason = "its funds have ended" if stopped else None
        self.run(LimitsSet(replace(self.limits, stopped=reason)))

    # ---- what must hold ----------------------------------------------------------------------

    @invariant()
    def nobody_waits_for_longer_than_the_limit(self) -> None:
        for request in getattr(self, "world", World()).requests:
            if request.pod is None:
                assert self.now - request.asked <= WAKE_LIMIT + LONGEST_PAUSE

    @invariant()
    def a_sleeping_pod_has_no_servers(self) -> None:
        if hasattr(self, "state") and self.state.phase is ScalePhase.ASLEEP:
            assert self.world.servers == {}
            assert self.state.replicas == 0

    @invariant()
    def what_is_frozen_belongs_to_a_pod_that_sleeps_warm(self) -> None:
        if hasattr(self, "state") and not self.world.agent_away:
            assert not self.world.frozen or self.state.phase is ScalePhase.WARM

    @invariant()
    def a_pod_that_sleeps_warm_has_no_servers(self) -> None:
        if hasattr(self, "state") and self.state.phase is ScalePhase.WARM:
            assert self.world.servers == {}
            assert self.state.replicas > 0

    @invariant()
    def time_does_nothing_to_a_pod_that_rests(self) -> None:
        if hasattr(self, "state") and rests(self.state):
            for later in (0, 1, WAKE_LIMIT, 10**6):
                assert step(self.state, Tick(), self.now + later) == (self.state, [])

    def teardown(self) -> None:
        """When all is quiet and pods start well, the pod comes to rest at its least."""
        if not hasattr(self, "state"):
            return
        self.world.stopped = False
        self.run(LimitsSet(self.limits))
        self.run(KeptAwake(kept=False))
        self.the_agent_is_back()
        if self.slow:
            self.the_controller_catches_up()
        self.world.requests.clear()
        for _ in range(400):
            self.now += 1
            for replica in self.world.replicas.values():
                replica.ready = True
            self.the_cluster_is_read(0)
            self.counters_are_read(0)
            self.run(Tick())
        assert not self.world.frozen
        assert not self.state.frozen
        assert self.state.replicas == self.limits.min == self.world.spec
        assert len(self.world.replicas) == self.limits.min
        resting = {ScalePhase.AWAKE} if self.limits.min else {ScalePhase.ASLEEP, ScalePhase.FAILING}
        assert self.state.phase in resting
        assert rests(self.state) == (self.state.phase is ScalePhase.ASLEEP)
        self.the_bill_is_what_an_observer_counts()

    def the_bill_is_what_an_observer_counts(self) -> None:
        """Replicas that ended late included, and never more than `max` of them in any second."""
        most, now = self.limits.max, int(self.now)
        spans = [*self.world.runs, *((replica.began, now) for replica in self.world.replicas.values())]
        runs = tuple(
            Run(str(n), UnixSeconds(begun), UnixSeconds(ended), 7, 3, 0)
            for n, (begun, ended) in enumerate(spans)
        )
        billed = usage(Ledger(runs, ceilings=(Ceiling(UnixSeconds(0), 7 * most, 3 * most, 0),)), 0, now)
        counted = sum(
            min(most, sum(begun <= second < ended for begun, ended in spans)) for second in range(now)
        )
        assert billed.quantities[:2] == (7 * counted, 3 * counted)


class WarmPod(ScaledPod):
    """The same of a pod that may always sleep warm."""

    @initialize(
        most=st.integers(1, 3),
        idle=st.floats(1, 20),
        late=st.lists(st.integers(0, 40), min_size=1, max_size=5),
        warm=st.floats(20, 90),
    )
    def start(self, most: int, idle: float, late: list[int], warm: float) -> None:
        self.begin(Limits(max=most, idle_after=idle, concurrency=2, warm_for=warm), late)


TestScaledPod = ScaledPod.TestCase
TestWarmPod = WarmPod.TestCase
TestWarmPod.settings = settings(max_examples=examples(60, few=6), stateful_step_count=50, deadline=None)
TestScaledPod.settings = settings(max_examples=examples(60, few=6), stateful_step_count=50, deadline=None)

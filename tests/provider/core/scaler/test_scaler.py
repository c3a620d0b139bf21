# SPDX-License-Identifier: Apache-2.0
"""The scaler, by examples. The same promises under arbitrary events: test_scale_world.py."""

from dataclasses import replace

import pytest

from trustedpods.provider.core.scaler.concurrency import STABLE_S
from trustedpods.provider.core.scaler.scaler import (
    AnswerWakes,
    KeptAwake,
    Limits,
    LimitsSet,
    PodsSeen,
    RefuseWakes,
    ScalePhase,
    ScaleState,
    Serve,
    SetReplicas,
    SleepAsked,
    Tick,
    TrafficSeen,
    WakeAsked,
    begin,
    step,
)
from trustedpods.provider.core.scaler.told import cap_told
from trustedpods.provider.core.traffic import PodAddress, PodTraffic, SlotStats

A = PodAddress("pod-a", "10.0.0.1", 8080)
B = PodAddress("pod-b", "10.0.0.2", 8080)
C = PodAddress("pod-c", "10.0.0.3", 8080)
LIMITS = Limits(idle_after=5, concurrency=10, max=3)


def stats(
    current: int = 0, total: int = 0, *, held: int = 0, maint: tuple = (), serving: tuple = (A,), **rows: int
) -> SlotStats:
    pods = [PodTraffic(pod.name, rows.get(pod.name[-1], 0), serving=True) for pod in serving]
    pods += [PodTraffic(pod.name, rows.get(pod.name[-1], 0), serving=False) for pod in maint]
    return SlotStats("1.1", current, total, total * 100, total * 1000, held, tuple(pods))


def looked(
    ready: tuple = (), unready: tuple = (), replicas: int | None = None, failure: str | None = None
) -> PodsSeen:
    """A look at a cluster whose controllers are all up to date."""
    return PodsSeen(ready, unready, replicas, failure, settled=True)


def asleep(limits: Limits = LIMITS) -> ScaleState:
    """A pod at zero whose facade has been told so, at time 0."""
    state, commands = step(begin(limits, 0), LimitsSet(limits), 0)
    assert commands[0] == Serve()
    return state


def awake(limits: Limits = LIMITS, *pods: PodAddress) -> ScaleState:
    """A pod that has just become ready at time 0."""
    ready = pods or (A,)
    state, _ = step(begin(limits, 0, len(ready)), looked(ready, replicas=len(ready)), 0)
    assert state.phase is ScalePhase.AWAKE
    return state


def test_a_request_wakes_the_pod_and_is_answered_when_it_is_ready():
    state = asleep()
    state, commands = step(state, WakeAsked(), 1)
    assert commands == [SetReplicas(1)]
    state, commands = step(state, WakeAsked(), 1.1)
    assert commands == []
    state, commands = step(state, looked(unready=(A,), replicas=1), 1.3)
    assert commands == [Serve((), (A,))]
    state, commands = step(state, looked(ready=(A,), replicas=1), 1.5)
    assert commands == [Serve((A,)), AnswerWakes(A)]
    state, commands = step(state, WakeAsked(), 1.6)
    assert commands == [AnswerWakes(A)]


def test_an_idle_pod_drains_and_sleeps():
    state = awake()
    state, _ = step(state, TrafficSeen(stats(1, 1)), 1)
    state, commands = step(state, TrafficSeen(stats(0, 1)), 5.9)
    assert commands == []
    state, commands = step(state, TrafficSeen(stats(0, 1)), 6)
    assert commands == [Serve((), (A,))]
    state, commands = step(state, TrafficSeen(stats(0, 1)), 6.1)
    assert commands == [], "this reading was taken before the pod was shut off"
    state, commands = step(state, TrafficSeen(stats(0, 1, maint=(A,), serving=())), 6.2)
    assert commands == [Serve(), SetReplicas(0, ("pod-a",))]
    assert state.phase is ScalePhase.ASLEEP


def test_a_request_between_two_readings_counts_as_activity():
    state = awake()
    state, _ = step(state, TrafficSeen(stats(0, 1)), 1)
    state, commands = step(state, TrafficSeen(stats(0, 2)), 6)
    assert commands == []
    assert state.active == 6


def test_a_pod_that_asks_for_its_sleep_drains_as_soon_as_nothing_is_in_flight():
    state = awake()
    state, _ = step(state, TrafficSeen(stats(1, 1)), 1)
    state, commands = step(state, SleepAsked(), 1.1)
    assert commands == []
    state, commands = step(state, TrafficSeen(stats(1, 1)), 1.5)
    assert commands == [], "the request in which it asked goes on"
    state, commands = step(state, TrafficSeen(stats(0, 1)), 1.6)
    assert commands == [Serve((), (A,))]
    state, commands = step(state, TrafficSeen(stats(0, 1, maint=(A,), serving=())), 1.7)
    assert commands == [Serve(), SetReplicas(0, ("pod-a",))]


def test_a_request_that_calls_a_drain_off_calls_the_asked_sleep_off():
    state, _ = step(awake(), TrafficSeen(stats(0, 0)), 0.1)
    state, _ = step(state, SleepAsked(), 0.2)
    state, _ = step(state, TrafficSeen(stats(0, 0)), 0.3)
    assert state.phase is ScalePhase.DRAINING
    state, _ = step(state, WakeAsked(), 0.4)
    state, commands = step(state, TrafficSeen(stats(0, 0)), 0.5)
    assert (state.phase, commands) == (ScalePhase.AWAKE, [])


def test_a_pod_that_is_kept_awake_sleeps_afterwards_as_it_asked():
    state, _ = step(awake(), KeptAwake(kept=True), 0.1)
    state, _ = step(state, SleepAsked(), 0.2)
    for now in (0.3, 1, LIMITS.idle_after + 100):
        state, commands = step(state, TrafficSeen(stats(0, 0)), now)
        assert (state.phase, commands) == (ScalePhase.AWAKE, [])
    state, _ = step(state, KeptAwake(kept=False), now + 0.1)
    state, commands = step(state, TrafficSeen(stats(0, 0)), now + 0.2)
    assert commands == [Serve((), (A,))]


@pytest.mark.parametrize("state", [asleep(), awake(replace(LIMITS, min=1))])
def test_a_pod_that_sleeps_or_always_runs_asks_in_vain(state):
    after, commands = step(state, SleepAsked(), 1)
    assert (after, commands) == (state, [])


def test_a_drain_waits_for_what_is_in_flight():
    state = awake()
    state, _ = step(state, TrafficSeen(stats(0, 1)), 1)
    state, commands = step(state, TrafficSeen(stats(0, 1)), 6)
    assert commands == [Serve((), (A,))]
    shut = {"maint": (A,), "serving": ()}
    state, commands = step(state, TrafficSeen(stats(1, 2, **shut)), 7)
    assert commands == [], "it came just before the pod was shut off"
    state, commands = step(state, TrafficSeen(stats(0, 2, **shut)), 8)
    assert commands[-1] == SetReplicas(0, ("pod-a",))


def test_a_request_calls_a_drain_off():
    state = awake()
    state, commands = step(state, TrafficSeen(stats()), 5)
    assert commands == [Serve((), (A,))]
    state, commands = step(state, WakeAsked(), 5.1)
    assert commands == [Serve((A,)), AnswerWakes(A)]
    state, commands = step(state, TrafficSeen(stats(1, 1, maint=(A,), serving=())), 5.2)
    assert commands == []
    assert state.phase is ScalePhase.AWAKE


def test_what_the_kernel_carries_keeps_the_pod_as_what_the_proxy_does():
    state = awake(replace(LIMITS, idle_connection=60))
    state, _ = step(state, TrafficSeen(replace(stats(1, 0), led=3)), 1)
    state, _ = step(state, TrafficSeen(replace(stats(1, 0), led=4)), 50)
    state, commands = step(state, TrafficSeen(replace(stats(1, 0), led=4)), 109)
    assert commands == []
    state, commands = step(state, TrafficSeen(replace(stats(1, 0), led=4)), 114)
    assert commands == [Serve((), (A,))]
    state, commands = step(state, TrafficSeen(replace(stats(1, 0), led=4)), 115)
    assert commands == [], "new connections may still be led there"


def test_a_download_keeps_the_pod_and_silence_does_not():
    state = awake(replace(LIMITS, idle_connection=60))
    state, _ = step(state, TrafficSeen(stats(1, 1)), 1)
    for now in range(2, 50, 2):
        state, commands = step(state, TrafficSeen(stats(1, 1)), now)
        assert commands == []
    state, _ = step(state, TrafficSeen(replace(stats(1, 1), bytes_out=5)), 50)
    state, commands = step(state, TrafficSeen(replace(stats(1, 1), bytes_out=5)), 109)
    assert commands == [], "in flight until a minute after its last byte"
    state, commands = step(state, TrafficSeen(replace(stats(1, 1), bytes_out=5)), 114)
    assert commands == [Serve((), (A,))]
    quiet = replace(stats(1, 1, maint=(A,), serving=()), bytes_out=5)
    state, commands = step(state, TrafficSeen(quiet), 115)
    assert commands[-1] == SetReplicas(0, ("pod-a",))


def test_load_grows_the_pod_at_once_up_to_its_limit():
    state = awake()
    state, commands = step(state, TrafficSeen(stats(25, 25)), 1)
    assert commands == [SetReplicas(3)]
    state, commands = step(state, TrafficSeen(stats(500, 500)), 2)
    assert commands == []


def test_load_grows_the_pod_no_further_than_its_cap_pays_for_and_says_so():
    capped = replace(LIMITS, affordable=2)
    assert cap_told(awake(), 0) == ""
    state = awake(capped)
    assert cap_told(state, 0).startswith("at most 2 of 3 replicas: maxCostPerDay")
    state, commands = step(state, TrafficSeen(stats(25, 25)), 1)
    assert commands == [SetReplicas(2)]
    assert cap_told(state, 1).startswith("held at 2 of 3 replicas by maxCostPerDay, the channel's cap")
    state, _ = step(state, looked((A, B), replicas=2), 2)
    state, commands = step(state, TrafficSeen(stats(25, 50)), 2)
    assert commands == []
    state, _ = step(state, LimitsSet(LIMITS), 3)
    state, commands = step(state, TrafficSeen(stats(25, 75)), 4)
    assert commands == [SetReplicas(3)]
    assert cap_told(state, 4) == ""


def test_a_lower_cap_takes_replicas_back_without_cutting():
    state, _ = step(awake(LIMITS, A, B), LimitsSet(replace(LIMITS, affordable=1)), 1)
    state, commands = step(state, TrafficSeen(stats(15, 15, serving=(A, B), a=8, b=7)), 2)
    assert commands == [Serve((B,), (A,))]
    state, commands = step(state, TrafficSeen(stats(9, 15, serving=(B,), maint=(A,), a=2, b=7)), 3)
    assert commands == []
    state, commands = step(state, TrafficSeen(stats(7, 15, serving=(B,), maint=(A,), b=7)), 4)
    assert commands == [Serve((B,)), SetReplicas(1, ("pod-a",))]


@pytest.mark.parametrize("affordable", [0, 1, 2])
def test_the_cap_takes_nothing_from_what_always_runs(affordable):
    limits = replace(LIMITS, min=2, affordable=affordable)
    assert limits.most == 2
    _, commands = step(begin(limits, 0), Tick(), 0)
    assert commands[-1] == SetReplicas(2)


def test_less_load_shrinks_it_after_a_calm_while_without_cutting():
    state = awake(LIMITS, A, B, C)
    for second in range(1, int(STABLE_S) + 2):
        state, commands = step(
            state, TrafficSeen(stats(12, second, serving=(A, B, C), a=4, b=4, c=4)), second
        )
        if second < STABLE_S:
            assert commands == []
    assert state.leaving == ("pod-a",)
    now = STABLE_S + 2
    state, commands = step(state, TrafficSeen(stats(12, 100, serving=(B, C), maint=(A,), a=1)), now)
    assert commands == [], "one request is still there"
    state, commands = step(state, TrafficSeen(stats(12, 101, serving=(B, C), maint=(A,))), now + 1)
    assert commands == [Serve((B, C)), SetReplicas(2, ("pod-a",))]


def test_a_replica_that_should_have_gone_goes_before_one_that_serves():
    limits = replace(LIMITS, max=2)
    state = replace(awake(limits, A, B), retired=("pod-c",), replicas=3)
    state, commands = step(state, TrafficSeen(stats(9, 9, serving=(A, B), a=5, b=4)), 1)
    assert commands == [SetReplicas(2, ("pod-c",))]


def test_new_load_keeps_a_replica_that_was_leaving():
    state = awake(LIMITS, A, B)
    state = replace(state, leaving=("pod-b",), served=Serve((A,), (B,)))
    state, commands = step(state, TrafficSeen(stats(15, 1, serving=(A,), maint=(B,))), STABLE_S + 1)
    assert commands == [Serve((A, B))]


def test_a_replica_that_the_activator_was_sent_to_leaves_last():
    state = awake(LIMITS, A, B)
    state, commands = step(state, WakeAsked(), 1)
    assert commands == [AnswerWakes(A)]
    state, commands = step(state, TrafficSeen(stats(1, 1, held=1, serving=(A, B))), STABLE_S + 1)
    assert commands == [Serve((A,), (B,))]


def test_a_leaving_replica_that_the_activator_was_sent_to_waits_for_it():
    state = awake(LIMITS, A, B)
    state, _ = step(state, WakeAsked(), 1)
    state = replace(state, leaving=("pod-a",), served=Serve((B,), (A,)))
    shut = {"serving": (B,), "maint": (A,)}
    state, commands = step(state, TrafficSeen(stats(1, 1, held=1, **shut)), STABLE_S + 1)
    assert commands == []
    state, commands = step(state, TrafficSeen(stats(0, 1, **shut)), STABLE_S + 2)
    assert commands == [Serve((B,)), SetReplicas(1, ("pod-a",))]


def test_a_leaving_replica_is_shut_off_before_it_goes():
    state = replace(awake(replace(LIMITS, max=1), A, B), leaving=("pod-b",), served=Serve((A,), (B,)))
    state, commands = step(state, TrafficSeen(stats(serving=(A, B))), 4)
    assert commands == [], "this reading was taken before"


def test_a_failure_is_told_and_not_repeated_at_once():
    state, _ = step(asleep(), WakeAsked(), 0)
    state, commands = step(state, looked(replicas=1, failure="ImagePullBackOff: no such image"), 2)
    assert commands == [RefuseWakes("ImagePullBackOff: no such image", 5), SetReplicas(0)]
    state, commands = step(state, WakeAsked(), 3)
    assert commands == [RefuseWakes("ImagePullBackOff: no such image", 4)]
    assert (state.failures, state.retry_at) == (1, 7)
    state, commands = step(state, WakeAsked(), 7)
    assert commands == [SetReplicas(1)]
    state, commands = step(state, looked(replicas=1, failure="again"), 8)
    assert commands[0] == RefuseWakes("again", 10), "twice as long"


def test_a_wake_up_ends_with_its_limit_and_the_start_with_its_own():
    state, _ = step(asleep(), WakeAsked(), 0)
    state, commands = step(state, Tick(), 59)
    assert commands == []
    state, commands = step(state, Tick(), 60)
    assert commands == [RefuseWakes("not ready within 60 s", 5)]
    assert state.phase is ScalePhase.WAKING, "it may still come"
    state, _ = step(state, WakeAsked(), 250)
    state, commands = step(state, Tick("container web: GET / on port 80: status 503, 7 times"), 300)
    reason = "not ready within 300 s: container web: GET / on port 80: status 503, 7 times"
    assert commands == [RefuseWakes(reason, 5), SetReplicas(0)]
    assert state.phase is ScalePhase.FAILING


def test_the_end_of_funds_stops_at_once():
    state = awake()
    state, _ = step(state, TrafficSeen(stats(1, 1)), 1)
    stopped = replace(LIMITS, stopped="its funds have ended")
    state, commands = step(state, LimitsSet(stopped), 2)
    assert commands == [Serve(), SetReplicas(0, ("pod-a",))]
    state, commands = step(state, WakeAsked(), 3)
    assert commands == [RefuseWakes("its funds have ended", 60)]
    state, commands = step(state, Tick(), 4)
    assert commands == []
    state, commands = step(state, LimitsSet(LIMITS), 5)
    state, commands = step(state, WakeAsked(), 6)
    assert commands == [SetReplicas(1)]


def test_a_least_number_is_started_and_kept_by_itself():
    limits = replace(LIMITS, min=2)
    state, commands = step(begin(limits, 0), Tick(), 0)
    assert commands == [Serve(), SetReplicas(2)]
    state, _ = step(state, looked(ready=(A, B), replicas=2), 1)
    state, commands = step(state, TrafficSeen(stats(0, 0, serving=(A, B))), 1000)
    assert commands == []
    state, commands = step(state, looked(failure="CrashLoopBackOff", replicas=2), 1001)
    assert SetReplicas(0) not in commands
    assert state.replicas == 2


def test_another_hand_on_the_replicas_is_put_right():
    state = awake()
    state, commands = step(state, looked(ready=(A,), replicas=0), 1)
    assert commands == [SetReplicas(1)]
    state, commands = step(state, looked(ready=(A, B), replicas=7), 2)
    assert commands == [Serve((A, B))], "what runs too much ends its requests first"
    state, commands = step(state, TrafficSeen(stats(serving=(A, B))), 3)
    assert commands == [SetReplicas(3)]


def test_an_unready_pod_gets_nothing_new_and_is_not_cut():
    state = awake(LIMITS, A, B)
    state, commands = step(state, looked(ready=(A,), unready=(B,), replicas=2), 1)
    assert commands == [Serve((A,), (B,))]
    quiet = stats(1, 1, serving=(A,), maint=(B,), b=1)
    for now in (STABLE_S + 1, STABLE_S + 2):
        state, commands = step(state, TrafficSeen(quiet), now)
        assert commands == [], "it still serves a request"


def test_all_replicas_lost_waits_for_new_ones():
    state = awake()
    state, commands = step(state, looked(replicas=1), 1)
    assert commands == [Serve()]
    state, commands = step(state, WakeAsked(), 2)
    assert commands == []
    state, commands = step(state, looked(ready=(B,), replicas=1), 3)
    assert commands == [Serve((B,)), AnswerWakes(B)]


def test_a_pod_that_crashes_while_awake_is_a_failure():
    state, commands = step(awake(), looked(replicas=1, failure="CrashLoopBackOff"), 1)
    assert commands == [Serve(), SetReplicas(0)]
    assert state.phase is ScalePhase.FAILING


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_restarted_daemon_takes_over_what_runs(replicas):
    state = begin(LIMITS, 100, replicas)
    state, commands = step(state, looked(unready=(A,), replicas=replicas), 100.1)
    assert commands == [], "it may well be serving: it is not shut off for being unknown"
    state, commands = step(state, looked(ready=(A,), replicas=replicas), 101)
    assert commands == [Serve((A,))]
    assert state.replicas == replicas


def test_a_restarted_daemon_does_not_trust_what_runs_for_long():
    state, commands = step(begin(LIMITS, 100, 1), looked(unready=(A,), replicas=1), 100.1)
    state, commands = step(state, Tick(), 102)
    assert commands == [Serve((), (A,))]


def test_a_restarted_daemon_clears_what_is_left_of_a_sleeping_pod():
    state, commands = step(begin(LIMITS, 100), Tick(), 100)
    assert commands == [Serve()]
    assert step(state, Tick(), 101)[1] == []

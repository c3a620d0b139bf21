# SPDX-License-Identifier: Apache-2.0
"""The scaler beside controllers that are behind: what they may still end serves nothing."""

from dataclasses import replace

from tests.provider.core.scaler.test_scaler import LIMITS, A, B, C, awake, looked, stats
from trustedpods.provider.core.scaler.scaler import (
    AnswerWakes,
    PodsSeen,
    ScaleState,
    Serve,
    SetReplicas,
    TrafficSeen,
    WakeAsked,
    begin,
    step,
)


def slept() -> ScaleState:
    """A pod that was awake, went to sleep at 5.1 and is asked for at 5.2."""
    state = awake()
    state, _ = step(state, TrafficSeen(stats()), 5)
    state, _ = step(state, TrafficSeen(stats(maint=(A,), serving=())), 5.1)
    state, commands = step(state, WakeAsked(), 5.2)
    assert commands == [SetReplicas(1)]
    return state


def test_what_a_controller_may_still_end_serves_nothing_however_long_it_is_behind():
    state = slept()
    state, commands = step(state, PodsSeen(ready=(A,), replicas=1), 60)
    assert commands == [Serve((), (A,))], "the number before the last may reach the controller now"
    state, commands = step(state, PodsSeen(ready=(A, B), replicas=1), 61)
    assert commands == [Serve((), (A, B))], "made for one number, it may end for another"
    state, commands = step(state, looked(ready=(B,), replicas=1), 62)
    assert commands == [Serve((B,)), AnswerWakes(B)]


def test_a_zero_that_was_settled_while_it_slept_is_left_without_another_look():
    state = awake()
    state, _ = step(state, TrafficSeen(stats()), 5)
    state, _ = step(state, TrafficSeen(stats(maint=(A,), serving=())), 5.1)
    state, _ = step(state, looked(replicas=0), 5.2)
    state, _ = step(state, WakeAsked(), 6)
    state, commands = step(state, PodsSeen(ready=(B,)), 7)
    assert commands == [Serve((B,)), AnswerWakes(B)]


def test_a_number_that_another_hand_has_set_meanwhile_is_not_settled():
    state = awake()
    state, _ = step(state, TrafficSeen(stats()), 5)
    state, _ = step(state, TrafficSeen(stats(maint=(A,), serving=())), 5.1)
    state, commands = step(state, looked(ready=(A,), replicas=1), 5.2)
    assert commands == [SetReplicas(0, ("pod-a",))]
    state, _ = step(state, WakeAsked(), 6)
    state, commands = step(state, PodsSeen(ready=(A,)), 7)
    assert commands == [Serve((), (A,))]


def test_a_pod_that_survived_a_short_sleep_is_used_once_that_is_settled():
    _, commands = step(slept(), looked(ready=(A,), replicas=1), 5.3)
    assert commands == [Serve((A,)), AnswerWakes(A)]


def test_running_replicas_that_a_new_daemon_meets_are_used_once_that_is_settled():
    state, commands = step(begin(LIMITS, 0, 1), PodsSeen((A,), replicas=1), 0.1)
    assert commands == [], "the facade goes on as it is for a moment"
    state, commands = step(state, looked((A,), replicas=1), 0.2)
    assert commands == [Serve((A,))]


def test_a_replica_that_was_to_go_and_stays_is_used_once_that_is_settled():
    state = replace(awake(LIMITS, A, B), retired=("pod-c",))
    state, commands = step(state, PodsSeen((A, B, C), replicas=2), 60)
    assert commands == []
    state, commands = step(state, looked((A, C), replicas=2), 61)
    assert commands == [Serve((A, C))], "another went in its place"

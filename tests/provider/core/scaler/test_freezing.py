# SPDX-License-Identifier: Apache-2.0
"""Warm sleep, by examples. The same promises under arbitrary events: test_world.py."""

from dataclasses import replace

import pytest

from tests.provider.core.scaler.test_scaler import A, B, asleep, awake, looked, stats
from trustedpods.provider.core.scaler.freezing import LEND_AFTER_S, CpuMove, cpu_move, pressed, to_go
from trustedpods.provider.core.scaler.scaler import begin, rests, step
from trustedpods.provider.core.scaler.types import (
    AnswerWakes,
    Limits,
    LimitsSet,
    NotFrozen,
    PodsSeen,
    ScalePhase,
    Serve,
    SetFrozen,
    SetReplicas,
    Thawed,
    Tick,
    TrafficSeen,
    WakeAsked,
)

LIMITS = Limits(idle_after=5, concurrency=10, max=3, warm_for=60)
FREEZE, THAW = SetFrozen(frozen=True), SetFrozen(frozen=False)


def begun(limits=LIMITS, *pods):
    """Awake, as after a start of the daemon: what may be frozen was thawed."""
    ready = pods or (A,)
    state, commands = step(begin(limits, 0, len(ready)), looked(ready, replicas=len(ready)), 0)
    assert commands == [THAW]
    assert state.phase is ScalePhase.WAKING
    state, commands = step(state, Thawed(), 0)
    assert commands == [Serve(ready)]
    return state


def warm(limits=LIMITS, *pods):
    """Asleep with its replicas frozen, since second 8."""
    pods = pods or (A,)
    state, _ = step(begun(limits, *pods), TrafficSeen(stats()), 7)
    assert state.phase is ScalePhase.DRAINING
    state, commands = step(state, TrafficSeen(stats(serving=(), maint=pods)), 8)
    assert commands == [Serve(), FREEZE]
    assert state.phase is ScalePhase.WARM
    return state


def test_an_idle_pod_is_frozen_and_its_first_request_thaws_it():
    state, commands = step(warm(), WakeAsked(), 9)
    assert commands[0] == THAW
    assert AnswerWakes(A) not in commands
    state, commands = step(state, WakeAsked(), 9)
    assert commands == []
    state, commands = step(state, Thawed(), 9)
    assert commands == [Serve((A,)), AnswerWakes(A)]
    assert state.phase is ScalePhase.AWAKE


def test_after_its_time_it_goes_as_others_do_at_once():
    state, commands = step(warm(), Tick(), 67)
    assert commands == []
    state, commands = step(state, Tick(), 68)
    assert commands == [THAW, SetReplicas(0, ("pod-a",))]
    state, _ = step(state, Thawed(), 68)
    assert state.phase is ScalePhase.ASLEEP
    assert rests(state)


@pytest.mark.parametrize(
    "event",
    [
        NotFrozen(),
        LimitsSet(replace(LIMITS, stopped="its funds have ended")),
        LimitsSet(replace(LIMITS, warm_for=0)),
        PodsSeen((), (A,), 1),
        PodsSeen((), (), 1),
        PodsSeen((A, B), (), 2),
        PodsSeen((A,), (), 0),
    ],
)
def test_whatever_ends_it_thaws_first(event):
    state, commands = step(warm(), event, 9)
    zero = next(number for number, one in enumerate(commands) if isinstance(one, SetReplicas))
    assert commands.index(THAW) < zero
    assert commands[zero].count == 0
    assert state.phase is ScalePhase.ASLEEP


def test_a_look_at_the_same_replicas_and_a_late_word_change_nothing():
    state = warm()
    for event in (looked((A,), replicas=1), Tick(), TrafficSeen(stats(serving=()))):
        state, commands = step(state, event, 9)
        assert (state.phase, commands) == (ScalePhase.WARM, [])
    state, _ = step(state, WakeAsked(), 10)
    state, commands = step(state, NotFrozen(), 10)
    assert (state.phase, commands) == (ScalePhase.WAKING, [])


def test_one_that_must_always_run_now_is_thawed():
    state, commands = step(warm(), LimitsSet(replace(LIMITS, min=1)), 9)
    assert commands[0] == THAW
    state, _ = step(state, Thawed(), 9)
    assert state.phase is ScalePhase.AWAKE


def test_replicas_of_which_anything_is_unsure_are_ended_not_frozen():
    state, _ = step(begun(), TrafficSeen(stats()), 7)
    state, _ = step(state, looked((A,), (B,), replicas=1), 7.5)
    state, commands = step(state, TrafficSeen(stats(serving=(), maint=(A, B))), 8)
    assert SetReplicas(0, ("pod-a", "pod-b")) in commands
    assert FREEZE not in commands


def test_a_new_replica_does_not_serve_before_the_old_one_was_let_go():
    """The node's agent is away: what is frozen is not known to run."""
    state, _ = step(warm(), NotFrozen(), 9)
    state, commands = step(state, WakeAsked(), 10)
    assert commands == [SetReplicas(1)]
    state, commands = step(state, looked((B,), replicas=1), 11)
    assert state.phase is ScalePhase.WAKING
    state, commands = step(state, Thawed(), 12)
    assert commands == [Serve((B,)), AnswerWakes(B)]


def test_a_pod_without_warm_sleep_is_never_frozen():
    state, _ = step(awake(Limits(idle_after=5)), TrafficSeen(stats()), 7)
    state, commands = step(state, TrafficSeen(stats(serving=(), maint=(A,))), 8)
    assert commands == [Serve(), SetReplicas(0, ("pod-a",))]
    assert not asleep(LIMITS).frozen


def test_memory_is_short_below_a_tenth_and_the_oldest_goes_first():
    assert pressed(1000, 99)
    assert not pressed(1000, 100)
    assert to_go({"b": 2.0, "a": 2.0, "c": 3.0}) == "a"
    assert to_go({}) is None


@pytest.mark.parametrize(
    ("frozen_s", "lent", "restored", "wanted"),
    [
        (None, False, False, None),
        (None, True, False, CpuMove.RECLAIM),
        (0.0, False, True, None),
        (LEND_AFTER_S, False, True, CpuMove.LEND),
        (LEND_AFTER_S, False, False, None),
        (LEND_AFTER_S, True, True, None),
        (0.0, True, False, None),
    ],
)
def test_cpu_is_lent_by_what_sleeps_on_and_reclaimed_by_all_that_runs(frozen_s, lent, restored, wanted):
    assert cpu_move(frozen_s, lent=lent, restored=restored) is wanted

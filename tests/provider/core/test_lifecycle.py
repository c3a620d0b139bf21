# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.provider.records import pod_record
from trustedpods.provider.core.lifecycle import TOLD, LifecycleCommand, LifecycleEvent, step
from trustedpods.provider.core.pod import ENDED, WORKING, Phase

HAPPY = [
    (LifecycleEvent.BUNDLE, Phase.RECEIVED),
    (LifecycleEvent.BLOBS_COMPLETE, Phase.WAITING_CHANNEL),
    (LifecycleEvent.CHANNEL_GOOD, Phase.IMPORTING),
    (LifecycleEvent.IMPORTED, Phase.STARTING),
    (LifecycleEvent.STARTED, Phase.SERVING),
    (LifecycleEvent.FUNDS_OUT, Phase.STOPPED),
    (LifecycleEvent.FUNDED, Phase.SERVING),
    (LifecycleEvent.DELETED, Phase.REMOVING),
    (LifecycleEvent.REMOVED, Phase.GONE),
]


def test_the_history_has_words_for_each_event():
    assert set(TOLD) == set(LifecycleEvent)
    assert not set(TOLD.values()) & {str(one) for one in (*Phase, *LifecycleEvent)}


def test_a_whole_life():
    record = pod_record(phase=Phase.RECEIVED)
    for at, (event, phase) in enumerate(HAPPY):
        record = step(record, event, at).record
        assert record.phase is phase


@given(st.lists(st.sampled_from(list(LifecycleEvent)), max_size=40))
def test_an_event_that_comes_twice_changes_nothing_more(events):
    record = pod_record(phase=Phase.RECEIVED)
    for event in events:
        if event is LifecycleEvent.BUNDLE:
            continue  # a newer bundle is a new event each time
        once = step(record, event, 5).record
        if once.phase is not record.phase:
            again = step(once, event, 5)
            assert event is LifecycleEvent.FAILED or again.record == once
        record = once


@given(st.lists(st.sampled_from(list(LifecycleEvent)), max_size=40))
def test_only_a_proven_pod_is_live(events):
    record = pod_record(phase=Phase.RECEIVED)
    for event in events:
        record = step(record, event, 1).record
        if record.live:
            assert record.phase not in ENDED
            assert record.phase not in (Phase.STOPPED, Phase.REMOVING, Phase.AWAITING_KEY)
        if record.phase is Phase.SERVING:
            assert record.live


def test_every_phase_with_work_orders_it():
    for event in LifecycleEvent:
        for phase in Phase:
            after = step(pod_record(phase=phase), event, 1)
            if after.commands and after.record.phase in WORKING:
                assert LifecycleCommand.WORK in after.commands


def test_a_first_start_that_fails_ends_as_failed():
    record = step(
        pod_record(phase=Phase.STARTING), LifecycleEvent.FAILED, 3, "ImagePullBackOff: no such image"
    ).record
    assert record.phase is Phase.REMOVING
    assert record.failing
    record = step(record, LifecycleEvent.REMOVED, 4).record
    assert record.phase is Phase.FAILED
    assert "ImagePullBackOff" in record.reason


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize(
    "phase", [Phase.RECEIVED, Phase.WAITING_CHANNEL, Phase.IMPORTING, Phase.STARTING], ids=str
)
def test_a_failed_update_goes_back_to_what_ran(phase, applied):
    """What it has not touched goes on; what it has may have to be started again."""
    record = pod_record(
        phase=phase, previous=b"old", request=b"new", statement=b"s", live=True, version=2, applied=applied
    )
    after = step(record, LifecycleEvent.FAILED, 3, "crash")
    assert after.record.phase is (Phase.IMPORTING if applied else Phase.SERVING)
    assert (after.record.request, after.record.previous) == (b"old", None)
    assert after.record.proven == b"old"
    assert after.record.generation == record.generation  # an older request is still a replay
    serving = after.record
    for event in (LifecycleEvent.IMPORTED, LifecycleEvent.STARTED):
        serving = step(serving, event, 4).record
    assert (serving.phase, serving.version, serving.live) == (Phase.SERVING, 2, True)


FATES = st.sampled_from(
    [
        LifecycleEvent.BLOBS_COMPLETE,
        LifecycleEvent.CHANNEL_GOOD,
        LifecycleEvent.IMPORTED,
        LifecycleEvent.STARTED,
        LifecycleEvent.FAILED,
        LifecycleEvent.FUNDS_OUT,
        LifecycleEvent.FUNDED,
        LifecycleEvent.NAMESPACE_LOST,
    ]
)


@given(st.lists(st.one_of(FATES, st.just("update"), st.just("apply")), max_size=60))
def test_a_pod_never_goes_back_to_what_was_never_proven(fates):
    """Whatever updates overtake one another, and wherever they fail: what serves was proven."""
    record = pod_record(phase=Phase.SERVING, live=True, statement=b"s", request=b"0", version=1)
    proven, names = [b"0"], iter(range(1, 100))
    for fate in fates:
        before = record
        if fate == "update":
            record = replace(record, request=str(next(names)).encode(), previous=record.fallback)
            record = step(record, LifecycleEvent.BUNDLE, 1).record
        elif fate == "apply":
            record = replace(record, applied=record.applied or record.phase is Phase.STARTING)
        else:
            record = step(record, fate, 1).record
            if fate is LifecycleEvent.STARTED and before.phase is Phase.STARTING:
                proven.append(record.request)
        if fate is LifecycleEvent.FAILED and before.previous is not None and record != before:
            assert record.request in proven
        if record.previous is not None:
            assert record.previous in proven
        assert record.version <= len(proven)


def test_a_pod_that_served_is_not_removed_for_a_failing_start():
    record = pod_record(phase=Phase.STARTING, statement=b"s")
    assert step(record, LifecycleEvent.FAILED, 3, "x").record.phase is Phase.SERVING


@pytest.mark.parametrize("event", [LifecycleEvent.REMOVED, LifecycleEvent.CLEARED])
def test_a_stop_that_came_in_the_middle_of_its_end_holds_nothing_later(event):
    phase = Phase.REMOVING if event is LifecycleEvent.REMOVED else Phase.CLEARING
    record = pod_record(phase=phase, parked_at=5)
    assert step(record, event, 6).record.parked_at is None


def test_funds_out_parks_and_settles():
    after = step(pod_record(phase=Phase.SERVING, live=True), LifecycleEvent.FUNDS_OUT, 9)
    assert set(after.commands) == {LifecycleCommand.PARK, LifecycleCommand.SETTLE}
    assert after.record.stopped_at == 9
    revived = step(after.record, LifecycleEvent.FUNDED, 12)
    assert revived.record.stopped_at is None
    assert LifecycleCommand.PUBLISH in revived.commands


def test_nothing_leads_out_of_removal_but_its_end():
    removing = pod_record(phase=Phase.REMOVING)
    for event in set(LifecycleEvent) - {LifecycleEvent.REMOVED}:
        assert step(removing, event, 1).record == replace(removing)


@pytest.mark.parametrize(
    "event",
    [
        LifecycleEvent.NAMESPACE_LOST,
        LifecycleEvent.FUNDS_OUT,
        LifecycleEvent.UNLOCK_ANNOUNCED,
        LifecycleEvent.CHANNEL_CHANGED,
        LifecycleEvent.KEY_LOST,
    ],
    ids=str,
)
def test_what_ends_to_run_without_its_key_is_not_billed_for_storage(event):
    after = step(pod_record(phase=Phase.AWAITING_KEY, live=True), event, 9)
    assert (after.record.phase, after.record.runs_on) == (Phase.AWAITING_KEY, False)
    assert LifecycleCommand.LET_GO in after.commands


def test_what_runs_on_holds_what_it_held():
    after = step(pod_record(phase=Phase.SERVING, live=True), LifecycleEvent.TAKEN_OVER, 9)
    assert after.record.runs_on
    assert after.commands == ()

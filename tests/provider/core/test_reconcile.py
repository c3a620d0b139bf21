# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from tests.fakes.provider.records import pod_record
from trustedpods.provider.core.lifecycle import LifecycleCommand, LifecycleEvent, step
from trustedpods.provider.core.pod import WORKING, Phase
from trustedpods.provider.core.reconcile import (
    Decision,
    OperatorTimes,
    PodFacts,
    Read,
    decide,
    nothing_can_follow,
)

POLICY = OperatorTimes(grace_s=60, warn_before_s=30)
GOOD = PodFacts(
    now=1000,
    key_held=True,
    channel=Read.PRESENT,
    unlock_at=0,
    namespace=Read.PRESENT,
    published=Read.PRESENT,
    replicas=1,
    runway_s=500,
    revivable=False,
)
SERVING = pod_record(phase=Phase.SERVING, live=True)
STOPPED = pod_record(phase=Phase.STOPPED, stopped_at=990)


def test_a_healthy_pod_is_left_alone():
    assert decide(SERVING, GOOD, POLICY) == Decision()


@pytest.mark.parametrize("phase", sorted({*WORKING, Phase.GONE, Phase.FAILED}))
def test_pods_under_way_belong_to_their_keeper(phase):
    bad = replace(GOOD, channel=Read.ABSENT, namespace=Read.ABSENT, runway_s=0)
    assert decide(pod_record(phase=phase), bad, POLICY) == Decision()


UPDATES = [
    pod_record(phase=phase, live=True, previous=b"before")
    for phase in (Phase.RECEIVED, Phase.WAITING_CHANNEL, Phase.IMPORTING)
]


@pytest.mark.parametrize("phase", [Phase.RECEIVED, Phase.WAITING_CHANNEL, Phase.IMPORTING])
@pytest.mark.parametrize(
    ("changes", "event", "leads_to"),
    [
        ({"channel": Read.ABSENT}, LifecycleEvent.CHANNEL_GONE, Phase.REMOVING),
        ({"unlock_at": 2000}, LifecycleEvent.UNLOCK_ANNOUNCED, Phase.CLEARING),
        ({"runway_s": 0}, LifecycleEvent.FUNDS_OUT, Phase.CLEARING),
        ({}, None, None),
    ],
)
def test_a_deploy_over_kept_volumes_holds_none_that_nobody_pays_for(phase, changes, event, leads_to):
    """It may take as long as its publisher likes: the volumes cost meanwhile."""
    record = pod_record(phase=phase, retained=True, outliving={"data": 8})
    decision = decide(record, replace(GOOD, **changes), POLICY)
    assert decision.event is event
    if event is not None:
        assert step(record, event, 9).record.phase is leads_to
    ended = replace(record, stopped_at=940)
    assert decide(ended, GOOD, POLICY).event is LifecycleEvent.GRACE_OVER
    assert decide(ended, replace(GOOD, revivable=True), POLICY) == Decision()


@pytest.mark.parametrize("record", UPDATES)
@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({"channel": Read.ABSENT}, LifecycleEvent.CHANNEL_GONE),
        ({"unlock_at": 2000}, LifecycleEvent.UNLOCK_ANNOUNCED),
        ({"departed": "other terms"}, LifecycleEvent.CHANNEL_CHANGED),
        ({"runway_s": 0}, LifecycleEvent.FUNDS_OUT),
        ({}, None),
        ({"namespace": Read.ABSENT, "published": Read.ABSENT}, None),
    ],
)
def test_an_update_on_its_way_keeps_no_pod_running(record, changes, event):
    """How long a phase lasts is up to whoever sends the blobs; the version before costs meanwhile."""
    decision = decide(record, replace(GOOD, **changes), POLICY)
    assert decision.event is event
    assert decision.commands == ()
    if event is not None:
        assert step(record, event, 9).record.phase in (Phase.STOPPED, Phase.REMOVING)


@pytest.mark.parametrize("record", UPDATES)
def test_an_update_on_its_way_keeps_no_volumes_beyond_the_grace(record):
    stopped = replace(record, live=False, stopped_at=990)
    assert decide(stopped, replace(GOOD, now=1049), POLICY) == Decision()
    late = replace(GOOD, now=1050)
    assert decide(stopped, late, POLICY).event is LifecycleEvent.GRACE_OVER
    assert step(stopped, LifecycleEvent.GRACE_OVER, 1050).record.phase is Phase.REMOVING
    assert decide(stopped, replace(late, revivable=True), POLICY) == Decision()
    assert decide(stopped, replace(late, channel=Read.UNKNOWN), POLICY) == Decision()


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({"channel": Read.ABSENT}, LifecycleEvent.CHANNEL_GONE),
        ({"key_held": False}, LifecycleEvent.KEY_LOST),
        ({"unlock_at": 2000}, LifecycleEvent.UNLOCK_ANNOUNCED),
        ({"departed": "other terms"}, LifecycleEvent.CHANNEL_CHANGED),
        ({"runway_s": 0}, LifecycleEvent.FUNDS_OUT),
        ({"namespace": Read.ABSENT}, LifecycleEvent.NAMESPACE_LOST),
    ],
)
def test_what_ends_or_changes_a_serving_pod(changes, event):
    assert decide(SERVING, replace(GOOD, **changes), POLICY).event is event


def test_could_not_read_is_never_gone():
    blind = replace(
        GOOD,
        channel=Read.UNKNOWN,
        namespace=Read.UNKNOWN,
        published=Read.UNKNOWN,
        replicas=None,
        runway_s=None,
    )
    for record in (SERVING, STOPPED):
        assert decide(record, blind, POLICY) == Decision()


def test_but_a_pod_runs_at_most_to_its_last_known_runway():
    blind = replace(GOOD, channel=Read.UNKNOWN, runway_s=0)
    assert decide(SERVING, blind, POLICY).event is LifecycleEvent.FUNDS_OUT


def test_a_pod_that_the_facade_lost_is_published_again():
    assert decide(SERVING, replace(GOOD, published=Read.ABSENT), POLICY).commands == (
        LifecycleCommand.PUBLISH,
    )


def test_a_stopped_pod_comes_back_with_money():
    assert decide(STOPPED, replace(GOOD, revivable=True), POLICY).event is LifecycleEvent.FUNDED
    for still in ({"unlock_at": 5000}, {"departed": "other terms"}):
        assert decide(STOPPED, replace(GOOD, revivable=True, **still), POLICY).event is None


def test_a_stopped_pod_goes_after_the_grace_period():
    assert decide(STOPPED, replace(GOOD, now=1049), POLICY).event is None
    assert decide(STOPPED, replace(GOOD, now=1050), POLICY).event is LifecycleEvent.GRACE_OVER


@pytest.mark.parametrize("stopped_at", [None, 1000])
@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.AWAITING_KEY])
def test_no_grace_ends_unless_the_chain_shows_that_no_money_came(phase, stopped_at):
    record = replace(STOPPED, phase=phase, stopped_at=stopped_at)
    blind = replace(GOOD, now=10**6, unlock_at=1010, channel=Read.UNKNOWN, replicas=0)
    assert decide(record, blind, POLICY) == Decision()


def test_a_stopped_pod_is_claimed_before_a_notice_ends():
    patient = OperatorTimes(grace_s=10**6, warn_before_s=30)
    assert decide(STOPPED, replace(GOOD, unlock_at=1010), patient).event is LifecycleEvent.GRACE_OVER


def test_replicas_of_a_stopped_pod_are_taken_back():
    assert decide(STOPPED, replace(GOOD, replicas=1), POLICY).commands == (LifecycleCommand.PARK,)
    assert decide(STOPPED, replace(GOOD, replicas=0), POLICY) == Decision()


def test_a_pod_that_waits_for_its_key_only_ends_with_its_channel():
    waiting = pod_record(phase=Phase.AWAITING_KEY)
    blind = replace(GOOD, key_held=False, replicas=0, runway_s=0)
    assert decide(waiting, blind, POLICY) == Decision()
    assert decide(waiting, replace(blind, channel=Read.ABSENT), POLICY).event is LifecycleEvent.CHANNEL_GONE


def test_nothing_can_follow_where_no_later_time_decides_otherwise():
    for later in (0, 10, 10**6):
        assert decide(SERVING, replace(GOOD, now=GOOD.now + later), POLICY) == Decision()
    assert nothing_can_follow(SERVING, GOOD, Decision())


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (SERVING, {"channel": Read.UNKNOWN}),
        (SERVING, {"namespace": Read.UNKNOWN}),
        (SERVING, {"departed": "other terms"}),
        (replace(SERVING, other="tp-other"), {}),
        *((pod_record(phase=phase), {}) for phase in Phase if phase is not Phase.SERVING),
    ],
)
def test_something_may_follow_where_a_fact_is_missing_or_the_time_decides(record, changes):
    assert not nothing_can_follow(record, replace(GOOD, **changes), Decision())


@pytest.mark.parametrize(
    "decision",
    [Decision(LifecycleEvent.FUNDS_OUT, "no money"), Decision(commands=(LifecycleCommand.PUBLISH,))],
)
def test_what_was_decided_is_looked_at_again(decision):
    assert not nothing_can_follow(SERVING, GOOD, decision)

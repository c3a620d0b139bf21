# SPDX-License-Identifier: Apache-2.0
"""What a person does next, in each state of a pod."""

from dataclasses import replace

import pytest

from tests.fakes.page.reader import BEGAN, lines, listed, overview, status
from tests.publisher.page import hostile
from trustedpods.protocol.messages.pod import PodFailure
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.page.pod_view import next_steps, pod_view
from trustedpods.publisher.page.pods_view import pods_view
from trustedpods.publisher.results.pods import ListResult

CRASH = PodFailure(
    reason="container web ended: exit code 4",
    container="web",
    exit_code=4,
    ended_at=BEGAN,
    lines="",
    tries=3,
    next_try_at=BEGAN + 20,
    by_itself=True,
)


def channel(live, **changes):
    pod = status().pod
    changed = None if live is None else replace(pod.channel.live, **changes)
    return replace(pod, channel=replace(pod.channel, live=changed))


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, []),
        ({"failure": CRASH, "phase": "failing"}, ["trustedpods rollback web"]),
        ({"phase": "awaiting-key"}, ["trustedpods status web"]),
        ({"phase": "parked", "parked_at": 1_800_000_000}, ["trustedpods start web"]),
        ({"phase": "failed"}, ["trustedpods deploy FILE"]),
        ({"runway_s": 3600}, ["trustedpods fund web 7d"]),
        ({"runway_s": None}, []),
        ({"pod": channel(True, unlock_at=BEGAN)}, ["trustedpods close web"]),
        ({"pod": channel(None)}, ["trustedpods deploy FILE"]),
        ({"phase": "failed", "runway_s": 60}, ["trustedpods deploy FILE", "trustedpods fund web 7d"]),
    ],
)
def test_the_next_step(changes, steps):
    told = next_steps(status(**changes))
    assert len(told) == len(steps)
    assert all(f"`{step}" in text for step, text in zip(steps, told, strict=True))


def test_a_sleeping_pod_says_why_it_does_nothing():
    view = pod_view(overview(status=status(replicas=0, ready=0)))
    assert "sleeps" in view.why
    assert not view.warns


def test_a_failing_pod_says_why_and_since_when():
    view = pod_view(overview(status=status(phase="failing", failure=CRASH)))
    assert (view.why, view.warns) == ("container web ended: exit code 4", True)
    assert view.since == "2027-01-15 08:00:02Z"
    assert ["exit code 4" in fact.text for fact in view.facts if fact.name == "Last end"] == [True]


def test_what_was_not_told_is_said_in_its_place():
    view = pod_view(overview(log=hostile.ERROR, bill=hostile.ERROR))
    assert view.log_trouble
    assert view.bill.trouble
    assert (view.log, view.bill.facts, view.bill.charts) == ("", (), None)


def test_a_bill_that_does_not_agree_is_told():
    found = overview()
    view = pod_view(replace(found, bill=replace(found.bill, problems=("period 1: too much",))))
    assert view.bill.problems == ("period 1: too much",)
    assert len(view.bill.charts.rows) <= len(lines())


@pytest.mark.parametrize(
    ("changes", "lasts", "low"),
    [
        ({}, "10 d", False),
        ({"runway_s": 86_399}, "23 h 59 min", True),
        ({"runway_s": 0}, "0 s", True),
        ({"runway_s": None}, "no end at the present rate", False),
        ({"left": None}, "-", False),
        ({"error": hostile.ERROR}, "-", False),
    ],
)
def test_a_pod_whose_money_ends_soon_is_marked(changes, lasts, low):
    (row,) = pods_view(ListResult(Token("T", 2), (listed(**changes),))).rows
    assert (row.lasts, row.low) == (lasts, low)

# SPDX-License-Identifier: Apache-2.0
"""What `watch` decides: alarms, top-ups, and the code that a round ends with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.contracts.records import Channel
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import ExitCode
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import Usage
from trustedpods.publisher.core.cost import Shape
from trustedpods.publisher.core.watch import (
    LOW_RUNWAY_S,
    MARGIN_S,
    STALE_S,
    PodFunds,
    Spent,
    TopUp,
    channel_problems,
    checked,
    open_problems,
    payment,
    worst,
)

SHAPE = Shape(cpu_milli=100, memory_mib=64, storage_mib=10, scratch_mib=0, max_replicas=2)
TODAY = "2026-11-21"
PRICES = Prices(cpu_core_ms=1, memory_mib_s=1, storage_mib_s=1, egress_kib=1, ingress_kib=1, scale=0)
NEVER = Spent("", 0)
amounts = st.integers(0, 10**24)


def money(**changes):
    fields = {"left": 1000, "accrued": 0, "runway_s": 60, "peak_hour": 3600, "reserve": 10}
    return PodFunds(**(fields | changes))


def channel(up_to):
    return Channel(1, 1, up_to, 5, Terms(PRICES, 1, 0, 60))


def test_usage_within_the_largest_size_is_no_problem():
    assert open_problems(SHAPE, 0, Usage(200 * 50, 128 * 50, 10 * 50), since=100, now=150) == []


@pytest.mark.parametrize(
    ("usage", "what"),
    [
        (Usage(cpu_core_ms=200 * (50 + MARGIN_S) + 1), "CPU"),
        (Usage(memory_mib_s=128 * (50 + MARGIN_S) + 1), "memory"),
        (Usage(storage_mib_s=10 * (50 + MARGIN_S) + 1), "storage"),
    ],
)
def test_one_unit_more_is_one(usage, what):
    (problem,) = open_problems(SHAPE, 0, usage, since=100, now=150)
    assert problem.startswith(what)
    assert open_problems(None, 0, usage, since=100, now=150) == []


def test_the_idle_floor_counts_as_storage():
    usage = Usage(storage_mib_s=40 * (50 + MARGIN_S))
    assert open_problems(SHAPE, 40, usage, since=100, now=150) == []
    assert open_problems(SHAPE, 39, usage, since=100, now=150)


def test_a_channel_that_nobody_claims():
    now = 10**6
    assert channel_problems(channel(now - STALE_S), now, running=True) == []
    assert channel_problems(channel(now - STALE_S - 1), now, running=True)
    assert channel_problems(channel(now - STALE_S - 1), now, running=False) == []


def test_a_channel_claimed_into_the_future():
    assert channel_problems(channel(1000 + MARGIN_S), 1000, running=False) == []
    assert channel_problems(channel(1001 + MARGIN_S), 1000, running=False)


def test_enough_money_is_left_alone():
    allowed = TopUp(LOW_RUNWAY_S, 10**9)
    for runway in (None, LOW_RUNWAY_S):
        assert payment(money(runway_s=runway), allowed, NEVER, TODAY).units == 0
        assert not payment(money(runway_s=runway), None, NEVER, TODAY).low


def test_low_and_not_allowed():
    assert payment(money(), None, NEVER, TODAY).low


def test_topped_up_to_full_size():
    decided = payment(money(left=5, accrued=3), TopUp(7200, 10**9), NEVER, TODAY)
    assert (decided.units, decided.low) == (7200 + 10 + 3 - 5, False)


def test_a_deposit_that_is_enough_by_our_own_count_is_left_alone():
    decided = payment(money(left=10**6), TopUp(7200, 10**9), NEVER, TODAY)
    assert (decided.units, decided.low) == (0, False)


def test_the_days_allowance():
    allowed = TopUp(7200, 6000)
    assert payment(money(left=0), allowed, NEVER, TODAY).units == 6000
    assert payment(money(left=0), allowed, NEVER, TODAY).low
    assert payment(money(left=0), allowed, Spent(TODAY, 5000), TODAY).units == 1000
    assert payment(money(left=0), allowed, Spent("2026-11-20", 5000), TODAY).units == 6000
    assert payment(money(left=0), allowed, Spent(TODAY, 6000), TODAY).units == 0


@given(left=amounts, accrued=amounts, peak=amounts, reserve=amounts, limit=amounts, spent=amounts)
def test_a_day_never_costs_more_than_its_allowance(left, accrued, peak, reserve, limit, spent):
    has = PodFunds(left, accrued, 0, peak, reserve)
    decided = payment(has, TopUp(3600, limit), Spent(TODAY, spent), TODAY)
    assert decided.units >= 0
    assert decided.units + spent <= max(limit, spent)


def test_the_worst_of_a_round():
    assert worst([]) == 0
    assert worst([0, 0]) == 0
    assert worst([8, 7, 0]) == 7
    assert worst([3, 9, 7]) == 9
    assert worst([2, 0]) == 2
    assert worst([2, 8]) == 8


@pytest.mark.parametrize(
    ("phase", "runway_s", "code"),
    [
        ("serving", None, ExitCode.DONE),  # asleep: it burns nothing
        ("serving", LOW_RUNWAY_S, ExitCode.DONE),
        ("serving", LOW_RUNWAY_S - 1, ExitCode.FUNDS),
        ("serving", 0, ExitCode.FUNDS),
        ("stopped", 0, ExitCode.FUNDS),
        ("failing", 10**6, ExitCode.PROGRAM),
        ("failing", 0, ExitCode.PROGRAM),
        ("parked", None, ExitCode.REFUSED),
        ("starting", 10**6, ExitCode.REFUSED),
        ("awaiting-key", 10**6, ExitCode.REFUSED),
        ("a word of tomorrow", None, ExitCode.REFUSED),
    ],
)
def test_a_script_is_told_what_to_do_about_a_pod(phase, runway_s, code):
    assert checked(phase, runway_s) is code

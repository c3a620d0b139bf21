# SPDX-License-Identifier: Apache-2.0
"""A failure is excused by a kill of what carried it, at that very moment, and by nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.bills import UNCOUNTED_S, surely_counted
from tests.chaos.observer import Run
from tests.chaos.verdict import CARRIERS, CLOCK_SLACK_S, HAPROXY, Kill, Request, explained, unexplained

CUT = Request("download", "pa", began=10.0, ended=20.0, error="reset")


@pytest.mark.parametrize("part", CARRIERS)
def test_in_flight_when_its_carrier_was_killed(part: str) -> None:
    assert explained(CUT, [Kill(part, 15.0, 16.0)])
    assert not explained(CUT, [Kill(part, 9.0, 9.5), Kill(part, 21.0, 22.0)])


def test_a_connection_that_the_kernel_took_for_a_dying_process() -> None:
    just_after = replace(CUT, began=15.0 + 2 * CLOCK_SLACK_S)
    assert not explained(just_after, [Kill(CARRIERS[0], 15.0, 16.0)])
    assert explained(just_after, [Kill(CARRIERS[0], 15.0, 16.0, dead=15.2)])


@pytest.mark.parametrize("part", ["k1/provider", "k1/apiserver", "k1/etcd", "k1/kubelet", "chain"])
def test_no_other_kill_is_an_excuse(part: str) -> None:
    assert not explained(CUT, [Kill(part, 15.0, 16.0)])


def test_a_closed_port_is_excused_while_haproxy_is_away() -> None:
    refused = Request("short", "pa", began=15.5, ended=15.6, error="refused", refused=True)
    assert explained(refused, [Kill("k1/haproxy", 15.0, 16.0)])
    assert not explained(refused, [Kill("k1/activator", 15.0, 16.0)])
    assert not explained(replace(refused, refused=False), [Kill("k1/haproxy", 15.0, 16.0)])


def test_what_arrived_needs_no_excuse() -> None:
    assert unexplained([replace(CUT, error=""), CUT], []) == [CUT]


@given(st.floats(0, 100), st.floats(0, 10), st.floats(0, 100))
def test_the_moment_decides(began: float, took: float, at: float) -> None:
    request = Request("tcp", "pa", began, began + took, error="reset")
    inside = began - CLOCK_SLACK_S <= at <= began + took + CLOCK_SLACK_S
    assert explained(request, [Kill(CARRIERS[0], at, at + 1)]) is inside


def test_what_haproxy_may_have_kept_is_not_expected_for_sure() -> None:
    kills = [Kill(HAPROXY, 100.0, 101.0), Kill("k1/activator", 50.0, 51.0)]
    long_over = replace(CUT, began=40.0, ended=100.0 - UNCOUNTED_S - 1)
    just_over = replace(CUT, began=90.0, ended=99.0)
    in_flight = replace(CUT, began=40.0, ended=100.1)
    after = replace(CUT, began=100.5, ended=102.0)
    assert surely_counted([long_over, just_over, in_flight, after], kills) == (long_over, after)


def test_a_run_whose_end_nobody_saw_ended_between_two_looks() -> None:
    run = Run("ns", 60, 32, 16, begun=100, ran=True, gone=(130, 136))
    assert [run.seconds(1000, at_least=which) for which in (True, False)] == [30, 36]
    assert run.seconds(120, at_least=False) == 20
    assert replace(run, ended=110).seconds(1000, at_least=False) == 10
    assert replace(run, gone=None).seconds(150, at_least=True) == 50
    asked = replace(run, asked=125)
    assert [asked.seconds(1000, at_least=which) for which in (True, False)] == [25, 36]

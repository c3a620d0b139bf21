# SPDX-License-Identifier: Apache-2.0
"""What answers open: never longer than their time and a moment, never more than a bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.names import opened as names
from trustedpods.provider.core.names.opened import HANDED_S, MAX_OPENED, MOST_TTL_S, HostAnswer

NOW = UnixSeconds(1_800_000_000)


@pytest.mark.parametrize(("ttl", "good"), [(0, 30), (29, 30), (31, 31), (86_400, MOST_TTL_S)])
def test_a_time_is_bounded_both_ways(ttl, good):
    assert names.lifetime(ttl, 30) == good


def test_an_answer_is_told_again_while_it_is_good_and_open_a_moment_longer():
    opened = names.with_answer({}, "a.example", HostAnswer(("203.0.113.7", "203.0.113.8"), 30), NOW)
    assert names.remembered(opened, "a.example", NOW + 10) == HostAnswer(("203.0.113.7", "203.0.113.8"), 20)
    assert names.remembered(opened, "a.example", NOW + 30) is None
    assert names.remembered(opened, "b.example", NOW) is None
    assert names.due(opened, NOW + 29) == []
    assert names.due(opened, NOW + 30) == ["a.example"]
    assert names.without_ended(opened, NOW + 30 + HANDED_S - 1) == opened
    assert names.without_ended(opened, NOW + 30 + HANDED_S) == {}


def test_an_address_that_its_name_lost_is_told_no_more_and_ends_with_its_time():
    first = names.with_answer({}, "a.example", HostAnswer(("203.0.113.7",), 30), NOW)
    second = names.with_answer(first, "a.example", HostAnswer(("203.0.113.8",), 30), NOW + 30)
    assert names.remembered(second, "a.example", NOW + 31).addresses == ("203.0.113.8",)
    assert ("a.example", "203.0.113.7") in second
    kept = names.without_ended(second, NOW + 30 + HANDED_S)
    assert list(kept) == [("a.example", "203.0.113.8")]


def test_one_address_of_two_hosts_is_open_for_each():
    opened = names.with_answer({}, "a.example", HostAnswer(("203.0.113.7",), 5), NOW)
    opened = names.with_answer(opened, "b.example", HostAnswer(("203.0.113.7",), 60), NOW)
    assert list(names.without_ended(opened, NOW + 40)) == [("b.example", "203.0.113.7")]


def test_one_too_many_is_not_opened():
    full = {("a.example", f"203.0.{number >> 8}.{number & 255}"): NOW + 60 for number in range(MAX_OPENED)}
    assert names.with_answer(full, "b.example", HostAnswer(("198.51.100.1",), 30), NOW) is None
    again = names.with_answer(full, "a.example", HostAnswer(("203.0.0.1",), 3600), NOW)
    assert len(again) == MAX_OPENED


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["203.0.113.1", "203.0.113.2"]), st.integers(0, 99))
    ),
    st.integers(0, 200),
)
def test_nothing_is_open_that_no_answer_opened_or_whose_time_is_over(answers, later):
    opened, at = {}, NOW
    for host, address, pause in answers:
        at += pause
        opened = names.with_answer(names.without_ended(opened, at), host, HostAnswer((address,), 30), at)
    at += later
    kept = names.without_ended(opened, at)
    assert kept.keys() <= {(host, address) for host, address, _ in answers}
    assert all(at < until <= at + 30 + HANDED_S for until in kept.values())

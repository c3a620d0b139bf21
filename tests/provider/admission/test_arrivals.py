# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.provider.admission.arrivals import Allowance, Arrivals, culprit


@given(st.lists(st.floats(0, 30), max_size=200), st.integers(1, 10), st.floats(0.5, 20))
def test_never_more_than_the_burst_and_what_came_back(pauses, burst, every_s):
    now, taken = 0.0, 0
    bucket = Arrivals(Allowance(burst, every_s), lambda: now)
    for pause in pauses:
        now += pause
        taken += bucket.take("192.0.2.1")
        assert taken <= burst + now / every_s + 1e-6


def test_one_address_takes_nothing_from_another_and_gets_its_own_back():
    now = 0.0
    bucket = Arrivals(Allowance(2, 10), lambda: now)
    assert [bucket.take("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert bucket.take("192.0.2.2")
    now = 10.0
    assert [bucket.take("192.0.2.1") for _ in range(2)] == [True, False]


def test_what_was_paid_for_is_not_counted():
    bucket = Arrivals(Allowance(1, 10), lambda: 0.0)
    for _ in range(5):
        assert bucket.take("192.0.2.1")
        bucket.give_back("192.0.2.1")
    bucket.give_back("192.0.2.1")  # more than was taken gives nothing
    bucket.give_back("192.0.2.7")
    assert [bucket.take("192.0.2.1") for _ in range(2)] == [True, False]


def test_a_subscriber_of_ipv6_is_one():
    assert culprit("2001:db8::1") == culprit("2001:db8::ffff:2") != culprit("2001:db8:0:1::1")
    assert culprit("::ffff:192.0.2.1") == culprit("192.0.2.1")
    assert culprit("fe80::1%eth0") == culprit("fe80::2")
    assert culprit("") == ""


def test_the_memory_of_addresses_is_bounded():
    bucket = Arrivals(Allowance(1, 10), lambda: 0.0, most=10)
    for number in range(100):
        bucket.take(f"192.0.2.{number}")
    assert len(bucket._spent) == 10
    assert not bucket.take("192.0.2.99")


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 40)), max_size=60), st.integers(1, 3))
def test_who_has_everything_back_is_not_remembered_and_nobody_gains_by_it(asked, burst):
    """Against a memory that forgets nobody."""
    now, spent = 0.0, {}
    bucket = Arrivals(Allowance(burst, 10), lambda: now)
    for number, pause in asked:
        now += pause
        before, at = spent.get(number, (0.0, now))
        left = max(0.0, before - (now - at) / 10)
        allowed = left + 1 <= burst
        spent[number] = (left + 1 if allowed else left, now)
        assert bucket.take(f"192.0.2.{number}") == allowed
    now += 10 * burst + 1
    bucket.take("192.0.2.99")
    assert list(bucket._spent) == ["192.0.2.99"]


def test_where_nothing_is_allowed_nobody_may():
    """An allowance of none: everybody has everything back at once, and is not remembered."""
    bucket = Arrivals(Allowance(0, 10), lambda: 0.0)
    assert not bucket.take("192.0.2.1")
    assert not bucket.take("192.0.2.1")
    assert not bucket._spent

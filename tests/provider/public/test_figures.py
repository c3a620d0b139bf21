# SPDX-License-Identifier: Apache-2.0
"""Days become figures: what counts as down, and what is never said."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.provider.public.profiles import profile
from trustedpods.protocol.codec import encode
from trustedpods.protocol.messages.capabilities import StorageClass
from trustedpods.protocol.messages.provider import MAX_CAPABILITY_WORDS, Figures
from trustedpods.provider.metrics import COLD_START_BUCKETS_S
from trustedpods.provider.public.figures import (
    BOUNDS_MS,
    DAY_S,
    WINDOW_DAYS,
    ServiceSums,
    capability_words,
    figures_of,
    sums_of,
)
from trustedpods.provider.store.operator.service_days import KEPT_DAYS, DayCount

TODAY = 20_000
NOON = TODAY * DAY_S + DAY_S // 2


def within(*counts):
    return (*counts, *(counts[-1],) * (len(BOUNDS_MS) - len(counts)))


def day(number, up_s=DAY_S, starts=0, counts=(0,)):
    return DayCount(number, number * DAY_S, up_s, starts, starts * 100, within(*counts))


def test_before_the_first_count_nothing_is_said():
    assert sums_of((), NOON) == ServiceSums()


def test_a_new_provider_is_measured_from_its_first_count():
    began = NOON - 600
    sums = sums_of((DayCount(TODAY, began, 300, 0, 0, within(0)),), NOON)
    assert (sums.counted_s, sums.up_s) == (600, 300)


def test_a_day_without_a_row_was_down():
    sums = sums_of((day(TODAY - 2), day(TODAY, up_s=DAY_S // 2)), NOON)
    assert sums.counted_s == 2 * DAY_S + DAY_S // 2
    assert sums.counted_s - sums.up_s == DAY_S


def test_a_day_that_a_clock_went_through_twice_makes_up_for_no_other():
    sums = sums_of((day(TODAY - 2, up_s=2 * DAY_S), day(TODAY, up_s=DAY_S // 2)), NOON)
    assert sums.counted_s - sums.up_s == DAY_S


def test_what_is_older_than_the_window_is_left_out_and_still_says_that_it_is_no_new_provider():
    sums = sums_of((day(TODAY - WINDOW_DAYS, starts=9, counts=(9,)), day(TODAY, up_s=5)), NOON)
    assert sums.counted_s == (WINDOW_DAYS - 1) * DAY_S + DAY_S // 2
    assert (sums.up_s, sums.cold_starts) == (5, 0)


def test_a_clock_that_was_far_behind_or_ahead_makes_no_new_provider_an_old_one():
    wrong = (day(0, up_s=5), day(TODAY - KEPT_DAYS - 1, up_s=5), day(TODAY + 10_000, up_s=5))
    today = DayCount(TODAY, NOON - 600, 300, 0, 0, within(0))
    sums = sums_of((*wrong, today), NOON)
    assert (sums.counted_s, sums.up_s) == (600, 300)


def test_half_and_nine_of_ten_are_the_first_bounds_that_hold_so_many():
    sums = sums_of((day(TODAY, starts=10, counts=(0, 5, 8, 9)),), NOON)
    assert (sums.bound_of(1, 2), sums.bound_of(9, 10)) == (BOUNDS_MS[1], BOUNDS_MS[3])
    assert sums.bound_of(1, 1) is None
    assert ServiceSums().bound_of(1, 2) is None


def test_bounds_are_those_of_the_histogram():
    assert [one / 1000 for one in BOUNDS_MS] == list(COLD_START_BUCKETS_S)


DAYS = st.builds(
    DayCount,
    st.integers(TODAY - 60, TODAY + 2),
    st.integers(0, NOON),
    st.integers(0, 2 * DAY_S),
    st.integers(0, 10**6),
    st.integers(0, 10**9),
    st.lists(st.integers(0, 10**6), max_size=20).map(tuple),
)


@settings(max_examples=examples(100))
@given(st.lists(DAYS, max_size=8), st.integers(0, NOON + DAY_S))
def test_whatever_the_books_hold_it_is_never_up_for_longer_than_it_was_counted(days, now):
    sums = sums_of(days, now)
    assert 0 <= sums.up_s <= sums.counted_s <= WINDOW_DAYS * DAY_S
    assert isinstance(figures_of(encode(profile()), sums, now, tcp=True), Figures)


def test_only_named_fields_are_signed():
    """For class sealed too: a field that is added to the profile is not said here by itself."""
    allowed = {
        "version", "owner", "daemon", "trust", "simulated", "region", "domain", "token", "prices",
        "capabilities", "profile_digest", "at", "days", "counted_s", "up_s", "cold_starts",
        "cold_start_ms", "half_within_ms", "nine_of_ten_within_ms",
    }  # fmt: skip
    found = figures_of(
        encode(profile(trust="sealed", addresses=["/ip4/10.0.0.1/tcp/1"])), ServiceSums(), NOON, tcp=True
    )
    assert set(found.model_dump()) == allowed
    assert b"10.0.0.1" not in encode(found)


def test_capabilities_are_words_within_bounds():
    has = profile().capabilities
    assert capability_words(has, tcp=True)[:2] == ["expose: http", "expose: tcp"]
    assert "expose: tcp" not in capability_words(has, tcp=False)
    assert "egress by host name" in capability_words(has.model_copy(update={"names": True}), tcp=True)
    many = [StorageClass(name="a" * 253, grows=True, access_modes=[])] * 16
    words = capability_words(
        has.model_copy(update={"storage_classes": many, "csi_drivers": ["b" * 253] * 16}), tcp=True
    )
    assert len(words) == MAX_CAPABILITY_WORDS
    assert max(map(len, words)) == 64

# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.strategies import prices, terms, usages
from trustedpods.contracts.records import Channel
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.terms import (
    DAY_S,
    Terms,
    due,
    encode_cap,
    least_cap,
    pack_prices,
    price_list,
    prices_of,
    unlock_at_of,
    unlock_minutes,
    unpack_prices,
)
from trustedpods.contracts.usage import ItemFlags, UsageItem
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import Usage

FREE = Prices(cpu_core_ms=0, memory_mib_s=0, storage_mib_s=0, egress_kib=0, ingress_kib=0, scale=64)


@given(terms)
def test_terms_survive_packing(one):
    assert Terms.unpack(one.pack()) == one
    assert one.pack() >> 216 == 0
    running = one.pack() | 1_800_000_000 << 216
    assert Terms.unpack(running) == one
    assert unlock_at_of(running) == 1_800_000_000


@given(prices)
def test_prices_survive_packing(one):
    assert unpack_prices(pack_prices(one)) == one


@given(usages, prices)
def test_due_is_the_exact_sum_rounded_down(used, one):
    exact = sum(Fraction(q * p) for q, p in zip(used.quantities, price_list(one), strict=True))
    assert due(used, one) == exact * 2**64 // 2**one.scale


@given(usages, usages, prices)
def test_adding_usage_up_never_costs_less_than_apart(a, b, one):
    assert 0 <= due(a + b, one) - due(a, one) - due(b, one) <= 1


@given(st.integers(1, 2**87))
def test_caps_are_rounded_by_less_than_their_millionth(per_day):
    low, high = (m << e for m, e in (encode_cap(per_day, up=False), encode_cap(per_day, up=True)))
    assert low <= per_day <= high
    assert high - low <= per_day >> 22


def test_a_cap_is_never_nothing_and_never_beyond_every_deposit():
    assert encode_cap(0, up=False) == (1, 0)
    assert encode_cap(2**24 - 1, up=True) == (2**24 - 1, 0)
    assert encode_cap((2**24 << 3) - 1, up=True) == (2**23, 4)
    with pytest.raises(BadInput, match="beyond every deposit"):
        encode_cap(2**89, up=True)


@given(
    st.builds(Usage, *[st.integers(0, 10**6)] * 5),
    st.integers(0, 100),
    st.lists(st.integers(1, DAY_S), min_size=1, max_size=20),
)
def test_a_cap_for_a_peak_never_cuts_that_peak(peak, dearness, pauses):
    one = prices_of([Fraction(dearness, 7)] * 5)
    channel = Channel(1, 7, 0, 2**88 - 1, Terms.for_peak(one, peak, unlock_s=60, claim_interval_s=10))
    for pause in pauses:
        used = Usage(*(quantity * pause for quantity in peak.quantities))
        item = UsageItem(1, channel.up_to, channel.up_to + pause, used)
        settlement = settle(channel, item, 7, item.up_to)
        assert not settlement.result.flags & ItemFlags.CUT_CAP
        channel = settlement.channel


def test_whether_terms_cover_a_peak():
    one = prices_of([Fraction(1)] * 5)
    enough = Terms.for_peak(one, Usage(1000), unlock_s=60, claim_interval_s=10)
    assert enough.covers_peak(Usage(1000), 10)
    assert not enough.covers_peak(Usage(1001), 10)
    assert least_cap(one, Usage(1000), 10) == 1000 * DAY_S * 12 // 10
    assert least_cap(FREE, Usage(1000), 10) == 1


def test_a_highest_cost_a_day_is_not_exceeded():
    assert Terms.with_cap(FREE, 10**9 + 1, 3600).cap_per_day <= 10**9 + 1


@given(st.lists(st.fractions(0, 10**9), min_size=5, max_size=5))
def test_prices_in_base_units_are_kept_to_nine_digits(per_unit):
    made = prices_of(per_unit)
    for mantissa, exact in zip(price_list(made), per_unit, strict=True):
        got = Fraction(mantissa) * Fraction(2) ** (64 - made.scale)
        assert abs(got - exact) <= max(per_unit) / 2**30 + Fraction(1, 2**60)


def test_prices_that_fit_no_word_are_refused():
    with pytest.raises(BadInput, match="does not fit"):
        prices_of([Fraction(2**100)] * 5)
    with pytest.raises(BadInput, match="scale"):
        unpack_prices(129 << 160)


def test_a_notice_is_whole_minutes():
    assert [unlock_minutes(s) for s in (0, 1, 60, 61, 3600)] == [0, 1, 1, 2, 60]
    assert Terms.with_cap(FREE, 5, 61).unlock_s == 120
    with pytest.raises(BadInput):
        unlock_minutes(31 * DAY_S)

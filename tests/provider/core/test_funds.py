# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.strategies import prices
from trustedpods.contracts.records import Channel
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.terms import MAX_DEPOSIT, Terms, due
from trustedpods.contracts.usage import UsageItem
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.funds import (
    CLOSING_MARGIN_S,
    MAX_CHECK_S,
    STOPPING_S,
    Funds,
    affordable,
    cap_raised,
    grace_over,
    may_revive,
    must_stop,
    must_warn,
    next_check,
    peak_per_second,
    reserve,
    runway,
)
from trustedpods.provider.core.pod import PodSize, Scaling

RATES = st.builds(
    Usage,
    cpu_core_ms=st.integers(0, 64_000),
    memory_mib_s=st.integers(0, 1 << 20),
    storage_mib_s=st.integers(0, 1 << 20),
)
ONE = Prices(cpu_core_ms=1, memory_mib_s=0, storage_mib_s=0, egress_kib=0, ingress_kib=0, scale=64)


@given(RATES, prices, st.integers(0, 2**88 - 1), st.integers(0, 2**80), st.integers(0, 2**80))
def test_the_runway_is_paid_for_and_one_second_more_is_not(rate, prices, left, accrued, kept):
    funds = Funds(left, accrued, kept)
    seconds = runway(funds, rate, prices)
    if seconds is None:
        assert due(rate, prices) == 0 or sum(rate.quantities) == 0
        return

    def cost(count):
        return due(Usage(*(quantity * count for quantity in rate.quantities)), prices)

    if funds.spendable <= 0:
        assert seconds == 0
    else:
        assert cost(seconds) <= funds.spendable
        assert cost(seconds + 1) >= funds.spendable


def test_what_the_grace_period_costs_is_kept():
    held = Funds(left=100, accrued=0, reserve=100)
    assert must_stop(runway(held, Usage(1), ONE))


def test_a_free_pod_runs_for_ever():
    assert runway(Funds(1, 0, 0), Usage(), ONE) is None
    assert not must_stop(None)
    assert not must_warn(None, 100)


def test_reserve_is_storage_through_the_grace_period():
    prices = ONE.model_copy(update={"storage_mib_s": 3})
    assert reserve(10, 60, prices) == 1800


def test_warning_comes_before_the_stop():
    assert must_warn(29, 30)
    assert not must_warn(30, 30)
    assert must_stop(STOPPING_S - 1)
    assert not must_stop(STOPPING_S)


def test_a_dust_top_up_does_not_revive():
    assert not may_revive(Funds(10, 0, 0), Usage(1), ONE)
    assert may_revive(Funds(20, 0, 0), Usage(1), ONE)


def test_the_end_of_grace_and_of_a_notice():
    assert not grace_over(100, 0, 60, 159)
    assert grace_over(100, 0, 60, 160)
    assert grace_over(100, 1000, 10**6, 1000 - CLOSING_MARGIN_S)
    assert not grace_over(100, 1000, 10**6, 999 - CLOSING_MARGIN_S)


@given(st.none() | st.integers(0, 10**9))
def test_the_nearer_the_end_the_sooner_the_next_look(seconds):
    wait = next_check(seconds, 1000) - 1000
    assert 1 <= wait <= MAX_CHECK_S
    if seconds is not None and seconds > 4:
        assert wait <= seconds


SIZES = st.builds(
    PodSize,
    cpu_milli=st.integers(1, 8000),
    memory_mib=st.integers(1, 8192),
    volume_mib=st.integers(0, 1000),
    image_mib=st.integers(1, 1000),
    scratch_mib=st.integers(0, 1000),
)
SCALINGS = st.builds(
    lambda least, more: Scaling(least, max(1, least + more), 60, 50), st.integers(0, 5), st.integers(0, 15)
)
LISTED = Prices(cpu_core_ms=1000, memory_mib_s=100, storage_mib_s=10, egress_kib=5, ingress_kib=5, scale=70)


def terms_for(size, replicas, interval):
    return Terms.for_peak(LISTED, peak_per_second(size, replicas, 16), unlock_s=60, claim_interval_s=interval)


@given(SIZES, SCALINGS, st.integers(1, 25), st.sampled_from([10, 3600, 86_400]))
def test_a_cap_pays_for_the_replicas_that_it_was_made_for(size, scaling, replicas, interval):
    terms = terms_for(size, replicas, interval)
    found = affordable(terms, size, scaling, 16, interval)
    assert max(1, scaling.min_replicas) <= found <= scaling.max_replicas
    if max(1, scaling.min_replicas) <= replicas <= scaling.max_replicas:
        assert found >= replicas
        assert found == replicas or terms.covers_peak(peak_per_second(size, found, 16), interval)


@given(SIZES, SCALINGS, st.integers(1, 25), st.lists(st.booleans(), min_size=1, max_size=20))
def test_who_keeps_to_it_is_never_cut_by_the_cap(size, scaling, replicas, awake):
    """Whatever was slept before, and however long it runs: each claim is paid in full."""
    interval = 3600
    terms = terms_for(size, max(replicas, scaling.min_replicas), interval)
    most = affordable(terms, size, scaling, 16, interval)
    channel = Channel(1, 7, 1000, MAX_DEPOSIT, terms)
    for running in awake:
        end = channel.up_to + interval
        second = peak_per_second(size, most if running else 0, 16)
        used = Usage(*(quantity * interval for quantity in second.quantities))
        settled = settle(channel, UsageItem(1, channel.up_to, end, used), 7, end)
        assert settled.result.paid == due(used, LISTED)
        assert not settled.result.flags
        channel = settled.channel


def test_a_pod_that_was_let_in_runs_whatever_the_cap():
    little = Terms(LISTED, cap_mantissa=1, cap_exponent=0, unlock_minutes=1)
    size = PodSize(100, 64, 10, 5, 0)
    assert affordable(little, size, Scaling(0, 9, 60, 50), 16, 10) == 1
    assert affordable(little, size, Scaling(3, 9, 60, 50), 16, 10) == 3


def test_only_a_higher_cap_is_a_raised_one():
    known = Terms(LISTED, cap_mantissa=100, cap_exponent=2, unlock_minutes=1)
    assert cap_raised(known, replace(known, cap_mantissa=101))
    assert cap_raised(known, replace(known, cap_mantissa=99, cap_exponent=3))
    assert not cap_raised(known, known)
    assert not cap_raised(known, replace(known, cap_mantissa=99))
    assert not cap_raised(known, replace(known, cap_mantissa=101, unlock_minutes=0))
    cheaper = LISTED.model_copy(update={"cpu_core_ms": 1})
    assert not cap_raised(known, replace(known, cap_mantissa=101, prices=cheaper))

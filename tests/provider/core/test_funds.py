# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.contracts.terms import due
from trustedpods.protocol.messages import Prices
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.funds import (
    CLOSING_MARGIN_S,
    MAX_CHECK_S,
    STOPPING_S,
    Funds,
    grace_over,
    may_revive,
    must_stop,
    must_warn,
    next_check,
    reserve,
    runway,
)

U32 = st.integers(0, 2**32 - 1)
PRICES = st.builds(
    Prices,
    cpu_core_ms=U32,
    memory_mib_s=U32,
    storage_mib_s=U32,
    egress_kib=U32,
    ingress_kib=U32,
    scale=st.integers(0, 128),
)
RATES = st.builds(
    Usage,
    cpu_core_ms=st.integers(0, 64_000),
    memory_mib_s=st.integers(0, 1 << 20),
    storage_mib_s=st.integers(0, 1 << 20),
)
ONE = Prices(cpu_core_ms=1, memory_mib_s=0, storage_mib_s=0, egress_kib=0, ingress_kib=0, scale=64)


@given(RATES, PRICES, st.integers(0, 2**88 - 1), st.integers(0, 2**80), st.integers(0, 2**80))
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

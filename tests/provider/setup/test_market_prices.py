# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import due
from trustedpods.localnet.market import pricing
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.provider import LeastTerms
from trustedpods.protocol.units import Resources, Usage
from trustedpods.provider.setup.market_prices import (
    FRESH_S,
    ListedPrices,
    asked,
    comparable,
    earnings,
    listed_prices,
    mantissas,
    quartiles,
    tokens_text,
    whole,
)

TOKEN, OTHER = Address("0x" + "01" * 20), Address("0x" + "02" * 20)
ONE = 10**18


def row(number, core="2", *, trust="open", token=TOKEN, at=1_000_000):
    """A row that asks so many tokens a core-hour, and a fifth of that a GiB-hour."""
    price = Fraction(core) * ONE
    return RegistryRow(
        owner=Address("0x" + f"{number:02x}" * 20), daemon=1, updated_at=at, trust=trust, region="x", tee=[],
        chip_digest=bytes(32), token=token, prices=mantissas(whole(price, price / 5, None)),
        least=LeastTerms(deposit=0, unlock_s=3600, idle_mib=0), profile_digest=bytes(32),
    )  # fmt: skip


def near(one, other):
    return abs(one - other) <= abs(other) / 2**28


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=2), st.integers(2, 18))
def test_prices_mean_the_same_there_and_back(amounts, decimals):
    core, gib = (Fraction(amount, 1000) * 10**decimals for amount in amounts)
    told = listed_prices(mantissas(whole(core, gib, None, egress_gib=core, ingress_gib=gib)))
    dearest = max(core, gib)
    assert abs(told.core_hour - core) <= dearest / 2**20
    assert abs(told.gib_hour - gib) <= dearest / 2**20


def test_an_hour_costs_what_the_price_says():
    prices = pricing.prices(18, 100)
    told = listed_prices(prices)
    hour = due(Usage(cpu_core_ms=3_600_000), prices)
    assert near(told.core_hour, Fraction("3.6") * ONE)
    assert hour == int(told.core_hour)
    assert due(Usage(memory_mib_s=1024 * 3600), prices) == int(told.gib_hour)
    assert due(Usage(egress_kib=1024 * 1024), prices) == int(told.egress_gib)


def test_quartiles_are_values_that_somebody_asks():
    for count in range(1, 12):
        values = [Fraction(number) for number in range(count, 0, -1)]
        found = quartiles(values)
        assert {found.low, found.middle, found.high} <= set(values)
        assert found.low <= found.middle <= found.high
    assert quartiles([Fraction(7)]).low == 7
    found = quartiles([Fraction(n) for n in (4, 1, 3, 2)])
    assert (found.low, found.middle, found.high) == (1, 2, 3)


def test_only_rows_that_compete_are_compared():
    now = 1_000_000 + FRESH_S
    mine = Address("0x" + "11" * 20)
    rows = [row(0x11), row(2), row(3, trust="sealed"), row(4, token=OTHER), row(5, at=999_999), row(6)]
    found = comparable(rows, owner=mine, token=TOKEN, trust="open", now=now)
    assert [one.owner[2:4] for one in found] == ["02", "06"]
    assert asked([]) is None


def test_what_is_not_given_follows_the_market_or_the_first_two():
    market = asked([row(1, "1"), row(2, "2"), row(3, "4")])
    assert market.rows == 3
    assert near(market.core_hour.middle, 2 * ONE)
    assert near(market.gib_hour.high, Fraction(4, 5) * ONE)
    follows = whole(Fraction(10), Fraction(5), market)
    assert (follows.core_hour, follows.gib_hour) == (10, 5)
    assert follows.egress_gib == market.egress_gib.middle
    assert whole(Fraction(10), Fraction(5), None) == ListedPrices(10, 5, Fraction(1, 10), 1, 0)
    assert whole(Fraction(10), Fraction(5), market, egress_gib=Fraction(0)).egress_gib == 0


def test_what_a_cluster_would_earn():
    listed = whole(Fraction(2 * ONE), Fraction(ONE), None)
    told = earnings(listed, Resources(cpu_milli=4000, memory_mib=8192))
    assert [(one.percent, one.month / ONE) for one in told] == [(10, 1152), (50, 5760), (90, 10368)]


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [
        (25 * 10**17, 18, "2.5"), (0, 18, "0"), (1234567 * ONE, 18, "1,234,567"), (ONE, 18, "1"),
        (41_666_666_666_666, 18, "0.00004167"), (1, 18, "0.000000000000000001"), (1, 6, "0.000001"),
        (123456, 2, "1,235"), (99_999, 4, "10"), (7, 0, "7"),
    ],
)  # fmt: skip
def test_amounts_are_readable(units, decimals, text):
    assert tokens_text(units, decimals) == text

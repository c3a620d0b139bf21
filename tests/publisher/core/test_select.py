# SPDX-License-Identifier: Apache-2.0
"""Whom to ask first, and why not the others."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contracts.strategies import prices_from
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import CAP_CLAIM_INTERVAL_S, MAX_DEPOSIT, due
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address, address_from_bytes
from trustedpods.protocol.messages.provider import LeastTerms, Prices
from trustedpods.protocol.units import TokenUnits, UnixSeconds
from trustedpods.publisher.core.cost import Shape, cost_of, replicas_within, terms_of
from trustedpods.publisher.core.money import Funding, Token
from trustedpods.publisher.core.select import Choice, Requirements, parse_choice, select

TOKEN_ADDRESS = address_from_bytes(b"\x11" * 20)
TOKEN = Token("TEST", 6)
SHAPE = Shape(cpu_milli=500, memory_mib=256, storage_mib=100, scratch_mib=0, max_replicas=3)

PRICES = prices_from(scale=40)

LEASTS = st.builds(
    LeastTerms,
    deposit=st.integers(0, 10**9),
    unlock_s=st.sampled_from([0, 60, 3600]),
    idle_mib=st.integers(0, 10**6),
)
SHAPES = st.builds(
    Shape,
    cpu_milli=st.integers(1, 2_000_000),
    memory_mib=st.integers(1, 10**7),
    storage_mib=st.integers(0, 10**8),
    scratch_mib=st.integers(0, 10**6),
    max_replicas=st.integers(1, 20),
)


def prices(cpu: int = 1000) -> Prices:
    return Prices(cpu_core_ms=cpu, memory_mib_s=100, storage_mib_s=10, egress_kib=5, ingress_kib=5, scale=80)


def row(number: int = 1, cpu: int = 1000, **change: object) -> RegistryRow:
    made = RegistryRow(
        owner=address_from_bytes(bytes([number]) * 20),
        daemon=0,
        updated_at=UnixSeconds(0),
        trust="sealed",
        region="here",
        tee=["sev-snp"],
        chip_digest=bytes(32),
        token=TOKEN_ADDRESS,
        prices=prices(cpu),
        least=LeastTerms(deposit=1000, unlock_s=60, idle_mib=0),
        profile_digest=bytes(32),
        endpoint="/ip4/10.0.0.1/tcp/1",
    )
    return replace(made, **change)


def requirements(**change: object) -> Requirements:
    return replace(
        Requirements(shape=SHAPE, trust="sealed", token_address=TOKEN_ADDRESS, token=TOKEN), **change
    )


def reason(wanted: Requirements, candidate: RegistryRow) -> str:
    selection = select(wanted, [candidate])
    assert selection.offers == ()
    return selection.left_out[0].reason


def test_cheapest_first_ties_by_address():
    rows = [row(3, 5), row(1, 9), row(2, 5)]
    assert [offer.row.owner for offer in select(requirements(), rows).offers] == [
        rows[2].owner,
        rows[0].owner,
        rows[1].owner,
    ]


def test_a_class_is_a_minimum_and_of_two_that_cost_the_same_the_sealed_one_is_first():
    rows = [row(1, trust="open"), row(2), row(3, 1, trust="open")]
    assert [offer.row.owner for offer in select(requirements(trust="open"), rows).offers] == [
        rows[2].owner,
        rows[1].owner,
        rows[0].owner,
    ]
    assert [offer.row.owner for offer in select(requirements(), rows).offers] == [rows[1].owner]


def test_reasons():
    assert "operator could read" in reason(requirements(), row(trust="open"))
    assert "another token" in reason(requirements(), row(token=Address("0x" + "22" * 20)))
    assert "no address" in reason(requirements(), row(endpoint=""))
    assert "not the provider asked for" in reason(requirements(choice=Choice(row(2).owner)), row(1))
    assert "not the provider asked for" in reason(requirements(choice=Choice(row(1).owner, 7)), row(1))
    expected = "asks for a deposit of 0.001 TEST, and 0.0005 TEST was given"
    assert reason(requirements(funding=Funding(amount=Decimal("0.0005"))), row()) == expected
    assert "maxCostPerDay is 0.000001 TEST" in reason(requirements(max_cost_per_day=TokenUnits(1)), row())
    month = LeastTerms(deposit=0, unlock_s=30 * 86400, idle_mib=0)
    assert "30 d after notice" in reason(requirements(), row(least=month))


def test_a_choice_takes_any_daemon_of_an_owner():
    rows = [row(1), row(1, daemon=4), row(2)]
    assert len(select(requirements(choice=Choice(rows[0].owner)), rows).offers) == 2
    assert [o.row.daemon for o in select(requirements(choice=Choice(rows[0].owner, 4)), rows).offers] == [4]


def test_parse_choice():
    owner = row().owner
    assert parse_choice(owner) == Choice(owner)
    assert parse_choice(f"{owner.lower()}/12") == Choice(owner, 12)
    assert str(parse_choice(f"{owner}/12")) == f"{owner}/12"
    for bad in ("", "0x12", f"{owner}/", f"{owner}/x", f"{owner}/-1", f"{owner}/4294967296", f"{owner}/²"):
        with pytest.raises(BadInput):
            parse_choice(bad)


@given(SHAPES, st.lists(PRICES, max_size=6), LEASTS)
def test_every_row_is_an_offer_or_has_a_reason(shape, all_prices, least):
    rows = [row(number + 1, prices=p, least=least) for number, p in enumerate(all_prices)]
    selection = select(requirements(shape=shape), rows)
    found = [o.row for o in selection.offers] + [out.row for out in selection.left_out]
    assert sorted(r.owner for r in found) == sorted(r.owner for r in rows)
    assert all(out.reason for out in selection.left_out)
    hours = [o.cost.awake_hour for o in selection.offers]
    assert hours == sorted(hours)


def test_a_row_of_absurd_prices_spoils_nothing():
    absurd = Prices(
        cpu_core_ms=2**32 - 1, memory_mib_s=0, storage_mib_s=0, egress_kib=0, ingress_kib=0, scale=0
    )
    selection = select(requirements(funding=Funding(seconds=3600)), [row(1, prices=absurd), row(2)])
    assert [offer.row.owner for offer in selection.offers] == [row(2).owner]
    assert "beyond what any channel" in selection.left_out[0].reason


@given(SHAPES, PRICES, LEASTS, st.integers(1, 10**6))
def test_a_duration_pays_at_least_what_it_costs(shape, at, least, seconds):
    cost = cost_of(shape, at, least)
    if cost.absurd or cost.needed(Funding(seconds=seconds), TOKEN, 100) > MAX_DEPOSIT:
        return
    needed = due(shape.awake(seconds, shape.max_replicas, least.idle_mib), at)
    assert cost.deposit(Funding(seconds=seconds), TOKEN) >= needed
    reserve = cost.deposit(Funding(seconds=seconds), TOKEN, reserve_s=100) - cost.deposit(
        Funding(seconds=seconds), TOKEN
    )
    assert reserve >= due(shape.awake(100, 0, least.idle_mib), at)
    assert cost.deposit(None, TOKEN) >= least.deposit


@given(SHAPES, PRICES, LEASTS, st.none() | st.integers(1, 10**15))
def test_terms_let_the_peak_through_and_keep_the_limit(shape, at, least, limit):
    cost = cost_of(shape, at, least)
    if limit is not None and not cost.fits(TokenUnits(limit)):
        return
    if cost.absurd:
        return
    terms = terms_of(shape, at, least, None if limit is None else TokenUnits(limit))
    replicas = replicas_within(shape, terms, least.idle_mib)
    assert terms.covers_peak(shape.awake(1, replicas, least.idle_mib), CAP_CLAIM_INTERVAL_S)
    if replicas < shape.max_replicas:
        assert limit is not None
        assert not terms.covers_peak(shape.awake(1, replicas + 1, least.idle_mib), CAP_CLAIM_INTERVAL_S)
    assert terms.unlock_s >= least.unlock_s
    assert terms.prices == at
    if limit is not None:
        assert terms.cap_per_day <= limit


@given(SHAPES, PRICES, LEASTS, st.integers(1, 10**15))
def test_what_does_not_fit_could_not_have_been_allowed(shape, at, least, limit):
    cost = cost_of(shape, at, least)
    if cost.fits(TokenUnits(limit)):
        assert limit >= cost.least_cap


def test_rows_without_a_recent_heartbeat_are_left_out_unless_asked_for():
    day = 86_400
    rows = [row(1, cpu=1, updated_at=UnixSeconds(10 * day)), row(2, updated_at=UnixSeconds(14 * day))]
    wanted = Requirements(shape=SHAPE, trust="sealed", token_address=TOKEN_ADDRESS, token=TOKEN)
    found = select(wanted, rows)
    assert [offer.row.owner for offer in found.offers] == [rows[1].owner]
    assert "no heartbeat" in found.left_out[0].reason
    asked = replace(wanted, choice=Choice(rows[0].owner))
    assert [offer.row.owner for offer in select(asked, rows).offers] == [rows[0].owner]

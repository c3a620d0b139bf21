# SPDX-License-Identifier: Apache-2.0
"""Every field of a channel, changed one by one: what is still what was agreed, and what is not."""

from dataclasses import fields, replace

import pytest

from trustedpods.contracts.eip712 import Move
from trustedpods.contracts.records import Channel, meter_tag
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.messages.provider import Prices
from trustedpods.provider.core.agreement import (
    HOUR_S,
    MOVES_PER_HOUR,
    Agreement,
    MoveBudget,
    check_move,
    departure,
)

OWNER, METER, NEXT = (address_from_bytes(bytes([number]) * 20) for number in (1, 3, 4))
PRICES = Prices(cpu_core_ms=1, memory_mib_s=2, storage_mib_s=3, egress_kib=4, ingress_kib=5, scale=64)
TERMS = Terms(PRICES, cap_mantissa=1000, cap_exponent=3, unlock_minutes=60)
SEEN = Channel(5, meter_tag(METER), up_to=100, left=1000, terms=TERMS, carry=7)
AGREED = Agreement(TERMS, METER, up_to=100)
CLAIMED = frozenset({40, 70, 100, 130})


def of_prices(**changes):
    return replace(TERMS, prices=PRICES.model_copy(update=changes))


CHANGES = {
    "id": [({"id": 6}, False)],  # looked up by it
    "meter_tag": [({"meter_tag": meter_tag(NEXT)}, True), ({"meter_tag": 0}, True)],
    "up_to": [
        ({"up_to": 130}, False),  # a claim of these books landed
        ({"up_to": 70}, False),  # the chain was set back
        ({"up_to": 101}, True),
        ({"up_to": 99}, True),
        ({"up_to": 10**6}, True),
    ],
    "left": [({"left": 0}, False), ({"left": 10**9}, False)],
    "unlock_at": [({"unlock_at": 9000}, False)],  # `reconcile` stops the pod for it
    "carry": [({"carry": 0}, False)],
    "terms": [
        *(({"terms": of_prices(**{name: 0})}, True) for name in Prices.model_fields),
        *(({"terms": of_prices(**{name: 9})}, True) for name in Prices.model_fields),
        ({"terms": replace(TERMS, unlock_minutes=0)}, True),
        ({"terms": replace(TERMS, unlock_minutes=61)}, True),
        ({"terms": replace(TERMS, cap_mantissa=999)}, True),
        ({"terms": replace(TERMS, cap_exponent=2)}, True),
        ({"terms": replace(TERMS, cap_mantissa=1001)}, False),
        ({"terms": replace(TERMS, cap_exponent=4)}, False),
        ({"terms": replace(of_prices(cpu_core_ms=0), cap_exponent=4)}, True),  # raised, and cheaper
        ({"terms": TERMS, "up_to": 101}, True),  # opened anew with the same terms
    ],
}


def test_what_was_agreed_is_no_departure():
    assert departure(AGREED, SEEN, ()) is None


def test_the_table_has_every_field():
    assert CHANGES.keys() == {field.name for field in fields(Channel)}
    changed = [changes["terms"] for changes, _ in CHANGES["terms"]]
    for field in fields(Terms):
        assert any(getattr(terms, field.name) != getattr(TERMS, field.name) for terms in changed)


@pytest.mark.parametrize(
    ("changes", "departs"), [case for cases in CHANGES.values() for case in cases], ids=str
)
def test_anything_but_a_raised_cap_is_another_channel(changes, departs):
    how = departure(AGREED, replace(SEEN, **changes), CLAIMED)
    assert (how is not None) == departs


# ---- moves -----------------------------------------------------------------------------------

NOW = 200
MOVE = Move(OWNER, b"s" * 32, METER, NEXT, as_of=150, deadline=NOW + 10)
SETTLING = replace(MOVE, from_=100, up_to=180, pay=1000)


@pytest.mark.parametrize("move", [MOVE, SETTLING, replace(MOVE, deadline=NOW), replace(MOVE, as_of=101)])
def test_a_move_that_the_contract_takes(move):
    check_move(move, SEEN, NOW)


@pytest.mark.parametrize(
    ("move", "rule"),
    [
        (replace(MOVE, old_meter=NEXT), "old-meter"),
        (replace(MOVE, as_of=100), "stale"),
        (replace(MOVE, as_of=0), "stale"),
        (replace(SETTLING, from_=99), "stale"),
        (replace(SETTLING, up_to=100), "stale"),
        (replace(MOVE, pay=5), "stale"),
        (replace(MOVE, from_=100, up_to=100, pay=5), "stale"),
        (replace(SETTLING, up_to=NOW + 1), "stale"),
        (replace(MOVE, deadline=NOW - 1), "deadline"),
        (replace(SETTLING, pay=1001), "deposit"),
    ],
)
def test_a_move_that_it_would_skip_costs_no_gas(move, rule):
    with pytest.raises(Refused) as caught:
        check_move(move, SEEN, NOW)
    assert caught.value.rule == rule


def test_one_move_a_channel_and_the_same_again_is_free():
    budget = MoveBudget()
    budget.spend(1, b"a", 0)
    budget.spend(1, b"a", 5)
    with pytest.raises(Refused) as other:
        budget.spend(1, b"b", 10 * HOUR_S)
    assert other.value.rule == "moved-before"
    budget.failed(1)
    with pytest.raises(Refused):
        budget.spend(1, b"a", 5)


def test_so_many_moves_an_hour():
    budget = MoveBudget()
    for channel in range(MOVES_PER_HOUR):
        budget.spend(channel, b"a", 0)
    with pytest.raises(Refused) as caught:
        budget.spend(-1, b"a", HOUR_S - 1)
    assert caught.value.rule == "move-budget"
    budget.spend(-1, b"a", HOUR_S)

# SPDX-License-Identifier: Apache-2.0
"""What a plan says of an open channel: what its cap becomes, and what of `payment` is fixed on chain."""

from decimal import Decimal

import pytest

from trustedpods.manifests.spec.pod import Payment
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.core.updates.terms import told_of_terms

TOKEN = Token("TPT", 18)
ONE = 10**18


def payment(deposit=None, most=None):
    return Payment(
        deposit=None if deposit is None else Decimal(deposit),
        max_cost_per_day=None if most is None else Decimal(most),
    )


def told(before, after, known, wanted):
    return told_of_terms("shop", before, after, (known * ONE, wanted * ONE), TOKEN)


def test_a_cap_rises_on_chain():
    assert told(payment(most=3), payment(most=5), 3, 5) == (
        "on chain the channel's cap rises from 3 TPT to 5 TPT a day",
    )


@pytest.mark.parametrize("before", [None, payment(most=5), payment()])
def test_a_cap_never_falls_and_it_is_said_what_helps(before):
    (line,) = told(before, payment(most=3), 5, 3)
    assert "stays at 5 TPT a day: on chain it may only rise" in line
    assert "`trustedpods delete shop`" in line


def test_a_deposit_is_for_a_channel_that_is_opened():
    (line,) = told(payment(deposit=1), payment(deposit=9), 5, 5)
    assert "`trustedpods fund shop AMOUNT` pays in more" in line


@pytest.mark.parametrize(
    ("before", "after", "known", "wanted"),
    [
        (payment(1, 5), payment(1, 5), 5, 5),
        (payment(1, 3), payment(1, 3), 5, 3),  # it was said when it was lowered
        (payment(1, 5), payment(), 5, 5),
        (None, payment(9), 5, 5),
        (payment(), payment(), 5, 4),  # a smaller pod under the cap that it had
    ],
)
def test_where_nothing_changes_nothing_is_said(before, after, known, wanted):
    assert told(before, after, known, wanted) == ()

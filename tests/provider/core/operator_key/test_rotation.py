# SPDX-License-Identifier: Apache-2.0
"""Which step of a change of keys is next, and that steps lead to the end from wherever one stands."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from trustedpods.contracts.records import OperatorRights
from trustedpods.provider.core.operator_key.rotation import (
    SWEEP_GAS,
    SWEEP_PRICES,
    KeyFacts,
    RotationFacts,
    RotationStep,
    movable,
    needs_coin,
    next_step,
    told,
)

OLD, NEW = "0x" + "01" * 20, "0x" + "02" * 20
NONE, BOTH = OperatorRights(registry=False, payments=False), OperatorRights(registry=True, payments=True)
HALF = OperatorRights(registry=True, payments=False)
RICH = 10**18

before = RotationFacts(
    current=KeyFacts(OLD, RICH, BOTH),
    following=None,
    former=None,
    former_here=False,
    used=OLD,
    under_way=0,
    gas_price=1,
)
made = replace(before, following=KeyFacts(NEW, 0, NONE))
switched = replace(
    before, current=KeyFacts(NEW, 0, BOTH), former=KeyFacts(OLD, RICH, BOTH), former_here=True, under_way=2
)
restarted = replace(switched, used=NEW)
settled = replace(restarted, under_way=0)
taken_back = replace(settled, former=KeyFacts(OLD, RICH, NONE))

SHOWN = [
    (before, RotationStep.NOTHING),
    (made, RotationStep.NAME),
    (replace(made, following=KeyFacts(NEW, 0, HALF)), RotationStep.NAME),
    (replace(made, following=KeyFacts(NEW, 0, BOTH)), RotationStep.SWITCH),
    (switched, RotationStep.RESTART),
    (replace(switched, used=None), RotationStep.START),
    (restarted, RotationStep.SETTLE),
    (settled, RotationStep.TAKE_BACK),
    (replace(settled, former=KeyFacts(OLD, RICH, HALF)), RotationStep.TAKE_BACK),
    (taken_back, RotationStep.MOVE_COIN),
    (replace(taken_back, former_here=False), RotationStep.FORGET),
    (replace(taken_back, former=KeyFacts(OLD, 5, NONE)), RotationStep.FORGET),
    (replace(before, current=None), RotationStep.NOTHING),
    (replace(made, current=None, former=KeyFacts(OLD, 0, BOTH)), RotationStep.NAME),
]


@pytest.mark.parametrize(("facts", "step"), SHOWN)
def test_each_step_follows_from_what_stands(facts, step):
    assert next_step(facts) is step
    assert told(facts)


def test_every_step_is_shown_and_has_words_of_its_own():
    assert {step for _, step in SHOWN} == set(RotationStep)
    words = {step: told(facts) for facts, step in SHOWN}
    assert len(set(words.values())) == len(RotationStep)


def test_what_a_person_does_is_told_with_whose_key_it_is():
    assert NEW in told(made)
    assert "both contracts" in told(made)
    assert "systemctl restart trustedpods-provider" in told(switched)
    assert OLD in told(settled)


@given(some.integers(0, 10**24), some.integers(0, 10**13))
def test_coin_is_moved_only_where_enough_stays_for_its_gas(wei, price):
    moved = movable(wei, price)
    assert moved == 0 or wei - moved == SWEEP_GAS * SWEEP_PRICES * max(1, price) < moved


def test_the_new_key_needs_coin_where_the_old_one_has_none_to_hand_on():
    assert not needs_coin(made, lost=False)
    assert needs_coin(made, lost=True)
    assert needs_coin(replace(made, current=KeyFacts(OLD, 5, BOTH)), lost=False)
    assert needs_coin(replace(made, current=None), lost=False)
    assert not needs_coin(replace(made, following=KeyFacts(NEW, 1, NONE)), lost=True)
    assert not needs_coin(settled, lost=True)

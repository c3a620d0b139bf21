# SPDX-License-Identifier: Apache-2.0
"""Release keys: either of two signs the other's successor, and nobody else does."""

import pytest

from tests.protocol.attestation.releases.signed import (
    FIRST,
    PAIR,
    SECOND,
    STRANGER,
    THIRD,
    public,
    release,
    signed,
)
from trustedpods.protocol.attestation.releases.file import read_release
from trustedpods.protocol.attestation.releases.keys import RELEASE_KEYS, current_keys, sign_succession
from trustedpods.protocol.errors import Refused

STEP = sign_succession(public(SECOND), public(THIRD), FIRST)
NEXT = sign_succession(public(FIRST), public(STRANGER), THIRD)


def test_successions_lead_from_the_shipped_pair_to_the_present_one():
    assert current_keys(PAIR, [], "m") == set(PAIR)
    assert current_keys(PAIR, [STEP], "m") == {public(FIRST), public(THIRD)}
    assert current_keys(PAIR, [STEP, NEXT], "m") == {public(STRANGER), public(THIRD)}


def test_a_replaced_key_signs_nothing_any_more():
    held = release(successions=[STEP.model_dump()])
    assert read_release(signed(held, THIRD), "m", PAIR) == held
    with pytest.raises(Refused, match="no release key"):
        read_release(signed(held, SECOND), "m", PAIR)


@pytest.mark.parametrize(
    "steps",
    [
        [sign_succession(public(SECOND), public(THIRD), SECOND)],  # by itself
        [sign_succession(public(SECOND), public(THIRD), STRANGER)],
        [sign_succession(public(STRANGER), public(THIRD), FIRST)],
        [sign_succession(public(SECOND), public(FIRST), FIRST)],
        [STEP, STEP],
        [NEXT, STEP],
        [STEP, sign_succession(public(THIRD), public(SECOND), FIRST)],  # a key comes back
        [STEP.model_copy(update={"key": public(STRANGER)})],
        [STEP.model_copy(update={"signature": "00" * 64})],
    ],
)
def test_statements_that_do_not_follow(steps):
    with pytest.raises(Refused, match=r"succession \d of release keys") as error:
        current_keys(PAIR, steps, "m")
    assert error.value.rule == "release-forged"


def test_no_keys_are_shipped_before_there_is_an_image():
    assert RELEASE_KEYS == () or len(set(RELEASE_KEYS)) == 2

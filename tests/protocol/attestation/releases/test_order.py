# SPDX-License-Identifier: Apache-2.0
"""Release files one after another: newer ones follow, older ones and other histories are refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.attestation.releases.signed import FIRST, SECOND, THIRD, after, public, release
from trustedpods.protocol.attestation.releases.keys import sign_succession
from trustedpods.protocol.attestation.releases.order import check_current, check_follows
from trustedpods.protocol.errors import Refused

ONE = release()
TWO = after(ONE)
THREE = after(ONE, TWO, images=[])
STEP = sign_succession(public(SECOND), public(THIRD), FIRST).model_dump()


def rule(seen, found) -> str | None:
    try:
        check_follows(seen, found, "m.json")
    except Refused as error:
        return error.rule
    return None


def test_the_same_file_or_any_later_one_follows():
    assert [rule(ONE, later) for later in (ONE, TWO, THREE)] == [None] * 3
    assert rule(TWO, THREE) is None


def test_a_step_back_is_refused():
    assert [rule(THREE, older) for older in (TWO, ONE)] == ["release-older"] * 2


def test_another_history_is_a_fork():
    other = release(images=[])
    assert rule(ONE, other) == "release-fork"
    assert rule(ONE, after(other)) == "release-fork"
    assert rule(TWO, after(ONE, other)) == "release-fork"


def test_a_replaced_key_cannot_be_forgotten():
    seen = after(ONE, successions=[STEP])
    assert rule(seen, after(ONE, seen)) == "release-fork"
    assert rule(seen, after(ONE, seen, successions=[STEP])) is None
    assert rule(ONE, seen) is None


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 6))
def test_of_any_two_files_only_the_later_of_one_history_follows(first, second, fork):
    def history(seed: str, shared):
        files = list(shared)
        while len(files) < 6:
            files.append(after(*files, images=[], not_after=seed))
        return files

    ours = history("2027-03-01T00:00:00Z", [])
    theirs = history("2027-03-02T00:00:00Z", ours[:fork])
    found = rule(ours[first - 1], theirs[second - 1])
    if second < first:
        assert found == "release-older"
    else:
        assert found == ("release-fork" if fork < first else None)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "least", "why"),
    [
        ("2027-03-01T00:00:00", 0, "release-expired"),
        ("2030-01-01T00:00:00", 0, "release-expired"),
        ("2026-11-29T00:00:00", 0, "release-clock"),
        ("2026-12-02T00:00:00", 2, "release-minimum"),
    ],
)
def test_what_does_not_hold_now(now, least, why):
    with pytest.raises(Refused) as error:
        check_current(ONE, at(now), least)
    assert error.value.rule == why
    assert "\n" not in error.value.what


def test_what_holds_now():
    check_current(ONE, at("2027-02-28T23:59:59"), 1)
    check_current(ONE, at("2026-11-30T12:00:00"))

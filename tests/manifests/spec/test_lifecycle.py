# SPDX-License-Identifier: Apache-2.0
"""Bounds of what a container does before its end."""

import pytest
from pydantic import ValidationError

from trustedpods.manifests.spec.lifecycle import MAX_GRACE_S, Lifecycle, Sleep


@pytest.mark.parametrize("seconds", [0, MAX_GRACE_S + 1])
def test_a_wait_is_within_the_longest_time_to_end(seconds: int) -> None:
    with pytest.raises(ValidationError):
        Sleep(seconds=seconds)
    assert Sleep(seconds=MAX_GRACE_S).seconds == MAX_GRACE_S


@pytest.mark.parametrize("wanted", [{}, {"preStop": {}}, {"preStop": {"exec": {"command": []}}}])
def test_something_must_be_done(wanted: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Lifecycle.model_validate(wanted)

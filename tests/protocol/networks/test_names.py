# SPDX-License-Identifier: Apache-2.0
"""Which names networks and nodes can have."""

import pytest
from pydantic import TypeAdapter, ValidationError

from trustedpods.protocol.networks.names import MAX_NAME, Name, PodName


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (Name, ["a", "a-1", "n" * MAX_NAME], ["", "1a", "a-", "A", "a.b", "a\n", "n" * (MAX_NAME + 1)]),
        (PodName, ["a", "1a", "n" * 63], ["", "-a", "a-", "A", "a.b", "a\n", "n" * 64]),
    ],
)
def test_what_is_a_name(kind, right, wrong):
    adapter = TypeAdapter(kind)
    for name in right:
        assert adapter.validate_python(name) == name
    for name in wrong:
        with pytest.raises(ValidationError):
            adapter.validate_python(name)

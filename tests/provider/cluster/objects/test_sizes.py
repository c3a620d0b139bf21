# SPDX-License-Identifier: Apache-2.0
"""Quantities as the API server writes them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.provider.cluster.objects import sizes


@pytest.mark.parametrize(
    ("text", "milli", "mib"),
    [("2", 2000, 0), ("100m", 100, 0), ("1.5", 1500, 0), ("64Mi", 67108864000, 64), ("1G", 10**12, 953),
     ("128974848", 128974848000, 123), ("12e6", 12 * 10**9, 11), ("1500000n", 1, 0), (None, 0, 0)],
)  # fmt: skip
def test_quantities(text, milli, mib):
    assert sizes.milli(text) == milli
    assert sizes.mebibytes(text) == mib


@given(st.text(max_size=12))
def test_no_quantity_breaks_the_reader(text):
    with suppress(RemoteProtocolError):
        assert sizes.milli(text) >= 0

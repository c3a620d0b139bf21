# SPDX-License-Identifier: Apache-2.0
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.manifests.quantity import cpu_milli, mebibytes, seconds


@pytest.mark.parametrize(
    ("text", "milli"), [("100m", 100), ("2", 2000), (2, 2000), ("0.5", 500), (0.5, 500), ("0.001", 1)]
)
def test_cpu(text: object, milli: int) -> None:
    assert cpu_milli(text) == milli


@pytest.mark.parametrize(("text", "mib"), [("64Mi", 64), ("2Gi", 2048), ("1", 1), ("1M", 1), ("1048577", 2)])
def test_sizes_round_up(text: object, mib: int) -> None:
    assert mebibytes(text) == mib


@pytest.mark.parametrize(("text", "count"), [("5s", 5), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_durations(text: object, count: int) -> None:
    assert seconds(text) == count


@pytest.mark.parametrize("read", [cpu_milli, mebibytes, seconds])
@given(value=st.text(max_size=12) | st.booleans() | st.none() | st.floats() | st.lists(st.integers()))
def test_anything_else_is_a_value_error(read, value) -> None:
    with contextlib.suppress(ValueError):
        assert read(value) >= 0

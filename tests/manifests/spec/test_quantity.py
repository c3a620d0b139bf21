# SPDX-License-Identifier: Apache-2.0
import contextlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trustedpods.manifests.spec.quantity import cpu_milli, exact, mebibytes, seconds

CPU = {
    "100m": 100, "2": 2000, "0.5": 500, "0.001": 1, ".5": 500, "1.": 1000, "+1": 1000, "1.0": 1000,
    "1e0": 1000, "1E0": 1000, "1e-1": 100, "1.5e+1": 15_000, "100000u": 100, "1n": 1, "0.0005": 1,
    "0.1005": 101, "1500m": 1500, "0": 0, "-0": 0, "0001": 1000, "1k": 1_000_000,
    "0.00000000001": 1, "1e-200": 1,
}  # fmt: skip

MIB = {
    "64Mi": 64, "2Gi": 2048, "1": 1, "1M": 1, "1048577": 2, "1.5Gi": 1536, "0.5Gi": 512, "1e9": 954,
    "1E9": 954, "128E6": 123, "134217728": 128, "1073741824": 1024, "131072k": 125, "131072Ki": 128,
    "134217728000m": 128, "1G": 954, "1.G": 954, "1Ti": 1 << 20, "1Pi": 1 << 30, "1Ei": 1 << 40,
    "1T": 953_675, "1P": 953_674_317, "1E": 953_674_316_407, " 1Mi\n": 1, ".1Mi": 1, "1n": 1, "0Mi": 0,
    "+64Mi": 64, "104857600000u": 1,
}  # fmt: skip

NO_QUANTITY = [
    "", " ", "128MB", "128mi", "128MiB", "128 Mi", "1 Ki", "1ki", "1K", "131072K",
    "1i", "1mi", "1Mi1",
    "1ei", "1e", "1e+", "1e1.5", "1.5.1", "1,5", "--1", "+-1", "-1", "-0.1Mi", "e5", "Mi",
    "0x10", "1_000", "inf", "nan", "\u0661", "1" * 65, "1e" + "9" * 19, None, True, [], {}, 10**5000,
    float("inf"), float("nan"), -1, -0.5,
]  # fmt: skip


@pytest.mark.parametrize("text", CPU)
def test_cpu_rounds_up(text: str) -> None:
    assert cpu_milli(text) == CPU[text]


@pytest.mark.parametrize("text", MIB)
def test_sizes_round_up(text: str) -> None:
    assert mebibytes(text) == MIB[text]


def test_a_number_counts_as_its_text() -> None:
    assert (cpu_milli(2), cpu_milli(0.5), mebibytes(1e9), mebibytes(1 << 30)) == (2000, 500, 954, 1024)


@pytest.mark.parametrize(
    "value", NO_QUANTITY, ids=lambda value: repr(value)[:20] if value != 10**5000 else "10^5000"
)
def test_what_is_no_quantity_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not a CPU quantity"):
        cpu_milli(value)
    with pytest.raises(ValueError, match="not a size"):
        mebibytes(value)


@given(
    st.from_regex(
        r"[+]?[0-9]{0,12}[.]?[0-9]{0,12}([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})?", fullmatch=True
    )
)
def test_the_whole_grammar_is_read_and_nothing_rounds_down(text: str) -> None:
    assume(any(digit in text.lower().partition("e")[0] for digit in "0123456789"))
    amount = exact(text)
    assert amount is not None
    assert 0 <= cpu_milli(text) - amount * 1000 < 1
    assert 0 <= mebibytes(text) - amount / (1 << 20) < 1


@pytest.mark.parametrize(("text", "count"), [("5s", 5), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_durations(text: object, count: int) -> None:
    assert seconds(text) == count


@pytest.mark.parametrize("read", [cpu_milli, mebibytes, seconds])
@given(value=st.text(max_size=12) | st.booleans() | st.none() | st.floats() | st.lists(st.integers()))
def test_anything_else_is_a_value_error(read, value) -> None:
    with contextlib.suppress(ValueError):
        assert read(value) >= 0

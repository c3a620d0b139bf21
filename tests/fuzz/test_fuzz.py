# SPDX-License-Identifier: Apache-2.0
"""No parser raises anything but our own errors, or takes in more than its limit."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.fuzz.targets import TARGETS, run
from tests.paths import ROOT

SECONDS = examples(8, few=1)
HANG_S = 240
"""Start, the last input, and a busy machine."""
SOAK_SECONDS = int(os.environ.get("FUZZ_SECONDS", "900"))


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.seeds != (b"\x80",)])
def test_good_input_is_taken(name):
    """A fuzzer that starts from refused input explores nothing. Some have another key or time."""
    refused = {"snp-revocation", "snp-certificate"}
    assert any(run(name, seed) for seed in TARGETS[name].seeds) or name in refused


@pytest.mark.parametrize("name", TARGETS)
def test_random_bytes(name):
    @settings(max_examples=examples(60))
    @given(st.binary(max_size=3000))
    def check(raw):
        run(name, raw)

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_good_input_with_changes(name):
    @settings(max_examples=examples(60))
    @given(st.data())
    def check(data):
        seed = data.draw(st.sampled_from(TARGETS[name].seeds))
        at = data.draw(st.integers(0, len(seed)))
        until = data.draw(st.integers(at, min(len(seed), at + 64)))
        run(name, seed[:at] + data.draw(st.binary(max_size=64)) + seed[until:])

    check()


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if target.limit])
@pytest.mark.parametrize("fill", [b"\x00", b"\xff", b"[", b"\x91", b" "])
def test_nothing_over_its_limit_is_worked_on(name, fill):
    raw = fill * (TARGETS[name].limit + 1)
    tracemalloc.start()
    try:
        assert not run(name, raw)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(raw) + 256 * 1024
    finally:
        tracemalloc.stop()


def atheris(seconds: int, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.coverage_guided", str(folder), str(seconds)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds + HANG_S
    )


@pytest.mark.timeout(SECONDS + HANG_S + 60)
def test_a_few_seconds_guided_by_coverage(tmp_path):
    done = atheris(SECONDS, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done " in done.stderr


@pytest.mark.soak
@pytest.mark.timeout(SOAK_SECONDS + HANG_S + 60)
def test_minutes_guided_by_coverage(tmp_path):
    done = atheris(SOAK_SECONDS, tmp_path)
    assert done.returncode == 0, done.stderr[-5000:]

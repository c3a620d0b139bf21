# SPDX-License-Identifier: Apache-2.0
"""How many files the activator may have open is its unit's to say: too few are told at the start."""

import subprocess
import sys

import pytest

PROGRAM = [sys.executable, "-m", "trustedpods.provider.facade.activator.activator"]
NEEDED = 4 + 2 * 100 + 256
TOLD = f"4 slots with their connections may need {NEEDED} open files, and {NEEDED - 1} are allowed"


@pytest.mark.parametrize(("allowed", "told"), [(NEEDED - 1, True), (NEEDED, False)])
def test_too_few_files_are_told_at_the_start(tmp_path, allowed, told):
    words = ["--sockets", tmp_path, "--slots", "4", "--max-total", "100", "--wake-socket", tmp_path / "wake"]
    limited = ["sh", "-c", f'ulimit -n {allowed}; exec "$@"', "_", *PROGRAM, *words]
    with subprocess.Popen(limited, stderr=subprocess.PIPE, text=True) as started:
        assert started.stderr is not None
        try:
            said = []
            while not said or "ready: 4 slots" not in said[-1]:
                line = started.stderr.readline()
                assert line, said
                said.append(line)
        finally:
            started.terminate()
    assert (TOLD in "".join(said)) is told, said

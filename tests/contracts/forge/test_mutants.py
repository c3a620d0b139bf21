# SPDX-License-Identifier: Apache-2.0
"""The forge tests are worth something: each contract with one thing wrong is found out."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contracts.forge.mutants import MUTANTS

ROOM = Path("contracts").resolve()
FORGE = ROOM / "node_modules/@foundry-rs/forge-linux-amd64/bin/forge"
RUN_LIMIT_S = 900
STAGES = ("--no-match-contract", "--match-contract")
"""The invariants are slow, and only asked when nothing else notices."""
FEWER = {"FOUNDRY_INVARIANT_RUNS": "48", "FOUNDRY_FUZZ_RUNS": "200", "FOUNDRY_DENY": "never"}
"""Enough to kill all of them. What is left over of a mutant may well deserve a warning."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.harm)
def test_a_mutant_is_a_change_of_one_place(mutant):
    source = (ROOM / "src" / mutant.file).read_text()
    assert source.count(mutant.old) == 1
    assert mutant.new != mutant.old


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A copy of the contracts in which the tests pass."""
    folder = tmp_path_factory.mktemp("mutants") / "contracts"
    folder.mkdir()
    for name in ("src", "test"):
        shutil.copytree(ROOM / name, folder / name)
    for name in ("foundry.toml", "solc-wrapper.js"):
        shutil.copy(ROOM / name, folder)
    (folder / "node_modules").symlink_to(ROOM / "node_modules")
    vectors = folder.parent / "tests" / "vectors"
    vectors.mkdir(parents=True)
    shutil.copy("tests/vectors/money.json", vectors)
    for stage in STAGES:
        done = forge(folder, stage)
        assert done.returncode == 0, done.stdout[-3000:]
    return folder


def forge(folder, stage):
    return subprocess.run(
        [FORGE, "test", "--fail-fast", stage, "Invariants"],
        cwd=folder,
        env=os.environ | FEWER,
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )


@pytest.mark.soak
@pytest.mark.timeout(RUN_LIMIT_S)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.harm)
def test_every_mutant_is_killed(room, mutant):
    place = room / "src" / mutant.file
    source = place.read_text()
    place.write_text(source.replace(mutant.old, mutant.new))
    try:
        done = next((run for stage in STAGES if (run := forge(room, stage)).returncode != 0), None)
    finally:
        place.write_text(source)
    assert done is not None, f"nothing noticed that {mutant.harm}"
    assert "Compiler run failed" not in done.stdout + done.stderr, done.stderr[-2000:]
    assert "[FAIL" in done.stdout

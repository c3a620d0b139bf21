# SPDX-License-Identifier: Apache-2.0
"""docs/ci.md: its job does what the page says, step by step, and its table has the documented codes."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.paths import ROOT
from tests.publisher.test_cli import cli
from tests.publisher.verbs.offers.test_planned import change_manifest
from trustedpods.protocol.errors import ExitCode

__all__ = ["cli"]

PAGE = (ROOT / "docs" / "ci.md").read_text()
JOB = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL).group(1))["jobs"]["deploy"]
STEPS = {step["name"]: step["run"] for step in JOB["steps"] if "run" in step}


def verb(step: str) -> list[str]:
    """The words behind `trustedpods` in a step, up to what the shell does with it."""
    words = shlex.split(STEPS[step])
    assert words[0] == "trustedpods"
    ends = [words.index(one) for one in (">", "||") if one in words]
    return words[1 : min(ends, default=len(words))]


async def test_each_step_does_what_the_page_says(bench, cli, monkeypatch):
    monkeypatch.chdir(bench.folder)
    async with bench.peer().serve():
        assert (await cli(*verb("validate"))).exit_code == 0
        assert (await cli(*verb("plan"))).exit_code == ExitCode.PLAN_HAS_CHANGES
        assert bench.chain.log == []
        deployed = await cli(*verb("deploy"))
        assert (deployed.exit_code, deployed.stdout[:1]) == (0, "{")
        assert (await cli(*verb("check"))).exit_code == 0
        assert (await cli(*verb("plan"))).exit_code == 0, "the same commit again"
        change_manifest(bench, "      ports:", "      env: [{name: MODE, value: two}]\n      ports:")
        assert (await cli(*verb("plan"))).exit_code == ExitCode.PLAN_HAS_CHANGES
        assert (await cli(*verb("deploy"))).exit_code == 0


def shell(line: str, folder: Path, **variables: str) -> int:
    """A line as a job's shell runs it."""
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", line], cwd=folder, env={"PATH": path, **variables}, check=False, timeout=30
    )
    return done.returncode


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (10, 0), (6, 1), (2, 1)])
def test_a_plan_that_has_changes_is_no_failure_and_another_code_is_one(tmp_path, code, ends):
    program = tmp_path / "trustedpods"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    assert shell(STEPS["plan"], tmp_path) == ends


def test_the_key_is_written_for_its_owner_alone_and_forgotten(tmp_path):
    key = tmp_path / "deploy.key"
    assert shell(STEPS["key"], tmp_path, TRUSTEDPODS_KEY=str(key), KEY="ab" * 32) == 0
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("ab" * 32, 0o600)
    assert shell(STEPS["forget the key"], tmp_path, TRUSTEDPODS_KEY=str(key)) == 0
    assert not key.exists()


def test_the_codes_are_those_that_there_are():
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)]
    assert codes == sorted(codes)
    assert set(codes) <= {int(code) for code in ExitCode}

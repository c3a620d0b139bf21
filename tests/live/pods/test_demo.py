# SPDX-License-Identifier: Apache-2.0
"""The demo does what the README promises: exit code 0, all fifteen steps, this run's own facts."""

import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.localnet_fixture import PREFIX
from tests.paths import ROOT
from trustedpods.localnet.demo.table import STEPS
from trustedpods.localnet.down import down

pytestmark = pytest.mark.live

LIMIT_S = 580


def test_the_demo_shows_every_step_with_this_runs_facts() -> None:
    name = PREFIX + secrets.token_hex(4)
    command = [str(Path(sys.executable).parent / "trustedpods-localnet"), "demo", "--name", name]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    finally:
        down(name)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {int(number) for number in re.findall(r"^│ +(\d+) │", done.stdout, re.MULTILINE)}
    assert rows == set(STEPS)
    assert "did not happen" not in done.stdout
    assert f".k1.{name}.localhost" in done.stdout
    assert len(set(re.findall(r"tx (0x[0-9a-f]{64})", done.stdout))) == 2
    assert "answers from zero pods: 200" in done.stdout

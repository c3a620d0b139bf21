# SPDX-License-Identifier: Apache-2.0
"""The guest's supervisor ends, and says why, where its configuration is not as it must be."""

import json
import subprocess
import sys

from tests.localnet.guest.configurations import OPERATOR_KEY
from trustedpods.localnet.guest.main import used_mib

PROGRAM = "import sys; from trustedpods.localnet.guest.main import main; sys.exit(main())"


def test_a_configuration_that_is_refused_ends_it_before_anything_is_done(tmp_path):
    file = tmp_path / "configuration.json"
    file.write_text(json.dumps({"version": 1, "operator_key": OPERATOR_KEY}))
    done = subprocess.run([sys.executable, "-c", PROGRAM, file], check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "configuration: " in done.stderr
    assert OPERATOR_KEY not in done.stdout + done.stderr
    assert done.stdout == ""


def test_without_a_configuration_it_says_how_it_is_called():
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "CONFIGURATION" in done.stderr


def test_the_memory_that_is_used_is_what_is_not_given_back():
    held = ("AnonPages", "Shmem", "SUnreclaim", "KernelStack", "PageTables", "Percpu")
    rows = [f"{kind}:   {1 << (10 + place)} kB" for place, kind in enumerate(held)]
    assert used_mib("\n".join(["MemTotal:   4096000 kB", "Cached:   300000 kB", *rows])) == 63

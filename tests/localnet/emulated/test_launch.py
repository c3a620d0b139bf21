# SPDX-License-Identifier: Apache-2.0
"""Each start measures what it boots: a machine that is started again with other files is another one."""

import os
import subprocess
import sys
from pathlib import Path

from tests.localnet.emulated.test_units import settings
from trustedpods.localnet.emulated import boot_files, files
from trustedpods.localnet.folders import save_settings
from trustedpods.localnet.settings import Settings

QEMU = '#!/bin/sh\necho started $$ "$@"\n'


def launched(made: Settings, folder: Path) -> subprocess.CompletedProcess[str]:
    """With a program in qemu's place that says what it is told."""
    made.state.mkdir(exist_ok=True)
    save_settings(made)
    program = folder / "qemu-system-x86_64"
    program.write_text(QEMU)
    program.chmod(0o755)
    return subprocess.run(
        [sys.executable, "-m", "trustedpods.localnet.emulated.launch", made.state],
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_it_becomes_the_machine_of_what_it_measured(tmp_path: Path) -> None:
    made = settings(tmp_path, 1)
    (cluster,) = made.all_clusters()
    boot = files.boot_folder(cluster)
    first = launched(made, tmp_path)
    assert first.returncode == 0, first.stderr
    assert f"-kernel {boot / 'vmlinuz'}" in first.stdout
    measured = boot_files.measurement(boot)
    assert measured == boot_files.measured(tmp_path)
    (tmp_path / "cmdline").write_text("rdinit=/init trustedpods.root=0:0:2")
    assert launched(made, tmp_path).returncode == 0
    assert boot_files.measurement(boot) == boot_files.measured(tmp_path) != measured


def test_what_cannot_be_measured_is_not_started(tmp_path: Path) -> None:
    made = settings(tmp_path, 1)
    (tmp_path / "OVMF.snp.fd").write_bytes(b"no firmware")
    done = launched(made, tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "OVMF.snp.fd" in done.stderr

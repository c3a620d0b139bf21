# SPDX-License-Identifier: Apache-2.0
"""Whole machines of other images than the pinned one: they boot, attest as what they are, and get nothing.

Each fits in itself, as whoever builds an image of his own would make it: its initrd and dm-verity take it.
Those that are not stop in the initrd (tests/deploy/guest_image/test_boot.py).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.guest_image.builder import verity
from tests.localnet.emulated.outside import hello, policy, provider, publisher, refused, tell
from tests.paths import ROOT
from trustedpods.localnet.down import down
from trustedpods.localnet.emulated import boot_files
from trustedpods.localnet.up import up

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

UP_LIMIT_S = 2400.0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one that is pinned."""
    made = tmp_path_factory.mktemp("image")
    subprocess.run([sys.executable, ROOT / "deploy/guest_image/guest_image.py", made], check=True, cwd=ROOT)
    return made


def another_byte(folder: Path) -> None:
    """The first one of the root, which no file system uses, with its own hash on the command line."""
    line = (folder / "cmdline").read_text()
    blocks = int(line.rpartition(":")[2])
    with (folder / "root.img").open("r+b") as file:
        file.truncate(blocks * verity.BLOCK)
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))
    root = verity.append_tree(folder / "root.img")
    words = line.partition("trustedpods.root=")[0]
    command_line(folder, f"{words}trustedpods.root={root.digest}:{root.salt}:{root.blocks}")


def another_word(folder: Path) -> None:
    line = (folder / "cmdline").read_text()
    assert line.count("loglevel=4") == 1
    command_line(folder, line.replace("loglevel=4", "loglevel=5"))


def command_line(folder: Path, line: str) -> None:
    """Another one of the same length, which the initrd accepts."""
    before = (folder / "cmdline").read_text().encode()
    archive = (folder / "initrd.img").read_bytes()
    assert (archive.count(before), len(line)) == (1, len(before))
    (folder / "initrd.img").write_bytes(archive.replace(before, line.encode()))
    (folder / "cmdline").write_text(line)


@pytest.mark.parametrize("change", [another_byte, another_word])
def test_a_whole_machine_of_another_image_is_sent_nothing(
    image: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    other, name = tmp_path / "other", f"wrong-{os.getpid()}"
    shutil.copytree(image, other)
    change(other)
    measured = boot_files.measured(other)
    try:
        market = up(name, guest=other, limit_s=UP_LIMIT_S, say=tell)
        deploy = ("deploy", hello(market), "--name", "hello", "--deposit", "1d", "--policy")
        rule, words = refused(market, *deploy, policy(market, boot_files.measured(image)))
        assert (rule, measured.hex()[:16] in words) == ("measurement", True), words
        own = publisher(market, "attest", provider(market), "--policy", policy(market, measured))
        assert own["verdict"]["simulated"] is True
    finally:
        down(name)

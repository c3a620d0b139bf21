# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from tests.paths import ROOT
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.sealing import hpke
from trustedpods.provider.keys.boot import FILE_NAME, BootKeys, filesystem_type

SHARED_MEMORY = Path("/dev/shm")

SIMULTANEOUS_STARTS = """
import os, pathlib, sys
from trustedpods.provider.keys.boot import BootKeys

gate, opener = os.pipe()
for _ in range(4):
    if not os.fork():
        os.close(opener)
        os.read(gate, 1)
        found = BootKeys.load_or_create(pathlib.Path(sys.argv[1]), require_tmpfs=False)
        os.write(1, f"{found.boot_id.hex()}\\n".encode())
        os._exit(0)
os.close(opener)
for _ in range(4):
    assert os.wait()[1] == 0
"""
"""Four processes that wait at a gate: the imports, which take longest, are done before it opens."""


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        yield Path(folder)


def load(folder: Path) -> BootKeys:
    return BootKeys.load_or_create(folder, require_tmpfs=False)


def refusal(folder: Path, **keywords) -> str:
    with pytest.raises(BadInput) as error:
        BootKeys.load_or_create(folder, **keywords)
    assert error.value.where
    return error.value.what


def test_a_restart_finds_the_same_keys(tmp_path):
    first, second = load(tmp_path), load(tmp_path)
    assert second.to_json() == first.to_json()
    assert second.binding("sealed", b"p", bytes(32)) == first.binding("sealed", b"p", bytes(32))


def test_each_boot_has_its_own(tmp_path):
    assert (
        not json.loads(load(tmp_path / "a").to_json()).items()
        & json.loads(load(tmp_path / "b").to_json()).items()
    )


def test_the_binding_holds_the_public_halves(tmp_path):
    keys = load(tmp_path)
    binding = keys.binding("open", b"peer", b"c" * 32)
    assert (binding.trust, binding.peer_id, binding.config_digest) == ("open", b"peer", b"c" * 32)
    assert binding.boot_id == keys.boot_id
    assert binding.hpke_suite == hpke.SUITE_ID
    assert keys.hpke.open(hpke.seal(binding.hpke_key, b"x", b""), b"") == b"x"
    assert binding.reply_key == keys.reply.public_key().public_bytes_raw()
    assert binding.meter == address_bytes(Account.from_key(keys.meter).address)
    assert binding.tls_key_digest == keys.tls_key_digest


def test_no_secret_is_in_the_binding_or_the_repr(tmp_path):
    keys = load(tmp_path)
    told = repr(keys) + encode(keys.binding("open", b"peer", bytes(32))).hex()
    secrets = json.loads(keys.to_json())
    assert secrets.pop("boot_id") in told
    assert not [name for name, value in secrets.items() if value in told]


def test_nobody_else_can_read_them(tmp_path):
    folder = tmp_path / "keys"
    load(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


@pytest.fixture
def disk():
    """A folder on the disk that the sources are on: that of the tests may be in memory."""
    with tempfile.TemporaryDirectory(prefix=".keys-", dir=ROOT) as folder:
        if filesystem_type(Path(folder), Path("/proc/self/mountinfo").read_text()) == "tmpfs":
            pytest.skip("the sources are in memory here")
        yield Path(folder)


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="no tmpfs here")
def test_memory_is_accepted_and_a_disk_is_not(memory, disk):
    BootKeys.load_or_create(memory / "keys")
    assert "never reach a disk" in refusal(disk)
    assert not list(disk.iterdir())


def test_the_file_system_is_found_by_its_device(tmp_path):
    device = tmp_path.stat().st_dev
    here = f"{os.major(device)}:{os.minor(device)}"
    mounts = (
        "22 27 0:9999 / /proc rw,relatime - proc proc rw\n"
        f"27 1 {here} / /a\\040b rw,relatime shared:1 master:2 - tmpfs none rw,size=4k\n"
    )
    assert filesystem_type(tmp_path, mounts) == "tmpfs"
    assert filesystem_type(tmp_path, "") == "unknown"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"boot_id": 5}', '{"tls": "00"}', "\x00" * 100]
)
def test_a_damaged_file_is_said_so(tmp_path, content):
    path = tmp_path / FILE_NAME
    path.touch(0o600)
    path.write_text(content)
    assert "damaged" in refusal(tmp_path, require_tmpfs=False)


@pytest.mark.parametrize("cut", [1, 100, 400])
def test_a_cut_file_is_said_so(tmp_path, cut):
    raw = load(tmp_path).to_json()
    (tmp_path / FILE_NAME).write_bytes(raw[:-cut])
    assert "damaged" in refusal(tmp_path, require_tmpfs=False)


def test_a_file_that_others_can_read_is_refused(tmp_path):
    load(tmp_path)
    (tmp_path / FILE_NAME).chmod(0o640)
    assert "others can read" in refusal(tmp_path, require_tmpfs=False)


def test_a_folder_that_others_can_write_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    assert "others can write" in refusal(tmp_path, require_tmpfs=False)


def test_a_link_is_refused(tmp_path):
    load(tmp_path / "real")
    (tmp_path / "keys").mkdir(0o700)
    (tmp_path / "keys" / FILE_NAME).symlink_to(tmp_path / "real" / FILE_NAME)
    assert "cannot keep keys" in refusal(tmp_path / "keys", require_tmpfs=False)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "keys").touch()
    assert "cannot keep keys" in refusal(tmp_path / "keys", require_tmpfs=False)


def test_starts_at_the_same_time_agree(tmp_path):
    """Whoever comes second takes what the first one wrote."""
    done = subprocess.run(
        [sys.executable, "-c", SIMULTANEOUS_STARTS, str(tmp_path)],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == [load(tmp_path).boot_id.hex()] * 4

# SPDX-License-Identifier: Apache-2.0
"""The data disk: encrypted and authenticated by a key of this boot, and made anew by each.

Header and key are in memory, so that nothing the host wrote on the disk is parsed. A changed block is an
error; an old block of the same boot at its own place is not noticed.
"""

import os
import secrets
from pathlib import Path

from trustedpods.localnet.commands import run

SERIAL = "trustedpods-data"
"""By which the machine finds it among its disks."""

_BLOCK_DEVICES = Path("/sys/block")
_MAPPED = "trustedpods-data"
_KEY_BYTES = 64 + 32
"""AES-XTS takes two keys of 256 bits, HMAC-SHA256 one."""

_LIMIT_S = 1800
"""Emulated processors of a busy host take minutes for what hardware does in a second."""

_FIRST_WRITTEN = 1 << 20
"""mke2fs reads the beginning and the end before it writes there, and an unwritten sector is an error."""


def attached(devices: Path = _BLOCK_DEVICES) -> Path | None:
    """The data disk's device, where the host gave the machine one."""
    for file in sorted(devices.glob("vd*/serial")):
        if file.read_bytes().strip() == SERIAL.encode():
            return Path("/dev", file.parent.name)
    return None


def format_words(device: Path, header: Path, key: Path) -> list[str]:
    """The command that writes the *header*: the disk itself is not wiped, which would write all of it.

    The key is random, so nothing is gained by deriving another from it slowly.
    """
    return [
        "cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--header", str(header),
        "--cipher", "aes-xts-plain64", "--key-size", "512", "--integrity", "hmac-sha256",
        "--integrity-no-wipe", "--sector-size", "4096", "--pbkdf", "pbkdf2",
        "--pbkdf-force-iterations", "1000", "--key-file", str(key), str(device),
    ]  # fmt: skip


def make(device: Path, mounted: Path, memory: Path) -> None:
    """Mount a new file system of *device* at *mounted*; *memory* is a folder of a tmpfs.

    The key is removed from there once the kernel has it. CommandFailed says what a tool said.
    """
    header, key = memory / "data.header", memory / "data.key"
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
        run(format_words(device, header, key), timeout=_LIMIT_S)
        opening = ["cryptsetup", "open", "--header", str(header), "--key-file", str(key)]
        run([*opening, str(device), _MAPPED], timeout=_LIMIT_S)
    finally:
        key.unlink()
    opened = Path("/dev/mapper", _MAPPED)
    _write_ends(opened)
    tables = "lazy_itable_init=0,lazy_journal_init=0,nodiscard,num_backup_sb=0"
    features = "sparse_super2,^resize_inode"
    run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", tables, "-O", features, opened], timeout=_LIMIT_S)
    mounted.mkdir(parents=True, exist_ok=True)
    run(["mount", "-t", "ext4", "-o", "nosuid,nodev", opened, mounted], timeout=_LIMIT_S)


def _write_ends(device: Path) -> None:
    with device.open("r+b", buffering=0) as file:
        for place in (0, file.seek(0, os.SEEK_END) - _FIRST_WRITTEN):
            file.seek(place)
            file.write(bytes(_FIRST_WRITTEN))
        os.fsync(file.fileno())

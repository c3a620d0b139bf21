# SPDX-License-Identifier: Apache-2.0
"""Debian packages by their pins: fetched once, compared with their hashes, kept in the cache.

The cache's folder is what a third person needs to rebuild the image when the registry has gone on: its
files carry their SHA-256 as their name.
"""

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pins import Pin, refuse_gone
from wheels import NotBuildable, run


def fetched(wanted: Iterable[Pin], cache: Path) -> list[Path]:
    """The files of these packages, in the order of *wanted*, each compared with its hash now.

    NotBuildable for a version that the registry no longer has, or a file that is not the pinned one, be it
    fetched now or kept from an earlier time.
    """
    folder = cache / "guest-packages"
    folder.mkdir(parents=True, exist_ok=True)
    pins = list(wanted)
    missing = [pin for pin in pins if not _file(folder, pin).exists()]
    if missing:
        refuse_gone(missing, _versions(missing))
        _download(missing, folder)
    return [_checked(_file(folder, pin), pin) for pin in pins]


def _file(folder: Path, pin: Pin) -> Path:
    return folder / f"{pin.sha256}.deb"


def _checked(file: Path, pin: Pin) -> Path:
    if _digest(file) != pin.sha256:
        raise NotBuildable(f"{file} is not {pin.name} {pin.version} as pinned: remove it, and run this again")
    return file


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _versions(pins: Iterable[Pin]) -> dict[str, set[str]]:
    """What the registry has of each, as the package lists of this machine say."""
    found: dict[str, set[str]] = {}
    for line in run(["apt-cache", "madison", *(pin.name for pin in pins)], {"LC_ALL": "C"}).splitlines():
        name, version, _ = (word.strip() for word in line.split("|"))
        found.setdefault(name, set()).add(version)
    return found


def _download(pins: list[Pin], folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetching-") as name:
        argv = ["apt-get", "download", "--quiet", "-o", "APT::Sandbox::User=root"]
        run([*argv, *(f"{pin.name}={pin.version}" for pin in pins)], {"LC_ALL": "C"}, Path(name))
        came = {_digest(path): path for path in Path(name).glob("*.deb")}
        for pin in pins:
            if pin.sha256 not in came:
                raise NotBuildable(f"{pin.name} {pin.version} came with another SHA-256 than {pin.sha256}")
            came[pin.sha256].replace(_file(folder, pin))

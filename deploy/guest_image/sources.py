# SPDX-License-Identifier: Apache-2.0
"""Debian's source package of the firmware: which files it is, by name and SHA-256, and how they come.

Debian 12's edk2 is older than SEV-SNP's kernel hashes, so it is the one of Debian 13, whose signed list of
sources `resolved` reads without changing what this machine installs from.
"""

import hashlib
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pins import RENEW
from wheels import NotBuildable, run

PACKAGE: Final = "edk2"
SUITE: Final = "trixie"
NEIGHBOUR: Final = "ovmf"
"""A package built from it that Debian 12 has too: it lies in the same folder of the registry."""

KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
APT_HELPER: Final = "/usr/lib/apt/apt-helper"

_LINE = re.compile(r"([0-9a-f]{64})  ([a-z0-9][A-Za-z0-9.+~_-]*\.(?:orig|debian)\.tar\.xz)")
_URI = re.compile(r"'([^']+)/[^/']+' (\S+) \d+ SHA256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the source package."""

    file: str
    sha256: str


def read(text: str) -> tuple[Source, Source]:
    """edk2's own archive and Debian's, of a text that `written` made; NotBuildable, with the line, else."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        if not (one := _LINE.fullmatch(line)):
            raise NotBuildable(f"line {number} of the firmware's pins is none: {line[:80]!r}; {RENEW}")
        found.append(Source(one[2], one[1]))
    if [one.file.split(".")[-3] for one in found] != ["orig", "debian"]:
        raise NotBuildable(f"the firmware's pins are not edk2's archive and then Debian's; {RENEW}")
    return found[0], found[1]


def written(sources: Sequence[Source]) -> str:
    """The text of edk2.txt."""
    head = "# SPDX-License-Identifier: Apache-2.0\n# Made by `make guest-pins`: the source of the firmware.\n"
    return head + "".join(f"{one.sha256}  {one.file}\n" for one in sources)


def resolved() -> tuple[Source, Source]:
    """What Debian has of it today, by its signed list. NotBuildable with apt's words, where it has none."""
    base = folder_of_registry().split("/pool/")[0]
    with tempfile.TemporaryDirectory(prefix="trustedpods-sources-") as name:
        listed = Path(name, "sources.list")
        listed.write_text(f"deb-src [signed-by={KEYRING}] {base} {SUITE} main\n")
        Path(name, "lists/partial").mkdir(parents=True)
        own = ["-o", f"Dir::Etc::SourceList={listed}", "-o", "Dir::Etc::SourceParts=/dev/null"]
        own += ["-o", f"Dir::State::Lists={name}/lists", "-o", "APT::Sandbox::User=root"]
        run(["apt-get", *own, "--quiet", "update"], {"LC_ALL": "C"})
        text = run(["apt-get", *own, "source", "--print-uris", "--download-only", PACKAGE], {"LC_ALL": "C"})
    return chosen(text)


def chosen(text: str) -> tuple[Source, Source]:
    """The two archives of what `apt-get source --print-uris` lists; NotBuildable where it lists others."""
    found = {one[2]: Source(one[2], one[3]) for one in _URI.finditer(text)}
    archives = [
        source
        for end in (".orig.tar.xz", ".debian.tar.xz")
        for source in found.values()
        if source.file.endswith(end)
    ]
    return read(written(archives))


def folder_of_registry() -> str:
    """The address of the folder that the source package lies in, by what apt of this machine is set to."""
    text = run(["apt-get", "download", "--print-uris", NEIGHBOUR], {"LC_ALL": "C"})
    if not (found := _URI.search(text)):
        raise NotBuildable(f"apt knows no {NEIGHBOUR}: run `apt-get update` on a Debian 12")
    return found[1]


def fetched(wanted: Sequence[Source], cache: Path, helper: str = APT_HELPER) -> list[Path]:
    """These files, in their order, each compared with its hash now; kept in *cache* beside the packages.

    NotBuildable for one that the registry no longer has, or that is not the pinned one.
    """
    folder = cache / "guest-packages"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{one.sha256}.tar.xz" for one in wanted]
    for source, path in zip(wanted, paths, strict=True):
        if not path.exists():
            _download(source, path, helper)
        with path.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != source.sha256:
                raise NotBuildable(f"{path} is not {source.file} as pinned: remove it, and run this again")
    return paths


def _download(source: Source, path: Path, helper: str) -> None:
    """By apt's own program, which takes its proxy and compares the hash."""
    address = f"{folder_of_registry()}/{source.file.replace('+', '%2b')}"
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="fetching-") as name:
        made = Path(name, "made")
        try:
            run([helper, "download-file", address, str(made), f"SHA256:{source.sha256}"], {"LC_ALL": "C"})
        except NotBuildable as error:
            raise NotBuildable(f"the registry has no {source.file} as pinned ({error}). {RENEW}") from error
        made.replace(path)

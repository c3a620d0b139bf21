# SPDX-License-Identifier: Apache-2.0
"""The guest's own firmware, from Debian's source package of edk2: the build that measures what it starts.

Debian builds none of the two: AmdSevX64 (starts a kernel only if its hash is in the launch digest) and
IntelTdxX64 (measures it into the trust domain's registers).
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import wheels
from kernel import CLEAN, clean, same_tools
from kernel import TOOLS as COMPILER
from wheels import NotBuildable, run

TOOLS: Final = {
    **COMPILER,
    "nasm": "NASM version 2.16.01",
    "iasl": "ASL+ Optimizing Compiler/Disassembler version 20200925",
}
"""Debian 12's, as each says of itself: another version makes other bytes."""

PLACE: Final = "/usr/src"
"""Where the source lies while it is built, seen by the build alone: paths are written into modules."""

TOOLCHAIN: Final = "GCC"
RECIPE: Final = 1
"""Counted up where what is done with a source is another thing than before, so that nothing old is taken."""

_UMASK: Final = 0o022
_SAID: Final = 3
"""How many lines of a failed build are repeated."""

BUILD: Final = r"""
processors=$3 toolchain=$4
mount --bind "$1" "$2"
cd "$2"
make -s -j"$processors" -C BaseTools/Source/C
set +e --
. ./edksetup.sh
set -e
while read -r platform options; do
    # shellcheck disable=SC2086  # a list of words
    build -q -n "$processors" -a X64 -t "$toolchain" -b RELEASE -p "$platform" $options
done
"""
"""For bash, in a mount namespace of its own: folder, place, processors, toolchain; platforms on stdin.
edksetup.sh reads the words of its shell as its own, and fails where nothing is wrong."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A line of one of edk2's files that must be there once, and is taken away."""

    file: str
    line: str


@dataclass(frozen=True, slots=True)
class Platform:
    """One build: edk2's description, its options, what comes out, and its name in the image's folder."""

    description: str
    options: str
    made: str
    name: str


PLATFORMS: Final = (
    Platform(
        "OvmfPkg/AmdSev/AmdSevX64.dsc", "", f"Build/AmdSev/RELEASE_{TOOLCHAIN}/FV/OVMF.fd", "OVMF.snp.fd"
    ),
    Platform(
        "OvmfPkg/IntelTdx/IntelTdxX64.dsc",
        "-D BUILD_SHELL=FALSE",
        f"Build/IntelTdx/RELEASE_{TOOLCHAIN}/FV/OVMF.fd",
        "OVMF.tdx.fd",
    ),
)

LEFT_OUT: Final = (
    LeftOut(
        "OvmfPkg/AmdSev/AmdSevX64.dsc", "PREBUILD                       = sh OvmfPkg/AmdSev/Grub/grub.sh"
    ),
    LeftOut("OvmfPkg/AmdSev/AmdSevX64.dsc", "OvmfPkg/AmdSev/Grub/Grub.inf"),
    LeftOut("OvmfPkg/AmdSev/AmdSevX64.fdf", "INF  OvmfPkg/AmdSev/Grub/Grub.inf"),
)
"""A boot loader of the building machine's, for disks that an owner sealed: this guest starts from none."""


def built(sources: Sequence[Path], epoch: int, cache: Path, tools: Mapping[str, str] = TOOLS) -> Path:
    """A folder with the firmware of each of `PLATFORMS`, from edk2's archive and Debian's, in this order.

    *epoch* is the time that the build is told, seconds since 1970. From *cache* where its inputs are those of
    an earlier build. As root, for a namespace. NotBuildable says what is missing or failed.
    """

    def build(made: Path) -> None:
        same_tools(tools)
        with tempfile.TemporaryDirectory(dir=made.parent, prefix="edk2-") as name:
            umask = os.umask(_UMASK)
            try:
                tree = unpacked(sources, Path(name))
                leave_out(tree, LEFT_OUT)
                compiled(tree, PLATFORMS, epoch)
            finally:
                os.umask(umask)
            made.mkdir()
            for platform in PLATFORMS:
                shutil.copyfile(tree / platform.made, made / platform.name)

    return wheels.kept_part(cache / f"guest-firmware-{key(sources, epoch, tools)}", build)


def key(
    sources: Iterable[Path],
    epoch: int,
    tools: Mapping[str, str],
    platforms: tuple[Platform, ...] = PLATFORMS,
    left_out: tuple[LeftOut, ...] = LEFT_OUT,
) -> str:
    """The hash of all that is in a firmware's bytes."""
    inputs = (RECIPE, epoch, dict(tools), CLEAN, BUILD, platforms, left_out)
    total = hashlib.sha256(repr(inputs).encode())
    for path in sources:
        with path.open("rb") as content:
            total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()[:16]


def unpacked(sources: Sequence[Path], folder: Path) -> Path:
    """edk2 with Debian's patches in *folder*; NotBuildable where one does not fit."""
    tree = folder / "edk2"
    tree.mkdir()
    whole, debian = sources
    argv = ["tar", "--extract", "--no-same-owner", "-C", str(tree)]
    run([*argv, "--strip-components=1", "-f", str(whole)], {})
    run([*argv, "-f", str(debian)], {})
    for name in (tree / "debian/patches/series").read_text().splitlines():
        if name.strip() and not name.startswith("#"):
            patch = tree / "debian/patches" / name.strip()
            run(["patch", "--silent", "--forward", "--binary", "-p1", "-i", str(patch)], {}, tree)
    return tree


def leave_out(tree: Path, lines: Iterable[LeftOut]) -> None:
    """Take these lines away; NotBuildable where one is not there, or there twice."""
    for one in lines:
        path = tree / one.file
        kept = path.read_bytes().splitlines(keepends=True)
        found = [line for line in kept if line.strip() == one.line.encode()]
        if len(found) != 1:
            raise NotBuildable(f"{one.file} has the line {one.line!r} {len(found)} times, not once")
        kept.remove(found[0])
        path.write_bytes(b"".join(kept))


def compiled(tree: Path, platforms: Iterable[Platform], epoch: int) -> None:
    """edk2's own tools, then each platform, at `PLACE`, with as many processors as this process may use."""
    wanted = "".join(f"{one.description} {one.options}\n" for one in platforms)
    environment = [f"SOURCE_DATE_EPOCH={epoch}", "PYTHONHASHSEED=0", "PYTHON_COMMAND=/usr/bin/python3"]
    argv = ["unshare", "--mount", *clean(), *environment, "bash", "-e", "-c", BUILD, "bash", str(tree), PLACE]
    argv += [str(len(os.sched_getaffinity(0))), TOOLCHAIN]
    done = subprocess.run(  # noqa: S603 - edk2's own build
        argv, check=False, capture_output=True, text=True, input=wanted
    )
    if done.returncode:
        text = done.stdout + done.stderr
        lines = [line.strip() for line in text.splitlines() if "rror" in line] or [text[-200:]]
        raise NotBuildable(f"the firmware was not built: {'; '.join(lines[:_SAID])}")

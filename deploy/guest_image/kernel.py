# SPDX-License-Identifier: Apache-2.0
"""The guest's own kernel, from Debian's source package: its configuration, a patch, the build.

linux/config.txt says what it has and has not, linux/*.patch what is changed. Nothing of the building machine
is in its bytes but the version of the compiler, which is compared.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import wheels
from wheels import NotBuildable, run

LINUX = Path(__file__).resolve().parent / "linux"
TOOLS: Final = {
    "gcc": "gcc (Debian 12.2.0-14+deb12u1) 12.2.0",
    "ld": "GNU ld (GNU Binutils for Debian) 2.40",
}
"""Debian 12's, by the first line that `--version` prints: another compiler or linker makes other bytes."""

CLEAN: Final = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/",
    "LC_ALL": "C",
    "TZ": "UTC",
}
"""All that a build has of the environment. Tools of other folders (another compiler, Rust) have no part."""

BUILDER: Final = {
    "KBUILD_BUILD_TIMESTAMP": "Mon Nov 30 00:00:00 UTC 2026",
    "KBUILD_BUILD_USER": "trustedpods",
    "KBUILD_BUILD_HOST": "guest",
    "KBUILD_BUILD_VERSION": "1",
}
"""What a kernel says of when, by whom, where and how often it was built: always the same."""

RECIPE: Final = 1
"""Counted up where what is done with a source is another thing than before, so that nothing old is taken."""

IMAGE = "arch/x86/boot/bzImage"
_OPTION = re.compile(r"(-?)([A-Z0-9_]+)(?:=(\"[^\"]*\"|\d+))?")
_SET = re.compile(r"CONFIG_(\w+)=(.+)")
_KNOWN = re.compile(r"^\s*(?:menu)?config\s+(\w+)", re.MULTILINE)
_UMASK: Final = 0o022
_ASKED: Final = {"iasl": '"$0" -v 2>&1 | grep version || true'}
"""Tools that know no `--version`, and how they are asked."""

_SAID: Final = 3
"""How many lines of a failed build are repeated: the compiler's first error, not make's last word."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the kernel: built in (`y`), a number or text, or None where it is left out."""

    name: str
    value: str | None

    def line(self) -> str:
        """As Kconfig reads it."""
        if self.value is None:
            return f"# CONFIG_{self.name} is not set\n"
        return f"CONFIG_{self.name}={self.value}\n"


def options(text: str) -> tuple[Option, ...]:
    """What config.txt says, in its order; NotBuildable for a line that is no option, or there twice."""
    found: dict[str, Option] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith(("#", "[")):
            continue
        word = _OPTION.fullmatch(line)
        if not word or (word[1] and word[3]) or word[2] in found:
            raise NotBuildable(
                f"line {number} of the kernel's configuration is no option, or twice: {line!r}"
            )
        found[word[2]] = Option(word[2], None if word[1] else word[3] or "y")
    return tuple(found.values())


def differing(wanted: Iterable[Option], resolved: str) -> list[str]:
    """Which options did not come out as wanted in *resolved*, the text of a .config."""
    have = dict(_SET.findall(resolved))
    return [one.name for one in wanted if have.get(one.name) != one.value]


def unknown(wanted: Iterable[Option], tree: Path) -> list[str]:
    """Which options the kernel in *tree* does not have: what has another name there would stay in."""
    known: set[str] = set()
    for path in tree.rglob("Kconfig*"):
        known.update(_KNOWN.findall(path.read_text(errors="replace")))
    return [one.name for one in wanted if one.name not in known]


def built(source: Path, cache: Path, linux: Path = LINUX, tools: Mapping[str, str] = TOOLS) -> Path:
    """A folder with `vmlinuz` and `config`, from Debian's package *source* of the kernel's source.

    *linux* is the folder of config.txt and the patches. From *cache* where its inputs are those of an earlier
    build. NotBuildable says what is missing or failed.
    """
    wanted = options((linux / "config.txt").read_text())
    patches = sorted(linux.glob("*.patch"))

    def build(made: Path) -> None:
        same_tools(tools)
        with tempfile.TemporaryDirectory(dir=made.parent, prefix="linux-") as name:
            umask = os.umask(_UMASK)
            try:
                tree = unpacked(source, patches, Path(name))
                configure(tree, wanted)
                make(tree, "bzImage")
            finally:
                os.umask(umask)
            made.mkdir()
            shutil.copyfile(tree / IMAGE, made / "vmlinuz")
            shutil.copyfile(tree / ".config", made / "config")

    return wheels.kept_part(cache / f"guest-kernel-{key(source, wanted, patches, tools)}", build)


def key(source: Path, wanted: Iterable[Option], patches: list[Path], tools: Mapping[str, str]) -> str:
    """The hash of all that is in a kernel's bytes."""
    total = hashlib.sha256(f"{RECIPE}{dict(tools)}{CLEAN}{BUILDER}".encode())
    total.update("".join(sorted(one.line() for one in wanted)).encode())
    for path in (source, *patches):
        with path.open("rb") as content:
            total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()[:16]


def same_tools(tools: Mapping[str, str] = TOOLS) -> None:
    """NotBuildable where one of these is not there in the version that it says of itself."""
    for tool, version in tools.items():
        asked = _ASKED.get(tool, '"$0" --version 2>&1 | head -n 1')
        printed = run([*clean(), "sh", "-c", asked, tool], {}).strip()
        if printed != version:
            raise NotBuildable(f"{version} is needed, of Debian 12; here is {printed or 'none'}")


def clean() -> list[str]:
    """The beginning of a command that has nothing of this process's environment."""
    return ["env", "-i", *(f"{name}={value}" for name, value in CLEAN.items())]


def unpacked(source: Path, patches: Iterable[Path], folder: Path) -> Path:
    """The kernel's source in *folder*, with *patches*; NotBuildable where one does not fit to the letter."""
    run(["dpkg-deb", "--extract", str(source), str(folder / "package")], {})
    archives = sorted((folder / "package/usr/src").glob("linux-source-*.tar.xz"))
    if len(archives) != 1:
        raise NotBuildable(f"{source} has {len(archives)} archives of the kernel's source, not one")
    tree = folder / "linux"
    tree.mkdir()
    argv = ["tar", "--extract", "--no-same-owner", "--strip-components=1", "-C", str(tree)]
    run([*argv, "-f", str(archives[0])], {})
    shutil.rmtree(folder / "package")
    for patch in patches:
        run(["patch", "--silent", "--forward", "--fuzz=0", "-p1", "-i", str(patch)], {}, tree)
    return tree


def configure(tree: Path, wanted: Iterable[Option]) -> None:
    """The source's own defaults with what is wanted; NotBuildable names what did not come out so."""
    if names := unknown(wanted, tree):
        raise NotBuildable(f"this kernel knows no option {', '.join(names)}")
    given = tree.parent / "wanted"
    given.write_text("".join(one.line() for one in wanted))
    make(tree, "alldefconfig", f"KCONFIG_ALLCONFIG={given}")
    if wrong := differing(wanted, (tree / ".config").read_text()):
        raise NotBuildable(f"the kernel's configuration came out with another {', '.join(wrong)}")


def make(tree: Path, *words: str) -> None:
    """`make` in the kernel's source, with as many processors as this process may use."""
    fixed = [f"{name}={value}" for name, value in BUILDER.items()]
    argv = [*clean(), *fixed, "make", "-s", f"-j{len(os.sched_getaffinity(0))}", *words]
    done = subprocess.run(  # noqa: S603 - the kernel's own makefile
        argv, cwd=tree, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if "rror" in line] or [done.stderr[-200:]]
        raise NotBuildable(f"the kernel was not built: {'; '.join(lines[:_SAID])}")

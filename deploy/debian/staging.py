# SPDX-License-Identifier: Apache-2.0
"""The tree of the package: what lies where once it is installed. Nothing of the building machine gets in."""

import gzip
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wheels import NotBuildable

PROGRAM = "trustedpods-provider"
HOME = PurePosixPath("usr/lib/trusted-pods")
SITE = HOME / "lib/python3.11/site-packages"
PYTHON = "../../../bin/python3.11"
"""Debian 12's: compiled modules among the dependencies are for this version alone."""

DOC = PurePosixPath("usr/share/doc/trusted-pods-provider")
PAGES = ("operator.md", "isolation.md", "attestation.md", "metering.md", "money.md", "glossary.md")
"""Pages of docs/ that an operator without the internet wants; units name some of them."""

FOREIGN = {"docs", "examples", "interop", "newsfragments"}
"""Folders of other projects' development that some wheels carry by mistake, beside their packages."""

LAUNCHER = f"""\
#!/{HOME}/bin/python3 -IB
import sys

from trustedpods.provider.cli import main

sys.exit(main())
"""
VENV = "home = /usr/bin\ninclude-system-site-packages = false\n"

UNSHIPPED = ("trustedpods-watch",)
"""Units of publishers, not of a provider."""

SNIPPETS = {
    "sysusers.conf": "usr/lib/sysusers.d/trusted-pods-provider.conf",
    "tmpfiles.conf": "usr/lib/tmpfiles.d/trusted-pods-provider.conf",
    "sysctl.conf": "usr/lib/sysctl.d/10-trusted-pods-provider.conf",
    "apparmor": "etc/apparmor.d/trustedpods-provider",
    "lintian-overrides": "usr/share/lintian/overrides/trusted-pods-provider",
}
"""Files of deploy/debian/files, and where they go."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is built before: the wheels (dependencies and our own), and three programs in Go.

    Those are the policy agent, its CNI plugin, and what makes tunnels; `go_modules` are the licence texts of
    what is linked into them (go_modules.py). `epoch`: seconds since 1970, the time of every file.
    """

    wheels: tuple[Path, ...]
    agent: Path
    plugin: Path
    tunnel: Path
    go_modules: str
    epoch: int


def stage(root: Path, parts: Parts, tree: Path) -> None:
    """Everything but the control files, into the empty folder *tree*, from the checkout *root*."""
    for wheel in parts.wheels:
        unpack(wheel, tree / SITE)
    _environment(tree)
    for source, name in (
        (parts.agent, "bin/trustedpods-netpol"),
        (parts.plugin, "cni/trustedpods-netpol"),
        (parts.tunnel, "bin/trustedpods-tunnel"),
    ):
        put(tree / HOME / name, source.read_bytes(), 0o755)
    for unit in sorted((root / "deploy" / "systemd").glob("*.service")):
        if unit.stem not in UNSHIPPED:
            put(tree / "lib/systemd/system" / unit.name, unit.read_bytes())
    for name, target in SNIPPETS.items():
        put(tree / target, (root / "deploy" / "debian" / "files" / name).read_bytes())
    for name in PAGES:
        put(tree / DOC / name, (root / "docs" / name).read_bytes())
    put(tree / DOC / "go-modules.gz", compressed(parts.go_modules.encode()))
    put(tree / DOC / "role.yaml", (root / "deploy/kube/netpol/role.yaml").read_bytes())
    for page in sorted((root / "docs" / "man8").glob("*.8")):
        put(tree / "usr/share/man/man8" / f"{page.name}.gz", compressed(page.read_bytes()))


def unpack(wheel: Path, site: Path) -> None:
    """The modules of a wheel as they are in it. Its scripts and shared data are left out.

    NotBuildable where two wheels differ in a file, or one wants something else.
    """
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            if name.endswith("/") or _left_out(path):
                continue
            if path.is_absolute() or ".." in path.parts or path.parts[0].endswith(".data"):
                raise NotBuildable(f"{wheel.name} has {name}, which belongs nowhere")
            target, data = site / path, archive.read(name)
            if target.exists() and target.read_bytes() != data:
                raise NotBuildable(f"{wheel.name} has another {name} than a wheel before it")
            put(target, data)


def _left_out(path: PurePosixPath) -> bool:
    if path.parts[0] in FOREIGN:
        return True
    return len(path.parts) > 1 and path.parts[0].endswith(".data") and path.parts[1] in {"scripts", "data"}


def _environment(tree: Path) -> None:
    """A virtual environment by its three parts, and the command."""
    put(tree / HOME / "pyvenv.cfg", VENV.encode())
    launcher = tree / HOME / "bin" / PROGRAM
    put(launcher, LAUNCHER.encode(), 0o755)
    (launcher.parent / "python3").symlink_to(PYTHON)
    command = tree / "usr/bin" / PROGRAM
    command.parent.mkdir(parents=True)
    command.symlink_to(PurePosixPath("..") / HOME.relative_to("usr") / "bin" / PROGRAM)


def compressed(data: bytes) -> bytes:
    """As gzip has it without a name and a time."""
    return gzip.compress(data, 9, mtime=0)


def settle(tree: Path, epoch: int) -> None:
    """Folders of mode 0755, and one time for all: nothing tells when and where it was built."""
    for path in sorted(tree.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    tree.chmod(0o755)
    os.utime(tree, (epoch, epoch))


def put(path: Path, data: bytes, mode: int = 0o644) -> None:
    """A file of the tree, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)

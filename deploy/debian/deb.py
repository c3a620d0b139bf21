#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the provider's Debian package (`make deb`): build/deb/trusted-pods-provider_VERSION_amd64.deb.

The same commit makes the same bytes, in whatever folder: times are $SOURCE_DATE_EPOCH, or the commit's. The
dependencies are the files of the lock (wheels.py), the tree is staging.py's, what dpkg reads
is metadata.py's.
"""

import os
import shutil
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "setup")]

import go_modules  # noqa: E402
import metadata  # noqa: E402
import staging  # noqa: E402
import wheels  # noqa: E402

from trustedpods.localnet.cluster import binaries  # noqa: E402

COMPRESSION = ("-Zxz", "-z1", "--threads-max=1")
"""One thread: with several the bytes could depend on their number."""


def version_of(root: Path) -> str:
    """The project's version, which is the package's."""
    declared: str = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    return declared


def package(root: Path, parts: staging.Parts, out: Path, compression: Sequence[str] = COMPRESSION) -> Path:
    """The package of these parts in the folder *out*; the tree stays beside it, for whoever wants to look."""
    version, tree = version_of(root), out / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    staging.stage(root, parts, tree)
    metadata.documents(root, tree, version, parts.epoch)
    metadata.control_files(root, tree, version)
    staging.settle(tree, parts.epoch)
    for old in out.glob("*.deb"):
        old.unlink()
    made = out / f"trusted-pods-provider_{version}_amd64.deb"
    argv = ["dpkg-deb", "--root-owner-group", *compression, "--build", str(tree), str(made)]
    wheels.run(argv, {"SOURCE_DATE_EPOCH": str(parts.epoch)})
    return made


def parts_of(root: Path, out: Path) -> staging.Parts:
    """What is built or fetched before: the wheels, and the programs in Go that `make setup` built."""
    text = os.environ.get("SOURCE_DATE_EPOCH") or wheels.run(["git", "log", "-1", "--format=%ct"], {}, root)
    epoch = int(text)
    wanted = wheels.requirements((root / "deploy/setup/hashes.txt").read_text(), wheels.installed())
    dependencies = wheels.fetched(wanted, HERE / "files" / "build-tools.txt", binaries.cache())
    folder = out / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    own = wheels.own(root, folder, epoch)
    paths = (binaries.netpol(), binaries.netpol_cni(), binaries.tunnel())
    agent, plugin, tunnel = programs = [binaries.built(path) for path in paths]
    return staging.Parts((*dependencies, own), agent, plugin, tunnel, go_modules.texts_of(programs), epoch)


def main() -> int:
    """Exit code 2 where no package was made, and why."""
    root, out = Path.cwd(), Path("build/deb").resolve()
    out.mkdir(parents=True, exist_ok=True)
    try:
        made = package(root, parts_of(root, out), out)
    except (wheels.NotBuildable, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{made.relative_to(root)} ({made.stat().st_size / 1e6:.0f} MB)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the images of the localnet and of the examples as OCI archives, from no image registry.

    python deploy/images/build.py pause busybox hello web echo --out DIRECTORY

An archive that was made from the same inputs before is kept: beside NAME.tar lies NAME.inputs
with the hash of all that went into it. It needs Go (pause, echo, height, geth, drand, cometbft, backup-room),
busybox-static (busybox, hello, geth, drand, cometbft, backup-room, postgres, redis, mpc), mmdebstrap (web,
drand-tls, postgres, redis, mpc) and pip (mpc); the standard library is enough to run it. The first geth,
drand, cometbft and backup-room take minutes.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cometbft_node  # noqa: E402
import databases  # noqa: E402
import from_modules  # noqa: E402
import mpc_node  # noqa: E402
import oci  # noqa: E402
import recipes  # noqa: E402
import redis_server  # noqa: E402

RECIPES = (
    recipes.RECIPES
    | databases.RECIPES
    | redis_server.RECIPES
    | from_modules.RECIPES
    | cometbft_node.RECIPES
    | mpc_node.RECIPES
)


def default_out() -> Path:
    """`$TRUSTEDPODS_CACHE/images`, or the images folder in the user's cache."""
    cache = os.environ.get("TRUSTEDPODS_CACHE")
    if cache:
        return Path(cache) / "images"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trustedpods" / "images"


def build(name: str, out: Path) -> Path:
    """Make one image's archive, unless the one that is there came from the same inputs."""
    recipe = RECIPES[name]
    inputs = recipe.inputs()
    target, stamp = out / f"{name}.tar", out / f"{name}.inputs"
    if target.exists() and stamp.exists() and stamp.read_text() == inputs:
        _say(f"{name}: {target} is up to date")
        return target
    started = time.monotonic()
    data = oci.archive(recipe.make())
    stamp.unlink(missing_ok=True)
    _write(target, data)
    _write(stamp, inputs.encode())
    _say(f"{name}: {target}, {len(data) / 2**20:.1f} MiB, {time.monotonic() - started:.1f} s")
    return target


def _write(path: Path, data: bytes) -> None:
    """All or nothing, also when two builds run at once."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
        part.write(data)
    Path(part.name).chmod(0o644)
    Path(part.name).replace(path)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> int:
    """Exit code 0 when all named images are there, 1 with the reason otherwise."""
    parser = argparse.ArgumentParser(description="Builds example images as OCI archives.")
    parser.add_argument("names", nargs="+", choices=sorted(RECIPES), metavar="NAME")
    parser.add_argument("--out", type=Path, default=default_out())
    arguments = parser.parse_args()
    if platform.machine() != "x86_64":
        sys.stderr.write("images are built for amd64 only\n")
        return 1
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        for name in arguments.names:
            build(name, arguments.out)
    except recipes.CannotBuild as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

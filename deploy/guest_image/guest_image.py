#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the machine image that a sealed provider boots (`make guest`), or new pins (`make guest-pins`).

    guest_image.py [FOLDER]   kernel, initrd, root, command line, firmware in FOLDER (build/guest)
    guest_image.py --pins     pins.txt and edk2.txt anew, from packages.txt and what the registry has today

The same checkout makes the same bytes: in whatever folder, at whatever time, with whatever umask, locale
and number of processors. Exit code 2 where nothing was made, and why.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "debian"), str(HERE.parent / "setup")]

import image  # noqa: E402
import parts  # noqa: E402
import pins  # noqa: E402
import sources  # noqa: E402
import wheels  # noqa: E402
from wheels import NotBuildable  # noqa: E402

from trustedpods.localnet.cluster import binaries  # noqa: E402

ROOT = HERE.parents[1]


def write_pins() -> str:
    """pins.txt and edk2.txt anew; what to say of them."""
    found = pins.resolved(pins.wanted((HERE / "packages.txt").read_text()))
    archives = sources.resolved()
    (HERE / "edk2.txt").write_text(sources.written(archives))
    (HERE / "pins.txt").write_text(pins.written(found))
    return (
        f"deploy/guest_image/pins.txt has {len(found.packages)} packages, edk2.txt the firmware of"
        f" {archives[1].file}: another image, another measurement"
    )


def make(out: Path) -> str:
    """The image in the folder *out*, from the cache where this very one is there; what to say of it."""
    began, cache = time.monotonic(), binaries.cache()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trustedpods-guest-") as name:
        work = Path(name)
        found = parts.collected(ROOT, cache, work)
        kept = cache / f"guest-image-{found.key()}"

        def build(target: Path) -> None:
            target.mkdir()
            image.build(found, target, work)

        was_there = kept.exists()
        wheels.kept_part(kept, build)
    for file in kept.iterdir():
        shutil.copyfile(file, out / file.name)
    sizes = ", ".join(f"{file} {(out / file).stat().st_size / 1e6:.1f} MB" for file in image.FILES[:3])
    used = os.times()
    seconds = used.user + used.system + used.children_user + used.children_system
    how = "from the cache" if was_there else f"{seconds:.0f} s of processor time"
    return f"{out}: {sizes} ({how}, {time.monotonic() - began:.0f} s)"


def main(arguments: list[str]) -> int:
    """What the head of this file says."""
    if arguments != ["--pins"] and (len(arguments) > 1 or any(word.startswith("-") for word in arguments)):
        sys.stderr.write(f"error: {' '.join(arguments)!r} is neither one folder nor --pins\n")
        return 2
    try:
        if arguments == ["--pins"]:
            said = write_pins()
        else:
            said = make(Path(arguments[0] if arguments else "build/guest").resolve())
    except (NotBuildable, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(said + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The files of a chain of two owners: each of them runs this once, in a folder of his own.

    python chain.py acme [FOLDER]           # accounts of two signers, the first block, ring.yaml
    python chain.py bolt OWNER [FOLDER]     # ring.yaml, with the first block that came with Acme's invitation

FOLDER is where this file is, if none is given. OWNER is Acme's address. What is there already stays: a
chain's first block names its signers for ever. It needs the client's Python package and nothing else.
"""

import argparse
import hashlib
import os
import sys
from pathlib import Path

from trustedpods.publisher.verbs.drafts.clique import peers, signing_files

HERE = Path(__file__).resolve().parent
ACME = ("boot", "node")
"""Acme's nodes; here they are called so, at Bolt's `acme-boot` and `acme-node`."""

BOLT = ("node",)
GENESIS = "genesis.json"


def write(path: Path, text: str) -> None:
    """A new file of this user's; FileExistsError where there is one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def acme(folder: Path) -> None:
    """Acme's half: accounts and peers in `keys`, the first block beside it. FileExistsError as `write`."""
    (folder / "keys").mkdir(mode=0o700)
    files = signing_files(ACME, ACME)
    write(folder / GENESIS, files.pop(GENESIS))
    for name, text in files.items():
        write(folder / "keys" / name, text)
    _finish(folder, "acme", {node: peers(node, ACME) for node in ACME})


def bolt(folder: Path, owner: str) -> None:
    """Bolt's half. FileExistsError as `write`, FileNotFoundError where no first block came along."""
    (folder / GENESIS).stat()
    (folder / "keys").mkdir(mode=0o700)
    others = [f"acme-{node}" for node in ACME]
    _finish(folder, "bolt", {node: peers(node, [*others, *BOLT]) for node in BOLT}, owner)


def _finish(folder: Path, who: str, calls: dict[str, str], owner: str = "") -> None:
    for node, text in calls.items():
        write(folder / "keys" / f"peers-{node}.toml", text)
    pinned = hashlib.sha256((folder / GENESIS).read_bytes()).hexdigest()
    template = (HERE / f"{who}.template.yaml").read_text()
    write(folder / "ring.yaml", template.replace("GENESIS", pinned).replace("OWNER", owner))


def main() -> int:
    """Exit code 0 when the files are there, 1 where one is there already or is missing."""
    parser = argparse.ArgumentParser(description="Makes the files of a chain of two owners once.")
    halves = parser.add_subparsers(dest="who", required=True)
    halves.add_parser("acme").add_argument("folder", nargs="?", type=Path, default=HERE)
    guest = halves.add_parser("bolt")
    guest.add_argument("owner", metavar="OWNER")
    guest.add_argument("folder", nargs="?", type=Path, default=HERE)
    given = parser.parse_args()
    try:
        if given.who == "acme":
            acme(given.folder)
        else:
            bolt(given.folder, given.owner)
    except FileExistsError as error:
        sys.stderr.write(
            f"{error.filename} is there: a chain keeps its files; move them away for a new one\n"
        )
        return 1
    except FileNotFoundError as error:
        hint = "`trustedpods network join INVITATION --files FOLDER` writes the first block"
        sys.stderr.write(f"{error.filename} is missing: {hint}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

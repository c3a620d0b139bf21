#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The files of a chain of four validators at two owners: each of them runs this in a folder of his own.

    python validators.py keys bolt [FOLDER]     # Bolt, first: validators' keys; Acme gets validators.json
    python validators.py acme BOLTS [FOLDER]    # Acme: keys, the first block, ring.yaml; BOLTS is that file
    python validators.py bolt OWNER [FOLDER]    # Bolt: ring.yaml, once the first block came

FOLDER is where this file is, if none is given. OWNER is Acme's address. What is there already stays: a
chain's first block names its validators for ever, and a key that is used twice signs twice. It needs the
client's Python package and nothing else.
"""

import argparse
import hashlib
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from trustedpods.publisher.verbs.drafts.cometbft import genesis, peers, validator_key

HERE = Path(__file__).resolve().parent
VALIDATORS = ("one", "two")
"""Of each owner: here they are called so, at the other's `acme-one` and so on."""

NODES = {"acme": VALIDATORS, "bolt": (*VALIDATORS, "observer")}
CALLED = {"acme": VALIDATORS, "bolt": (*(f"acme-{node}" for node in VALIDATORS), *NODES["bolt"])}
GENESIS, PUBLIC = "genesis.json", "validators.json"


def write(path: Path, text: str) -> None:
    """A new file of this user's; FileExistsError where there is one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def keys(folder: Path, who: str) -> None:
    """What the owner's nodes sign with, and beside it what all may know. FileExistsError as `write`."""
    (folder / "keys").mkdir(mode=0o700)
    made = {node: validator_key() for node in NODES[who]}
    for node, key in made.items():
        write(folder / "keys" / f"validator-{node}", key.private)
    write(folder / PUBLIC, json.dumps({node: key.public for node, key in made.items()}, indent=1))


def acme(folder: Path, bolts: Path) -> None:
    """Acme's half, and the first block, which names two validators of each. FileExistsError as `write`."""
    theirs = json.loads(bolts.read_text())
    keys(folder, "acme")
    own = json.loads((folder / PUBLIC).read_text())
    named = {f"acme-{node}": own[node] for node in VALIDATORS}
    named |= {f"bolt-{node}": theirs[node] for node in VALIDATORS}
    write(folder / GENESIS, genesis(named, datetime.now(UTC)))
    _finish(folder, "acme")


def bolt(folder: Path, owner: str) -> None:
    """Bolt's half. FileExistsError as `write`, FileNotFoundError where first block or keys are missing."""
    for needed in (GENESIS, PUBLIC):
        (folder / needed).stat()
    _finish(folder, "bolt", owner)


def _finish(folder: Path, who: str, owner: str = "") -> None:
    for node in NODES[who]:
        write(folder / "keys" / f"peers-{node}", peers(node, CALLED[who]))
    pinned = hashlib.sha256((folder / GENESIS).read_bytes()).hexdigest()
    template = (HERE / f"{who}.template.yaml").read_text()
    write(folder / "ring.yaml", template.replace("GENESIS", pinned).replace("OWNER", owner))


def main() -> int:
    """Exit code 0 when the files are there, 1 where one is there already or is missing."""
    parser = argparse.ArgumentParser(description="Makes the files of a chain of two owners once.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    first = verbs.add_parser("keys")
    first.add_argument("given", choices=["bolt"])
    verbs.add_parser("acme").add_argument("given", metavar="BOLTS", type=Path)
    verbs.add_parser("bolt").add_argument("given", metavar="OWNER")
    for verb in verbs.choices.values():
        verb.add_argument("folder", nargs="?", type=Path, default=HERE)
    asked = parser.parse_args()
    try:
        if asked.verb == "keys":
            keys(asked.folder, asked.given)
        elif asked.verb == "acme":
            acme(asked.folder, asked.given)
        else:
            bolt(asked.folder, asked.given)
    except FileExistsError as error:
        sys.stderr.write(
            f"{error.filename} is there: a chain keeps its files; move them away for a new one\n"
        )
        return 1
    except FileNotFoundError as error:
        hint = (
            "`validators.py keys bolt`, then `trustedpods network join INVITATION --files FOLDER` make them"
        )
        sys.stderr.write(f"{error.filename} is missing: {hint}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the keys of a Clique chain once: what the three manifests beside it take from the folder `keys`.

    python manifests/examples/clique/keys.py [FOLDER] [--nodes 5]

In FOLDER (without one, where this file is) it makes `keys/`: a key by which each node is known and a
keystore with which it signs blocks, the bootnode's key, the first block, and the bootnode's place as nodes
are told it. Keys that are there stay: a chain's first block names its signers for ever. It needs the client's
Python package and nothing else. For nodes over several clusters: `trustedpods network init --kind clique`.
"""

import argparse
import os
import secrets
import sys
from pathlib import Path

from eth_keys.datatypes import PrivateKey

from trustedpods.publisher.verbs.drafts.clique import genesis, signer_account

BOOTNODE = "boot.bootnode.internal"
"""Service and pod of bootnode.yaml."""

BOOTNODE_PORT = 30301


def enode(boot_key: str, host: str, port: int) -> str:
    """Where a bootnode is asked for others: over UDP only (discport), known by its public key."""
    public = str(PrivateKey(bytes.fromhex(boot_key)).public_key.to_hex().removeprefix("0x"))
    return f"enode://{public}@{host}:0?discport={port}"


def make(nodes: int) -> dict[str, str]:
    """The files, by name. A pod makes one key of its own, and here one has all nodes: theirs are brought."""
    password, boot_key = secrets.token_hex(16), secrets.token_hex(32)
    own = [signer_account(password) for _ in range(nodes)]
    files = {"password": password, "genesis.json": genesis([one.signer for one in own])}
    files |= {"boot-key": boot_key, "bootnodes": enode(boot_key, BOOTNODE, BOOTNODE_PORT)}
    for index, one in enumerate(own):
        files[f"nodekey-{index}"] = secrets.token_hex(32)
        files[f"signer-{index}"] = one.signer
        files[f"account-{index}"] = one.account
    return files


def main() -> int:
    """Exit code 0 when the keys are made, 1 where there are some."""
    parser = argparse.ArgumentParser(description="Makes the keys of a Clique chain once.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--nodes", type=int, default=5)
    arguments = parser.parse_args()
    folder = arguments.folder / "keys"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        sys.stderr.write(f"{folder} is there: a chain keeps its keys; move the folder away for a new chain\n")
        return 1
    for name, text in make(arguments.nodes).items():
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

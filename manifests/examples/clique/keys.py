#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the keys of a Clique chain once: what the three manifests beside it take from the folder `keys`.

    python manifests/examples/clique/keys.py [FOLDER] [--nodes 5]

In FOLDER (without one, where this file is) it makes `keys/`: a key by which each node is known and a
keystore with which it signs blocks, the bootnode's key, the first block, and the bootnode's place as nodes
are told it. Keys that are there stay: a chain's first block names its signers for ever. It needs the client's
Python packages (eth-account, eth-keys) and nothing else.
"""

import argparse
import json
import os
import secrets
import sys
from pathlib import Path

from eth_account import Account
from eth_keys.datatypes import PrivateKey

CHAIN_ID = 4242
PERIOD_S = 2
"""Between two blocks."""

KEYSTORE_ROUNDS = 4096
"""Of scrypt, as geth's --lightkdf: the password lies beside the keystore, in the same secret."""

BOOTNODE = "boot.bootnode.internal"
"""Service and pod of bootnode.yaml."""

BOOTNODE_PORT = 30301
BALANCE = 10**24
FORKS = (
    "homestead",
    "eip150",
    "eip155",
    "eip158",
    "byzantium",
    "constantinople",
    "petersburg",
    "istanbul",
    "berlin",
    "london",
)
"""Rules of the chain that hold from its first block: all that Clique knows."""


def genesis(signers: list[str]) -> str:
    """The first block: who may sign (EIP-225: 32 bytes, signers in order, 65 bytes), and who has coins."""
    extra = "0x" + "00" * 32 + "".join(sorted(one[2:].lower() for one in signers)) + "00" * 65
    rules = {f"{fork}Block": 0 for fork in FORKS}
    return json.dumps(
        {
            "config": {"chainId": CHAIN_ID, **rules, "clique": {"period": PERIOD_S, "epoch": 30_000}},
            "difficulty": "0x1",
            "gasLimit": hex(30_000_000),
            "extradata": extra,
            "alloc": {one: {"balance": hex(BALANCE)} for one in signers},
        },
        indent=1,
    )


def enode(key: str, host: str, port: int) -> str:
    """Where a bootnode is asked for others: over UDP only (discport), known by its public key."""
    public = PrivateKey(bytes.fromhex(key)).public_key.to_hex().removeprefix("0x")
    return f"enode://{public}@{host}:0?discport={port}"


def make(nodes: int) -> dict[str, str]:
    """The files, by name."""
    password, boot = secrets.token_hex(16), secrets.token_hex(32)
    files = {"password": password, "boot-key": boot, "bootnodes": enode(boot, BOOTNODE, BOOTNODE_PORT)}
    signers = []
    for index in range(nodes):
        account = Account.create()
        signers.append(account.address)
        files[f"nodekey-{index}"] = secrets.token_hex(32)
        files[f"signer-{index}"] = account.address
        files[f"account-{index}"] = json.dumps(account.encrypt(password, iterations=KEYSTORE_ROUNDS))
    return files | {"genesis.json": genesis(signers)}


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

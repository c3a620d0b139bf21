#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three signing nodes of two instances each: their manifests and passwords, and the key they make together.

    python manifests/examples/signers/signers.py files    # once: db-N.yaml, signer-N.yaml and keys/
    python manifests/examples/signers/signers.py key      # once they run: six shares, of which four sign

Both work in the folder of this file, or in the one named. The standard library is enough.
"""

import argparse
import os
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NODES = (1, 2, 3)
INSTANCES = (0, 1)
THRESHOLD = 4
"""Of six: two whole nodes, or three that lost an instance each but one."""

SCHEME = "bls-unchained-g1-rfc9380"
PERIOD = "3s"
GENESIS_DELAY = "10s"
"""From the proposal to the first round. Who has the key only later makes up for the rounds between."""

PROPOSAL = "/data/proposal.toml"
"""At the first instance."""

ALL = [(node, instance) for node in NODES for instance in INSTANCES]


def write(path: Path, text: str) -> None:
    """A new file of this user's; FileExistsError where there is one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def files(folder: Path) -> None:
    """Manifests, and secrets of each node; FileExistsError where they are there: passwords stay."""
    (folder / "keys").mkdir(mode=0o700)
    for node in NODES:
        password = secrets.token_hex(16)
        dsn = f"postgres://postgres:{password}@sql.db-{node}.internal:5432/postgres?sslmode=disable&connect_timeout=5"
        config = {"db": "postgres", "pg_dsn": dsn, "scheme": SCHEME}
        write(folder / "keys" / f"password-{node}", password)
        write(folder / "keys" / f"dsn-{node}", dsn)
        lines = [f'{name} = "{value}"\n' for name, value in config.items()]
        write(folder / "keys" / f"config-{node}.toml", "".join(lines))
        for kind, name in (("database", "db"), ("signer", "signer")):
            template = (folder / f"{kind}.template.yaml").read_text()
            (folder / f"{name}-{node}.yaml").write_text(template.replace("NODE", str(node)))


def address(node: int, instance: int) -> str:
    """Where the other instances find this one, whichever address its replica has."""
    return f"pod-{instance}.signer-{node}.internal:8000"


def dkg(node: int, instance: int, *words: str) -> None:
    """Run one step at an instance; SystemExit with its words where it fails."""
    step = ["drand", "dkg", words[0], "--id", "default", *words[1:]]
    command = [
        "trustedpods",
        "exec",
        f"signer-{node}",
        "--replica",
        f"pod-{instance}",
        "-c",
        "drand",
        "--",
        *step,
    ]
    done = subprocess.run(  # noqa: S603  (fixed words of this file)
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{words[0]} at signer-{node}, pod-{instance}: {done.stdout}{done.stderr}")


def key() -> None:
    """The first instance proposes, all others join, and the first begins: nobody ever has the whole key."""
    joiners = [word for one in ALL for word in ("--joiner", address(*one))]
    dkg(*ALL[0], "generate-proposal", *joiners, "--out", PROPOSAL)
    times = ["--period", PERIOD, "--catchup-period", "1s", "--genesis-delay", GENESIS_DELAY]
    proposal = ["--proposal", PROPOSAL, "--threshold", str(THRESHOLD), "--scheme", SCHEME]
    dkg(*ALL[0], "init", *proposal, *times)
    with ThreadPoolExecutor(len(ALL)) as pool:
        list(pool.map(lambda one: dkg(*one, "join"), ALL[1:]))
    dkg(*ALL[0], "execute")


def main() -> int:
    """Exit code 0 when it is done, 1 with the reason otherwise."""
    parser = argparse.ArgumentParser(description="Three signing nodes of two instances each.")
    parser.add_argument("verb", choices=["files", "key"])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    arguments = parser.parse_args()
    if arguments.verb == "key":
        key()
        return 0
    try:
        files(arguments.folder)
    except FileExistsError as there:
        sys.stderr.write(f"{there.filename} is there: nodes keep their passwords\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

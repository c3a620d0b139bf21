#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A signing node of two instances for each of three owners, and a client that has the three sign.

    python mpc.py files WHO FOUNDER [FOLDER]    # each owner, once: mpc.yaml, and keys/ with two passwords
    python mpc.py key NAME NODE NODE NODE       # a key that no node has whole; prints the public half
    python mpc.py sign NAME TEXT NODE NODE NODE    # an Ed25519 signature, the same from all three

WHO is acme, bolt or cato, the name by which the others call an owner (`--as WHO`); FOUNDER is his address:
the names of his pods come of it, and his node calls its database by that. A NODE is URL=FILE: its `sdk`, as
its owner's `network endpoints mpc` has it, and a file with the key for clients that he made (keys/api-key).
The client's Python package is needed.
"""

import argparse
import json
import os
import re
import secrets
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.networks.plan import pod_name

HERE = Path(__file__).resolve().parent
NETWORK = "mpc"
OWNERS = ("acme", "bolt", "cato")
"""In the order of their nodes' numbers, which are the parties' of the protocol."""

ANSWER_S = 90
"""Opening a session starts a process at each node, and takes up to a minute on a small part of a core."""


class NodeSaysNo(Exception):
    """A node's own error."""


def address(text: str) -> str:
    """An account's address; ArgumentTypeError where it is none."""
    if re.fullmatch(r"0x[0-9a-fA-F]{40}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no address: 0x and 40 hex digits")
    return text


def node(text: str) -> tuple[str, str]:
    """URL and key of `URL=FILE`; ArgumentTypeError where it is something else."""
    url, _, file = text.rpartition("=")
    try:
        return url.rstrip("/"), Path(file).read_text().strip()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not URL=FILE: {error}") from error


def files(who: str, founder: str, folder: Path) -> None:
    """The owner's file, his database's password and his key for clients.

    FileExistsError where keys/ is there: a node keeps its passwords.
    """
    (folder / "keys").mkdir(mode=0o700)
    for name in ("password", "api-key"):
        path = folder / "keys" / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(16))
    numbers = {owner: number for number, owner in enumerate(OWNERS, 1)}
    others = [
        f"{number}={owner}-node.{NETWORK}.internal:9000" for owner, number in numbers.items() if owner != who
    ]
    words = {
        "FOUNDER": founder,
        "WHO": who,
        "NUMBER": str(numbers[who]),
        "OTHERS": ",".join(others),
        "POD-OF-DB": pod_name(NetworkName(Address(founder), NETWORK), "db"),
    }
    text = (HERE / "mpc.template.yaml").read_text()
    for word, value in words.items():
        text = text.replace(word, value)
    if folder != HERE:
        (folder / "peers.pem").write_text((HERE / "peers.pem").read_text())
    (folder / f"{NETWORK}.yaml").write_text(text)


class SigningSession:
    """One session at all three nodes; it ends with its `with`."""

    def __init__(self, nodes: list[tuple[str, str]]) -> None:
        self._nodes, self.name = nodes, secrets.token_hex(16)

    def __enter__(self) -> "SigningSession":
        """Open it at all three."""
        self.ask("open")
        return self

    def __exit__(self, *error: object) -> None:
        """Close it, unless it ended with an error."""
        if error[0] is None:
            self.ask("close")

    def ask(self, what: str, **words: str) -> dict[str, str]:
        """The same of all nodes at once, for they do it together; NodeSaysNo with what one of them says."""
        with ThreadPoolExecutor(len(self._nodes)) as pool:
            said = list(pool.map(lambda one: self._one(f"{one[0]}/{what}", one[1], words), self._nodes))
        for word in ("public", "signature"):
            if len({one.get(word) for one in said}) != 1:
                raise NodeSaysNo(f"the nodes do not say the same {word}: {[one.get(word) for one in said]}")
        return said[0]

    def _one(self, url: str, key: str, words: dict[str, str]) -> dict[str, str]:
        headers = {"Session": self.name, "Authorization": f"Bearer {key}"}
        request = urllib.request.Request(url, json.dumps(words).encode(), headers)  # noqa: S310  (the user's)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise NodeSaysNo(f"{url}: {error.read().decode(errors='replace')}") from error
        except OSError as error:
            raise NodeSaysNo(f"{url}: {error}") from error


def main() -> int:
    """Exit code 0 when it is done, 1 with the reason otherwise."""
    parser = argparse.ArgumentParser(description="Three owners' signing nodes of two instances each.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    step = verbs.add_parser("files")
    step.add_argument("who", choices=OWNERS)
    step.add_argument("founder", type=address)
    step.add_argument("folder", nargs="?", type=Path, default=HERE)
    for verb in ("key", "sign"):
        step = verbs.add_parser(verb)
        step.add_argument("name")
        if verb == "sign":
            step.add_argument("text")
        step.add_argument("nodes", nargs=3, metavar="NODE", type=node)
    given = parser.parse_args()
    try:
        if given.verb == "files":
            files(given.who, given.founder, given.folder)
            return 0
        with SigningSession(given.nodes) as session:
            if given.verb == "key":
                told = session.ask("key", key=given.name)["public"]
            else:
                told = session.ask("sign", key=given.name, message=given.text.encode().hex())["signature"]
        sys.stdout.write(told + "\n")
    except FileExistsError as there:
        sys.stderr.write(f"{there.filename} is there: a node keeps its passwords\n")
        return 1
    except NodeSaysNo as no:
        sys.stderr.write(f"{no}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

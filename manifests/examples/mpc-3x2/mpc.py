#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three signing nodes of two instances each: their passwords, and a client that has them sign.

    python mpc.py files FOUNDER [FOLDER]          # once: mpc.yaml, and keys/ with passwords
    python mpc.py key NAME URL URL URL            # a key that no node has whole; prints the public half
    python mpc.py sign NAME TEXT URL URL URL      # an Ed25519 signature, the same from all three

FOUNDER is the address of who founds the network: the names of its pods come of it, and nodes call their
databases by those.
URLs are the nodes' `sdk`, as `network endpoints mpc` has them. The client's Python package is needed.
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
NODES = (1, 2, 3)
ANSWER_S = 90
"""Opening a session starts a process at each node, and takes up to a minute on a small part of a core."""


class NodeSaysNo(Exception):
    """A node's own error."""


def address(text: str) -> str:
    """An account's address; ArgumentTypeError where it is none."""
    if re.fullmatch(r"0x[0-9a-fA-F]{40}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no address: 0x and 40 hex digits")
    return text


def files(folder: Path, founder: str) -> None:
    """The network's file, passwords of databases and the clients' key.

    FileExistsError where keys/ is there: nodes keep their passwords.
    """
    (folder / "keys").mkdir(mode=0o700)
    text = (HERE / "mpc.template.yaml").read_text().replace("FOUNDER", founder)
    for node in NODES:
        text = text.replace(f"POD-{node}", pod_name(NetworkName(Address(founder), "mpc"), f"db-{node}"))
    (folder / "mpc.yaml").write_text(text)
    for name in (*(f"password-{node}" for node in NODES), "api-key"):
        path = folder / "keys" / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(16))


class Session:
    """One session at all three nodes; it ends with its `with`."""

    def __init__(self, urls: list[str], key: str) -> None:
        self._urls, self._key, self.name = urls, key, secrets.token_hex(16)

    def __enter__(self) -> "Session":
        """Open it at all three."""
        self.ask("open")
        return self

    def __exit__(self, *error: object) -> None:
        """Close it, unless it ended with an error."""
        if error[0] is None:
            self.ask("close")

    def ask(self, what: str, **words: str) -> dict[str, str]:
        """The same of all nodes at once, for they do it together; NodeSaysNo with what one of them says."""
        with ThreadPoolExecutor(len(self._urls)) as pool:
            said = list(pool.map(lambda url: self._one(f"{url.rstrip('/')}/{what}", words), self._urls))
        for word in ("public", "signature"):
            if len({one.get(word) for one in said}) != 1:
                raise NodeSaysNo(f"the nodes do not say the same {word}: {[one.get(word) for one in said]}")
        return said[0]

    def _one(self, url: str, words: dict[str, str]) -> dict[str, str]:
        headers = {"Session": self.name, "Authorization": f"Bearer {self._key}"}
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
    parser = argparse.ArgumentParser(description="Three signing nodes of two instances each.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    step = verbs.add_parser("files")
    step.add_argument("founder", type=address)
    step.add_argument("folder", nargs="?", type=Path, default=HERE)
    for verb in ("key", "sign"):
        step = verbs.add_parser(verb)
        step.add_argument("name")
        if verb == "sign":
            step.add_argument("text")
        step.add_argument("urls", nargs=3, metavar="URL")
    given = parser.parse_args()
    try:
        if given.verb == "files":
            files(given.folder, given.founder)
            return 0
        with Session(given.urls, (HERE / "keys" / "api-key").read_text()) as session:
            if given.verb == "key":
                told = session.ask("key", key=given.name)["public"]
            else:
                told = session.ask("sign", key=given.name, message=given.text.encode().hex())["signature"]
        sys.stdout.write(told + "\n")
    except FileExistsError as there:
        sys.stderr.write(f"{there.filename} is there: nodes keep their passwords\n")
        return 1
    except NodeSaysNo as no:
        sys.stderr.write(f"{no}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three signing nodes of two instances each: their passwords, and a client that has them sign.

    python mpc.py files                           # once: keys/ with passwords and the clients' key
    python mpc.py key NAME URL URL URL            # a key that no node has whole; prints the public half
    python mpc.py sign NAME TEXT URL URL URL      # an Ed25519 signature, the same from all three

URLs are the nodes' `sdk`, as `trustedpods network endpoints mpc` has them. The standard library is enough.
"""

import argparse
import json
import os
import secrets
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODES = (1, 2, 3)
ANSWER_S = 90
"""Opening a session starts a process at each node, and takes up to a minute on a small part of a core."""


class NodeSaysNo(Exception):
    """A node's own error."""


def files(folder: Path) -> None:
    """Passwords of databases and the clients' key; FileExistsError where they are there: nodes keep them."""
    (folder / "keys").mkdir(mode=0o700)
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
    verbs.add_parser("files").add_argument("folder", nargs="?", type=Path, default=HERE)
    for verb in ("key", "sign"):
        step = verbs.add_parser(verb)
        step.add_argument("name")
        if verb == "sign":
            step.add_argument("text")
        step.add_argument("urls", nargs=3, metavar="URL")
    given = parser.parse_args()
    try:
        if given.verb == "files":
            files(given.folder)
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

# SPDX-License-Identifier: Apache-2.0
"""Somebody who is root of a machine and sets a provider up on it, as docs/operator.md says, word for word."""

import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.debian.machine import Machine, RunningMachine
from tests.live.admin.test_setup import sign_and_send
from tests.live.localnet_fixture import LiveLocalnet
from tests.paths import ROOT
from trustedpods.localnet.market import accounts
from trustedpods.protocol.errors import ExitCode

DOMAIN = "k1.example.test"
"""No name server knows it."""

SETTINGS = Path("etc/trustedpods")
ROOTS_KUBECONFIG = Path("etc/rancher/k3s/k3s.yaml")
"""As k3s writes it: of an administrator, and nobody but root reads it."""

BOOKS = Path("var/lib/trustedpods/store.db")
FIRST, LATER = Path("opt/first"), Path("opt/later")
MOST_COMMANDS = 6
OF_A_NEW_PROVIDER = 4
"""Transactions: the row, twice the operator's key, and coin for it."""

COMMANDS = re.search(
    r"(?s)Five commands, as root:\n\n```sh\n(.*?)```", (ROOT / "docs/operator.md").read_text()
)


def documented() -> list[str]:
    """What the page tells to type, without its remarks."""
    assert COMMANDS is not None
    return [line.partition("   ")[0].strip() for line in COMMANDS[1].splitlines()]


@dataclass(frozen=True)
class Operator:
    """Root of the machine, who counts what they type; the owner's wallet is elsewhere."""

    node: LiveLocalnet
    machine: RunningMachine
    root: Path
    typed: list[str]

    def type(self, command: str, code: int = 0) -> str:
        self.typed.append(command)
        ended = self.machine.run(command)
        assert ended.returncode == code, f"{command}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def ask(self, command: str) -> Any:
        """An answer of the daemon's."""
        return json.loads(self.machine.done(f"trustedpods-provider {command} -o json"))

    def install(self, folder: Path = FIRST) -> None:
        """The package that lies in *folder*."""
        self.type(f"cd /{folder} && {documented()[0]}")

    def enter_the_market(self) -> None:
        """All that the page has behind the install; there is no terminal, so a file answers."""
        free_ports, setup, start, finish = documented()[1:]
        self.type(free_ports)
        self.type(f"{setup} --yes --answers /{SETTINGS}/answers.toml", ExitCode.NO_CONTEXT)
        self.type(start)
        self.finish(finish)

    def finish(self, command: str) -> None:
        """The last one prints what is to be signed, waits for it, and ends in `doctor`."""
        owner = accounts.read_key(accounts.owner_key(self.node.cluster()))
        self.typed.append(command)
        with self.machine.start(command) as process:
            try:
                assert process.stdout is not None
                printed = []
                for line in process.stdout:
                    if line.startswith("waiting for the owner's wallet") and not is_waiting(printed):
                        transactions = list(to_sign(printed))
                        assert len(transactions) == OF_A_NEW_PROVIDER, "".join(printed)
                        for one in transactions:
                            sign_and_send(self.node.settings.rpc, owner, one)
                    printed.append(line)
                process.wait()
            finally:
                process.kill()
        told = "".join(printed)
        assert process.returncode == ExitCode.NO_CONTEXT, told  # for the names, below
        red = {one["part"]: one["text"] for one in self.ask_doctor() if one["state"] != "ok"}
        assert red.keys() == {"names"}, red

    def ask_doctor(self) -> list[dict[str, str]]:
        """What it finds."""
        found: list[dict[str, str]] = json.loads(
            self.machine.run("trustedpods-provider doctor -o json").stdout
        )
        return found

    def serves(self) -> bool:
        return self.machine.run("trustedpods-provider pods -o json").returncode == 0

    def schema(self) -> str:
        return schema(self.root / BOOKS)


def schema(books: Path) -> str:
    with closing(sqlite3.connect(books)) as opened:
        (found,) = opened.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(found)


def is_waiting(printed: list[str]) -> bool:
    """Whether it was said before."""
    return any(line.startswith("waiting for the owner's wallet") for line in printed)


TO_SIGN = re.compile(
    r"to sign: .*\n  chain (\d+), to (0x[0-9a-fA-F]{40}), value (\d+) wei\n(?:  data (0x[0-9a-f]*)\n)?"
)


def to_sign(printed: list[str]) -> Iterator[dict[str, Any]]:
    """What a person reads and copies into a wallet."""
    for chain, to, value, data in TO_SIGN.findall("".join(printed)):
        yield {"chainId": int(chain), "to": to, "value": hex(int(value)), "data": data or "0x"}


ANSWERS = """\
domain = "{domain}"
market = "/{settings}/market.toml"
rpc = "{rpc}"
owner = "{owner}"
core_hour = "1"
gib_hour = "1"
trust = "open"
public_address = "{address}"
"""


def prepared(node: LiveLocalnet, folder: Path, *packages: Path) -> Machine:
    """A machine with the first package, and perhaps a later one, and what an operator is asked for."""
    machine, cluster = Machine(folder), node.cluster()
    for place, package in zip((FIRST, LATER), packages, strict=False):
        (machine.root / place).mkdir()
        shutil.copy(package, machine.root / place)
    settings = machine.root / SETTINGS
    settings.mkdir()
    shutil.copy(node.market_file, settings / "market.toml")
    roots = machine.root / ROOTS_KUBECONFIG
    roots.parent.mkdir(parents=True)
    shutil.copy(cluster.path("pki", "admin.conf"), roots)
    roots.chmod(0o600)
    owner = accounts.address(accounts.owner_key(cluster))
    text = ANSWERS.format(
        domain=DOMAIN, settings=SETTINGS, rpc=node.settings.rpc, owner=owner, address=cluster.node_ip
    )
    (settings / "answers.toml").write_text(text)
    return machine


def say(operator: Operator, text: str) -> None:
    """What was typed, and what there is to tell."""
    lines = "".join(f"  {number}. {line}\n" for number, line in enumerate(operator.typed, 1))
    sys.stderr.write(f"{lines}{len(operator.typed)} commands, {text}\n")

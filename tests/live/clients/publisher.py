# SPDX-License-Identifier: Apache-2.0
"""A person with a key, an empty home and a folder of manifests, who runs `trustedpods`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.live.localnet_fixture import LiveLocalnet
from tests.paths import EXAMPLES
from tests.publisher.output.answers.held import hold
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.market import accounts
from trustedpods.protocol.ids import Address

Json = dict[str, Any]

COMMANDS = Path(sys.executable).parent
LIMIT_S = 300


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Json:
        found: Json = json.loads(self.out)
        return found


@dataclass(frozen=True)
class Deployed:
    """A pod that a `deploy` brought up, from what it printed."""

    name: str
    file: Path
    result: Json

    @property
    def namespace(self) -> str:
        return str(self.result["namespace"])

    @property
    def channel(self) -> str:
        return str(self.result["channel"])

    @property
    def url(self) -> str:
        return str(self.result["endpoints"][0]["url"])

    @property
    def deposit(self) -> str:
        """In whole tokens, as the command says it."""
        return str(next(step["deposit"] for step in self.result["steps"] if step["name"] == "channel"))


class Publisher:
    """Runs the command with nothing but a market file, a key and a folder of its own."""

    def __init__(self, market: LiveLocalnet, key: Path, folder: Path) -> None:
        self.market = market
        self.key = key
        self.folder = folder
        self._home = folder / "home"
        self._home.mkdir()
        self._deployed: set[str] = set()

    @property
    def address(self) -> Address:
        return accounts.address(self.key)

    def manifest(self, example: str, name: str, change: Callable[[Json], None] = lambda spec: None) -> Path:
        """A file beside its image: an example under another name, its `spec` changed."""
        tree = yaml.safe_load((EXAMPLES / f"{example}.yaml").read_text())
        tree["metadata"]["name"] = name
        change(tree["spec"])
        for source in (binaries.image(example), EXAMPLES / "htpasswd", EXAMPLES / "database-password"):
            if not (self.folder / source.name).exists():
                shutil.copy(source, self.folder)
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml.safe_dump(tree))
        return file

    def environment(self, home: Path | None = None) -> dict[str, str]:
        """Of a command of this person's: their market, key and home, and nothing else."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(home or self._home),
            "TRUSTEDPODS_MARKET": str(self.market.market_file),
            "TRUSTEDPODS_KEY": str(self.key),
            "TRUSTEDPODS_DEBUG": "1",
        }

    def start(self, *words: str, home: Path | None = None) -> "subprocess.Popen[str]":
        """The command as a process, with its output to be read."""
        argv = [str(COMMANDS / "trustedpods"), *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            argv, env=self.environment(home), cwd=self.folder, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, *words: str, code: int = 0, home: Path | None = None) -> Said:
        """The command with `-o json`; it must end with *code*."""
        return finish(self.start(*words, "-o", "json", home=home), code)

    def deploy(self, file: Path, *words: str, home: Path | None = None) -> Deployed:
        """A deploy that must succeed. The pod is deleted when the tests are over."""
        result = self.run("deploy", file.name, *words, home=home).json
        self._deployed.add(result["pod"])
        return Deployed(result["pod"], file, result)

    def gone(self, name: str) -> None:
        """The pod ended by itself: nothing is to be deleted."""
        self._deployed.remove(name)

    def close(self) -> None:
        """Delete all pods side by side; fails if one cannot be deleted."""
        leaving, self._deployed = self._deployed, set()
        for process in [self.start("delete", name, "--purge") for name in leaving]:
            finish(process, 0)


def finish(process: "subprocess.Popen[str]", code: int) -> Said:
    """Wait for a command, which must end with *code*."""
    with process:
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    said = Said(process.returncode, out, err)
    assert said.code == code, f"{process.args!r}: exit {said.code}, not {code}\n{said.out}\n{said.err}"
    program, *words = map(str, process.args)
    if (
        Path(program).name == "trustedpods"
    ):  # an operator's verbs have no schemas, and some have the same names
        hold(words, out)
    return said


def provider(market: LiveLocalnet, *words: str) -> Json:
    """The operator's command, with `-o json`."""
    config = market.cluster().path("provider.toml")
    argv = [str(COMMANDS / "trustedpods-provider"), *words, "-c", str(config), "-o", "json"]
    pipe = subprocess.PIPE
    return finish(subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True), 0).json

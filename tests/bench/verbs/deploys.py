# SPDX-License-Identifier: Apache-2.0
"""A deploy of a 1 MB image, from the shell to the first 200, beside another commit's.

    python -m tests.bench.verbs.deploys [--runs 10] [--beside FOLDER] [--steps]

FOLDER is a checkout of another commit with its own .venv. Each side's localnet is brought up by its own
command, both stand side by side, and deploys go to them in turn; each pair begins at another moment between
two blocks, and one client fetches the pages. What is judged is the ratio of the medians of one run. `--steps`
prints the medians of our own steps: when each began, and its length.
"""

import argparse
import http.client
import json
import os
import secrets
import shlex
import shutil
import statistics
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.bench.market import IMAGES
from tests.paths import EXAMPLES, ROOT

UP_LIMIT_S = 400
DEPLOY_LIMIT_S = 120
OK = 200

BLOCK_S = 1.0
"""Of a localnet."""

LOOK_S = 0.01

STATES = Path("/var/lib")
"""Paths of sockets have 108 bytes at most: a short one."""


@dataclass
class Side:
    """One commit with its localnet, and what its deploys took."""

    checkout: Path
    settings: Mapping[str, str]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    steps: list[list[dict[str, Any]]] = field(default_factory=list)

    def wait_for_block(self, behind_s: float) -> None:
        """Until so many seconds behind a new block: a deploy's wait for the next one is nobody's luck."""
        before = self._block()
        while self._block() == before:
            time.sleep(LOOK_S)
        time.sleep(behind_s)

    def _block(self) -> str:
        node = tomllib.loads(Path(self.settings["TRUSTEDPODS_MARKET"]).read_text())["rpc"]
        asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
        return str(httpx.post(node, json=asked, trust_env=False).json()["result"])

    def deploy(self, manifest: Path, name: str) -> None:
        """Deploy, fetch the page, and delete the pod once both are timed."""
        command = [str(self.checkout / ".venv/bin/trustedpods")]
        words = ["deploy", str(manifest), "--name", name, "--deposit", "1h", "-o", "json"]
        with tempfile.TemporaryFile() as out:
            began = time.monotonic()
            process = subprocess.Popen(
                command + words, env=self.settings, stdout=out, stderr=subprocess.DEVNULL
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0, f"{self.checkout}: exit code {process.returncode}"
            out.seek(0)
            result = json.load(out)
            assert page(result["endpoints"][0]["url"]) == OK
            self.seconds.append(time.monotonic() - began)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.steps.append(result["steps"])
        words = [*command, "delete", name, "--yes"]
        subprocess.run(words, env=self.settings, capture_output=True, check=False, timeout=DEPLOY_LIMIT_S)


def page(url: str) -> int:
    """The status of the page at *url*, of a facade on this machine."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=DEPLOY_LIMIT_S)
    connection.request("GET", "/", headers={"Host": parts.netloc})
    answer = connection.getresponse()
    answer.read()
    return answer.status


@contextmanager
def side(checkout: Path, home: Path) -> Iterator[Side]:
    """*checkout* with a localnet of its own, which goes away afterwards.

    Its state lies apart from other localnets: an older commit cannot read what newer ones write there.
    """
    name = f"b-{secrets.token_hex(3)}"
    command = [str(checkout / ".venv/bin/trustedpods-localnet")]
    state = tempfile.mkdtemp(prefix="b-", dir=STATES)
    settings = {**os.environ, "TRUSTEDPODS_LOCALNET_HOME": state}
    try:
        up = [*command, "up", "--name", name]
        subprocess.run(up, env=settings, check=True, stdout=subprocess.DEVNULL, timeout=UP_LIMIT_S)
        ask = [*command, "env", "--name", name]
        said = subprocess.run(ask, env=settings, check=True, capture_output=True, text=True).stdout
        told = dict(shlex.split(line)[1].split("=", 1) for line in said.splitlines())
        home.mkdir()
        yield Side(checkout, {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **told, "HOME": str(home)})
    finally:
        down = [*command, "down", "--name", name]
        subprocess.run(down, env=settings, capture_output=True, check=False, timeout=UP_LIMIT_S)
        shutil.rmtree(state, ignore_errors=True)


def steps_of(side: Side) -> Iterator[str]:
    """Medians of when each step began and of its length, in the order in which they begin."""
    began: dict[str, list[float]] = {}
    took: dict[str, list[float]] = {}
    for run in side.steps:
        for step in run:
            began.setdefault(step["name"], []).append(step["began"])
            took.setdefault(step["name"], []).append(step["seconds"])
    for name in sorted(began, key=lambda one: statistics.median(began[one])):
        yield f"  {name:10} {statistics.median(began[name]):6.2f} +{statistics.median(took[name]):.2f}"


def row(what: str, sides: Sequence[Sequence[float]]) -> str:
    """A row of docs/benchmarks.md: the other side's first, and the ratio."""
    shown = [f"{statistics.median(one):.2f} s ({min(one):.2f}-{max(one):.2f})" for one in reversed(sides)]
    if len(sides) > 1:
        shown.append(f"{statistics.median(sides[0]) / statistics.median(sides[1]):.2f}")
    return f"| {what} | {' | '.join(shown)} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--steps", action="store_true")
    options = parser.parse_args()
    checkouts = [ROOT] if options.beside is None else [ROOT, options.beside]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        manifest = folder / "hello.yaml"
        shutil.copy(EXAMPLES / "hello.yaml", manifest)
        shutil.copy(IMAGES / "hello.tar", folder)
        sides = [
            stack.enter_context(side(one, folder / f"home-{number}")) for number, one in enumerate(checkouts)
        ]
        for number in range(options.runs):
            behind_s = BLOCK_S * (number + 0.5) / options.runs
            for one in sides[:: 1 if number % 2 else -1]:
                one.wait_for_block(behind_s)
                one.deploy(manifest, f"bench-{number}")
        print(f"load average {os.getloadavg()[0]:.1f}, {options.runs} runs of each in turn")
        print(row("from the shell to the first 200", [one.seconds for one in sides]))
        print(row("CPU of the client", [one.cpu for one in sides]))
        for line in steps_of(sides[0]) if options.steps else ():
            print(line)


if __name__ == "__main__":
    main()

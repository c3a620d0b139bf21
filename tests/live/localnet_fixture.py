# SPDX-License-Identifier: Apache-2.0
"""Localnets for tests: random names, always taken down, and what a test asks of a running one."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.live.observers.waiting import until
from trustedpods.localnet import folders, report
from trustedpods.localnet.cluster.cluster import kubectl
from trustedpods.localnet.down import down
from trustedpods.localnet.network import enter
from trustedpods.localnet.processes import processes
from trustedpods.localnet.settings import Cluster, Knobs, Settings
from trustedpods.localnet.up import up
from trustedpods.protocol.errors import Locked, Refused

PREFIX = "t-"
FAST = Knobs(claim_interval_s=3, unlock_s=60, grace_s=5, warn_before_s=10, idle_after_s=2)
UP_LIMIT_S = 300
ROOM_LIMIT_S = 240
"""For room in the kernel's counts: six clusters fit, and each worker may have one that its tests share."""

ROOM_LOOK_S = 2.0
_OWNER_FILE = "test-owner"


@dataclass(frozen=True)
class LiveLocalnet:
    """A running localnet, and the questions that tests have."""

    settings: Settings

    @property
    def state(self) -> Path:
        return self.settings.state

    @property
    def market_file(self) -> Path:
        """For TRUSTEDPODS_MARKET."""
        return self.state / "market.toml"

    @property
    def publisher_key(self) -> Path:
        """For TRUSTEDPODS_KEY: an account with tokens and gas."""
        return self.state / "publisher.key"

    def cluster(self, index: int = 1) -> Cluster:
        return self.settings.all_clusters()[index - 1]

    def kubeconfig(self, index: int = 1) -> Path:
        """Of the cluster's administrator."""
        return self.cluster(index).path("pki", "admin.conf")

    def facade(self, index: int = 1) -> tuple[str, int]:
        """Where HTTP clients connect; the pod is chosen by the Host header."""
        return "127.0.0.1", self.cluster(index).ports.http

    def environment(self) -> dict[str, str]:
        """For the publisher's command, with nothing of the user's own settings."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return kept | {
            "HOME": str(self.state / "home"),
            "TRUSTEDPODS_MARKET": str(self.market_file),
            "TRUSTEDPODS_KEY": str(self.publisher_key),
        }

    def kubectl(self, *arguments: str, stdin: str = "", index: int = 1) -> str:
        """Output of kubectl as administrator; a failure raises with its words."""
        return _output([*kubectl(self.settings, self.cluster(index)), *arguments], stdin)

    def apply(self, *objects: dict[str, Any], index: int = 1) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items), index=index)

    def make_namespace(self, name: str) -> None:
        """A namespace in which a pod may be made at once: its account is there."""
        self.kubectl("create", "namespace", name)
        self.kubectl("-n", name, "wait", "--for=create", "serviceaccount/default", "--timeout=90s")

    def on_node(self, *argv: str, index: int = 1) -> str:
        """Output of a command run in the node's network namespace."""
        return _output([*enter(self.cluster(index).namespace), *argv])

    def parts(self) -> dict[str, dict[str, Any]]:
        """What `status` says of each part."""
        return {part["name"]: part for part in report.report(self.settings)["parts"]}

    def pid(self, part: str) -> int:
        """The process of a part, once it runs."""
        return int(until(f"{part} runs", lambda: self.parts()[part]["pid"]))

    def supervisor(self) -> int:
        pid = folders.holder(folders.supervisor_lock(self.state))
        assert pid is not None
        return pid

    def log(self, part: str) -> Path:
        return folders.log_file(self.state, part)


def _up(name: str, clusters: int, nodes: int, knobs: Knobs) -> Settings:
    """A new localnet; where the kernel has too little left, once others of this run have ended."""
    deadline = monotonic() + ROOM_LIMIT_S
    while True:
        try:
            return up(name, clusters=clusters, nodes=nodes, knobs=knobs, limit_s=UP_LIMIT_S, say=_say)
        except Refused as refused:
            if refused.rule != "kernel" or monotonic() > deadline:
                raise
            _say(f"waiting for room: {refused.what}")
            sleep(ROOM_LOOK_S)


@contextlib.contextmanager
def localnet(
    clusters: int = 1, knobs: Knobs = FAST, name: str | None = None, nodes: int = 1
) -> Iterator[LiveLocalnet]:
    """A localnet of a random name while the block runs; it is taken down whatever happens."""
    chosen = name or PREFIX + secrets.token_hex(4)
    try:
        settings = _up(chosen, clusters, nodes, knobs)
        owner = f"{os.getpid()} {processes.start_time(os.getpid())}"
        folders.replace_file(settings.state / _OWNER_FILE, owner.encode())
        yield LiveLocalnet(settings)
    except BaseException:
        print_logs(folders.state_of(chosen))
        raise
    finally:
        down(chosen)


def sweep() -> None:
    """Take down localnets of test runs that were killed."""
    for file in folders.home().glob(f"{PREFIX}*/{_OWNER_FILE}"):
        try:
            pid, started = map(int, file.read_text().split())
        except FileNotFoundError:  # another worker takes its own down
            continue
        if processes.find(pid, started) is None:
            with contextlib.suppress(Locked):  # another worker sweeps
                down(file.parent.name)


def print_logs(state: Path, lines: int = 30) -> None:
    """The ends of all logs: what is needed to understand a failure in CI."""
    for log in sorted(state.glob("log/*.log")):
        tail = log.read_text(errors="replace").splitlines()[-lines:]
        sys.stderr.write(f"\n--- {log.name}\n" + "\n".join(tail) + "\n")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _output(argv: list[str], stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout

# SPDX-License-Identifier: Apache-2.0
"""The demo's hands and eyes: the commands, HTTP, kubectl, balances, and waiting for a condition."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import trio

from trustedpods.contracts.client import Chain
from trustedpods.localnet.cluster.cluster import kubectl
from trustedpods.localnet.market.accounts import address, owner_key
from trustedpods.localnet.market.files import read_market
from trustedpods.localnet.settings import Settings
from trustedpods.protocol.errors import TrustedPodsError

T = TypeVar("T")
Json = dict[str, Any]

COMMAND_LIMIT_S = 240
LOOK_EVERY_S = 0.1


class StepFailed(TrustedPodsError):
    """A step of the demo did not happen."""

    code = "demo"


def wait_for(what: str, limit_s: float, look: Callable[[], T | None]) -> T:
    """What *look* returns as soon as it is not None; StepFailed after *limit_s* seconds."""
    deadline = time.monotonic() + limit_s
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise StepFailed(f"waited {limit_s:.0f} s in vain for {what}")
        time.sleep(LOOK_EVERY_S)


class Outside:
    """One localnet as its user sees it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cluster = settings.all_clusters()[0]
        self.folder = settings.state / "demo"
        self.market = read_market(settings.state)
        self.owner = address(owner_key(self.cluster))
        self.publisher = address(settings.state / "publisher.key")
        self._bin = Path(sys.executable).parent

    def trustedpods(self, *words: str) -> Json:
        """Run the publisher's client; its `-o json`."""
        return self._run("trustedpods", *words, "-o", "json")

    def provider(self, *words: str) -> Json:
        """Run the operator's command; its `-o json`."""
        config = str(self.cluster.path("provider.toml"))
        return self._run("trustedpods-provider", words[0], "--config", config, *words[1:], "-o", "json")

    def _run(self, command: str, *words: str) -> Json:
        known = {
            "TRUSTEDPODS_MARKET": str(self.settings.state / "market.toml"),
            "TRUSTEDPODS_KEY": str(self.settings.state / "publisher.key"),
        }
        done = subprocess.run(  # noqa: S603 - our own commands
            [str(self._bin / command), *words],
            env=os.environ | known,
            stdout=subprocess.PIPE,
            stderr=None,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
        if done.returncode != 0:
            raise StepFailed(f"{command} {' '.join(words)}: exit code {done.returncode}\n{done.stdout}")
        answer: Json = json.loads(done.stdout)
        return answer

    def pods(self, namespace: str) -> int:
        """Kubernetes pods in a namespace that are not being deleted, as kubectl counts them."""
        items = json.loads(self._kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
        return sum("deletionTimestamp" not in item["metadata"] for item in items)

    def has_namespace(self, namespace: str) -> bool:
        """Whether the cluster still knows the namespace."""
        found = self._kubectl("get", "namespace", namespace, "--ignore-not-found", "-o", "name")
        return bool(found.strip())

    def _kubectl(self, *words: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own kubectl
            [*kubectl(self.settings, self.cluster), *words],
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
        if done.returncode != 0:
            raise StepFailed(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def get(self, url: str, path: str = "/") -> tuple[httpx.Response, float]:
        """GET from the facade on loopback, by Host header; the answer and its seconds."""
        began = time.monotonic()
        target = httpx.URL(url).copy_with(host="127.0.0.1").join(path)
        headers = {"Host": httpx.URL(url).netloc.decode()}
        try:
            answer = httpx.get(target, headers=headers, timeout=90, trust_env=False)
        except httpx.HTTPError as error:
            raise StepFailed(f"GET {url}: {error}") from None
        return answer, time.monotonic() - began

    def paid_out(self) -> int:
        """Base units of the token at the provider's payout address."""
        return self._ask_chain(lambda chain: chain.token_balance(self.owner))

    def publisher_balance(self) -> int:
        """Base units of the token that the publisher has."""
        return self._ask_chain(lambda chain: chain.token_balance(self.publisher))

    def _ask_chain(self, question: Callable[[Chain], Any]) -> int:
        async def ask() -> int:
            async with Chain(self.settings.rpc, self.market) as chain:
                return int(await question(chain))

        return trio.run(ask)

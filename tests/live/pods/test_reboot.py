# SPDX-License-Identifier: Apache-2.0
"""A provider's machine restarts, and its memory-only keys are gone: one `watch` brings every pod back."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live.clients import daemons, web
from tests.live.clients.publisher import Deployed, Json, Publisher, provider
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.contracts.records import meter_tag
from trustedpods.localnet.market.provider import keys_folder
from trustedpods.protocol.ids import Address

pytestmark = pytest.mark.live

DEPOSIT = "2h"


def awake(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}


def reboot(market: LiveLocalnet, pods: list[Deployed]) -> int:
    """End the keys, the daemon and every replica; the time at which the daemon was dead."""
    for file in keys_folder(market.settings, market.cluster()).iterdir():
        file.unlink()
    killed = daemons.kill(market)
    rebooted_at = int(time.time())
    for pod in pods:
        market.kubectl("-n", pod.namespace, "delete", "pods", "--all", "--wait=false", "--grace-period=1")
    daemons.until_back(market, killed)
    return rebooted_at


def waiting(market: LiveLocalnet) -> bool:
    """Every pod waits for its key, and nothing of it runs."""
    rows: Any = provider(market, "pods")
    return {row["phase"] for row in rows} == {"awaiting-key"} and not any(row["replicas"] for row in rows)


@dataclass(frozen=True)
class Interval:
    """Something that the ledger bills: from when to when (None: still)."""

    started: int
    ended: int | None


def ledger(market: LiveLocalnet, channel: str) -> list[Interval]:
    """Every replica, volume and image of a pod, as the daemon's books have them."""
    file: Path = market.cluster().path("provider", "store.db")
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as books:
        return [
            Interval(*row)
            for table in ("runs", "holdings")
            for row in books.execute(f"select started, ended from {table} where channel = ?", (channel,))
        ]


@pytest.mark.parametrize("quiet_market", [18], indirect=True, ids=["18-decimals"])
def test_three_pods_serve_again_within_one_round_and_nothing_is_billed_between(
    quiet_market: LiveLocalnet, quiet_publisher: Publisher
) -> None:
    market, person = quiet_market, quiet_publisher
    files = [person.manifest(kind, unique(kind), awake) for kind in ("web", "hello", "hello")]
    with ThreadPoolExecutor() as pool:
        pods = list(pool.map(lambda file: person.deploy(file, "--deposit", DEPOSIT), files))
    mark = unique("/before-the-reboot")
    web.get(pods[0].url, mark)
    assert mark in web.get(pods[0].url, "/visits").text

    rebooted_at = reboot(market, pods)
    until("every pod waits", lambda: waiting(market))
    watched_at = int(time.time())
    result = person.run("watch", "--once").json

    assert {pod["pod"]: pod["state"] for pod in result["pods"]} == {pod.name: "released" for pod in pods}
    for pod in pods:
        assert web.get(pod.url).status == 200
        assert replicas(market, pod.namespace)
        assert_nothing_between(ledger(market, pod.channel), rebooted_at, watched_at)
    assert mark in web.get(pods[0].url, "/visits").text

    provider(market, "claim")
    again = person.run("watch", "--once").json
    assert [(pod["state"], pod["actions"], pod["problems"]) for pod in again["pods"]] == [("ok", [], [])] * 3
    now = person.run("status", pods[0].name).json
    assert now["endpoints"] == pods[0].result["endpoints"]
    assert now["trust"]["boot"] != pods[0].result["trust"]["boot"]
    assert now["attested"]["label"] == "built-in"
    channel = Bank(market).channel(pods[0].channel)
    assert channel is not None
    assert channel.meter_tag == meter_tag(Address(now["trust"]["meter"]))


def assert_nothing_between(books: list[Interval], rebooted_at: int, watched_at: int) -> None:
    """Each interval ended before the reboot (or in its second), or began after `watch` did."""
    between = [
        one
        for one in books
        if one.started < watched_at and (one.ended is None or one.ended > rebooted_at + 1)
    ]
    assert between == []
    assert any(one.ended is not None and one.started < rebooted_at for one in books)
    assert any(one.ended is None and one.started >= watched_at for one in books)

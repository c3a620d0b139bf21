# SPDX-License-Identifier: Apache-2.0
"""From zero and back: nothing is refused on the way up, nothing is cut on the way down."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.live.clients import protocols, web
from tests.live.clients.publisher import Json, Publisher, provider
from tests.live.commands import running as commands
from tests.live.conftest import SLOW_IDLE_S, Download, unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import label_of, replicas, until_zero, watching
from tests.live.observers.waiting import until
from tests.paths import ROOT
from trustedpods.contracts.terms import least_cap
from trustedpods.localnet.market import pricing
from trustedpods.localnet.market.provider_files import IDLE_MIB
from trustedpods.provider.daemon.own_sleep import ASKED
from trustedpods.publisher.core.cost import shape_of
from trustedpods.publisher.pod import read_pod

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("slow_download")]

MOST = 3
HELD = 2
HELD_WORDS = (
    f"held at {HELD} of {MOST} replicas by maxCostPerDay, the channel's cap, while requests ask for more"
)
AT_ONCE = 50
PAGE = ROOT / "deploy" / "images" / "hello" / "index.html"


def at_most_three(spec: Json) -> None:
    spec["scale"] = {"min": 0, "max": MOST, "idleAfter": "2s", "concurrency": 10}


def test_fifty_requests_at_once_wake_a_pod_from_zero(market: LiveLocalnet, publisher: Publisher) -> None:
    deployed = publisher.deploy(publisher.manifest("hello", unique("crowd"), at_most_three))
    until_zero(market, deployed.namespace)
    with watching(market, deployed.namespace) as watch:
        answers = web.get_many(deployed.url, AT_ONCE)
        until_zero(market, deployed.namespace)
    assert [answer.status for answer in answers] == [200] * AT_ONCE
    assert {answer.sha256 for answer in answers} == {hashlib.sha256(PAGE.read_bytes()).hexdigest()}
    assert 1 <= watch.most <= MOST
    assert web.get(deployed.url).status == 200


def sleeps_at_its_own_word(spec: Json) -> None:
    spec["scale"] = {"min": 0, "max": 1, "idleAfter": "1h", "ownSleep": True}


ASK = 'exec wget -q -O- --post-data= "$TRUSTEDPODS_SLEEP_URL"'


def test_a_pod_sleeps_at_its_own_word_and_wakes_as_any_other(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    deployed = publisher.deploy(publisher.manifest("hello", unique("done"), sleeps_at_its_own_word))
    said = commands.check(publisher, deployed.name, "--", "sh", "-c", ASK)
    assert said == f"{ASKED[1]}\n".encode()
    until_zero(market, deployed.namespace)
    assert web.get(deployed.url).status == 200
    assert replicas(market, deployed.namespace), "its word held for that one sleep"


def with_limit(tokens: str | None) -> Callable[[Json], None]:
    """A pod for which three requests at once are three replicas, if the limit pays for them."""

    def change(spec: Json) -> None:
        spec["services"] = [service for service in spec["services"] if service["name"] == "web"]
        spec["scale"] = {"min": 0, "max": MOST, "idleAfter": "5s", "concurrency": 1}
        if tokens is not None:
            spec["payment"] = {"maxCostPerDay": tokens}

    return change


def tokens_for(market: LiveLocalnet, manifest: Path, replicas: int, scratch: Path) -> str:
    """A tenth more than so many replicas cost in a day, in whole tokens."""
    pod, knobs = read_pod(manifest, scratch), market.settings.knobs
    second = shape_of(pod.manifest, pod.image_bytes).awake(1, replicas, IDLE_MIB)
    units = least_cap(pricing.prices(knobs.decimals, 100), second, knobs.claim_interval_s) * 11 // 10
    return f"{Decimal(units).scaleb(-knobs.decimals):f}"


@contextmanager
def crowd(url: str) -> Iterator[None]:
    """Twice as many connections as the pod may have replicas, open while the block runs: none is cut.

    They say nothing, as traffic would cost money too.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(protocols.websocket(url)) for _ in range(2 * MOST)]
        yield
        for socket in sockets:
            socket.send("still here")
            assert socket.recv(protocols.LIMIT_S) == "still here"


def test_the_limit_of_a_day_holds_the_replicas_until_it_is_raised(
    market: LiveLocalnet, publisher: Publisher, tmp_path: Path
) -> None:
    name = unique("held")
    limit = tokens_for(market, publisher.manifest("echo", name, with_limit(None)), HELD, tmp_path)
    pod = publisher.deploy(publisher.manifest("echo", name, with_limit(limit)))

    def status() -> Json:
        return publisher.run("status", name).json

    def held() -> bool:
        found = status()
        return HELD_WORDS in found["reason"] and found["ready"] == HELD

    assert f"at most {HELD} of {MOST} replicas: maxCostPerDay" in status()["reason"]
    with watching(market, pod.namespace) as watch, crowd(pod.url):
        until("it is held, and says so", held)
        rows: Any = provider(market, "pods")
        assert [row["why"] for row in rows if row["label"] == label_of(pod.url)] == [HELD_WORDS]
        assert held()
        assert watch.most == HELD
    publisher.deploy(
        publisher.manifest("echo", name, with_limit(None))
    )  # what runs goes on, under a higher cap
    with crowd(pod.url):
        until("all replicas serve", lambda: status()["ready"] == MOST)
        assert "maxCostPerDay" not in status()["reason"]


def test_a_download_longer_than_the_idle_time_arrives_whole(
    market: LiveLocalnet, slow_download: Download
) -> None:
    answer = slow_download.answer.result()
    assert (answer.status, answer.size) == (200, 60_000_000)
    assert answer.sha256 == slow_download.sha256
    assert answer.seconds > 10 * SLOW_IDLE_S
    assert len(slow_download.watch.names) == 1
    until_zero(market, slow_download.deployed.namespace)
    assert replicas(market, slow_download.deployed.namespace) == []

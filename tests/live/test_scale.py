# SPDX-License-Identifier: Apache-2.0
"""From zero and back: nothing is refused on the way up, nothing is cut on the way down."""

import hashlib
from pathlib import Path

import pytest

from tests.live import web
from tests.live.cluster import replicas, until_zero, watching
from tests.live.conftest import SLOW_IDLE_S, Download, unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.publisher import Json, Publisher

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("slow_download")]

MOST = 3
AT_ONCE = 50
PAGE = Path(__file__).parents[2] / "deploy" / "images" / "hello" / "index.html"


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


def test_a_download_longer_than_the_idle_time_arrives_whole(
    market: LiveLocalnet, slow_download: Download
) -> None:
    answer = slow_download.answer.result(timeout=120)
    assert (answer.status, answer.size) == (200, 60_000_000)
    assert answer.sha256 == slow_download.sha256
    assert answer.seconds > 10 * SLOW_IDLE_S
    assert len(slow_download.watch.names) == 1
    until_zero(market, slow_download.deployed.namespace, SLOW_IDLE_S + 15)
    assert replicas(market, slow_download.deployed.namespace) == []

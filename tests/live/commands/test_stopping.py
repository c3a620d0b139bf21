# SPDX-License-Identifier: Apache-2.0
"""`stop` and `start` of a pod that always runs: who asks sees why, and nothing runs or is paid for."""

import pytest

from tests.live.clients import daemons, web
from tests.live.clients.publisher import Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.waiting import until
from trustedpods.provider.facade import pages

pytestmark = pytest.mark.live


def always_one(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}


def cpu_billed(publisher: Publisher, name: str) -> int:
    """Core milliseconds that were ever counted of the pod, claimed or not."""
    bill = publisher.run("bill", name).json
    return sum(int(line["cpu_core_ms"]) for line in (*bill["lines"], bill["open_usage"]))


def is_stopped_page(url: str) -> bool:
    answer = web.get(url)
    return (answer.status, answer.text) == (503, pages.PARKED.body.decode())


def test_a_pod_stays_stopped_until_it_is_started(market: LiveLocalnet, publisher: Publisher) -> None:
    pod = publisher.deploy(publisher.manifest("hello", unique("stopped"), always_one))
    assert web.get(pod.url).status == 200
    stopped = publisher.run("stop", pod.name).json
    assert (stopped["phase"], stopped["replicas"]) == ("parked", 0)
    assert is_stopped_page(pod.url)
    before = cpu_billed(publisher, pod.name)
    daemons.restart(market)
    until("the daemon answers for it", lambda: publisher.run("status", pod.name).json["phase"] == "parked")
    until("who asks sees why", lambda: is_stopped_page(pod.url))
    assert not [one for one in replicas(market, pod.namespace) if one["status"]["phase"] == "Running"]
    assert 0 < cpu_billed(publisher, pod.name) <= before
    started = publisher.run("start", pod.name).json
    assert (started["phase"], started["parked_at"], started["ready"]) == ("serving", None, 1)
    assert web.get(pod.url).status == 200

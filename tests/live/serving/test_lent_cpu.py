# SPDX-License-Identifier: Apache-2.0
"""CPU of pods that sleep warm: the scheduler has it back, and a wake waits for nobody to return it."""

import json
from typing import Any

import pytest

from tests.live.clients import web
from tests.live.clients.publisher import Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.cpu import KernelCpu, asked_milli, asked_of
from tests.live.observers.waiting import until
from trustedpods.provider.cluster.objects.sizes import milli
from trustedpods.provider.cluster.objects.workload.awake_cpu import ASLEEP_MILLI

pytestmark = pytest.mark.live

AWAKE_MILLI = 300
PAUSE_IMAGE = "docker.io/local/pause:1"


def sleeps_warm(spec: Json) -> None:
    spec["scale"] = {"min": 0, "max": 1, "idleAfter": "1s", "sleep": "warm", "warmFor": "1h"}
    spec["containers"][0]["resources"]["limits"]["cpu"] = f"{AWAKE_MILLI}m"


def free_milli(market: LiveLocalnet) -> int:
    """What the scheduler has left on the one node."""
    (node,) = json.loads(market.kubectl("get", "nodes", "-o", "json"))["items"]
    pods = json.loads(market.kubectl("get", "pods", "-A", "-o", "json"))["items"]
    return milli(node["status"]["allocatable"]["cpu"]) - sum(map(asked_milli, pods))


def filler(namespace: str, cpu_milli: int) -> dict[str, Any]:
    """Another's pod, that takes so much of the node."""
    size = {"cpu": f"{cpu_milli}m", "memory": "16Mi"}
    container = {"name": "c", "image": PAUSE_IMAGE, "resources": {"requests": size, "limits": size}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "filler", "namespace": namespace},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def test_the_scheduler_has_it_back_and_a_wake_on_a_full_node_has_all_of_it(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    before, kernel = free_milli(market), KernelCpu(market)
    deployed = publisher.deploy(publisher.manifest("hello", unique("lent"), sleeps_warm))
    namespace = deployed.namespace
    (pod,) = replicas(market, namespace)
    uid = pod["metadata"]["uid"]
    assert kernel.quotas(uid) == [AWAKE_MILLI] * 2

    until("it has lent its CPU", lambda: asked_of(market, namespace) == [ASLEEP_MILLI])
    assert before - free_milli(market) <= AWAKE_MILLI * 5 // 100
    until("its node has done so", lambda: max(kernel.quotas(uid)) < AWAKE_MILLI)

    place = unique("full")
    market.make_namespace(place)
    try:
        market.apply(filler(place, free_milli(market)))
        market.kubectl("-n", place, "wait", "--for=condition=Ready", "pod/filler", "--timeout=60s")
        assert web.get(deployed.url).status == 200
        assert kernel.quotas(uid) == [AWAKE_MILLI] * 2, "before its answer"
        until("it asks for all of it", lambda: asked_of(market, namespace) == [AWAKE_MILLI])
        assert free_milli(market) < 0, "the node is over-committed, and takes nobody else"
        assert web.get(deployed.url).status == 200
        assert kernel.quotas(uid) == [AWAKE_MILLI] * 2
    finally:
        market.kubectl("delete", "namespace", place, "--wait=true")
    [now] = replicas(market, namespace)
    assert (now["metadata"]["uid"], now["status"]["containerStatuses"][0]["restartCount"]) == (uid, 0)

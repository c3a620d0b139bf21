# SPDX-License-Identifier: Apache-2.0
"""Warm sleep: a frozen replica answers, outlives its daemon and its agent, and ends when it is to end."""

import os
import signal

import pytest
import trio

from tests.live.clients import daemons, web
from tests.live.clients.publisher import Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import label_of, remains, replicas
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster.files import freezer_socket
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.freezer.door import Freezer
from trustedpods.provider.cluster.freezer.listening import Listener

pytestmark = pytest.mark.live

PORT = 8080
"""At which the image of `hello` serves."""


def sleeps_warm(spec: Json) -> None:
    spec["scale"] = {"min": 0, "max": 1, "idleAfter": "2s", "sleep": "warm", "warmFor": "1h"}


def uids(market: LiveLocalnet, namespace: str) -> list[str]:
    return [one["metadata"]["uid"] for one in replicas(market, namespace)]


def until_frozen(market: LiveLocalnet, namespace: str) -> str:
    """The uid of the one replica, once the kernel holds it."""

    def look() -> str | None:
        found = uids(market, namespace)
        try:
            sizes = trio.run(Freezer([freezer_socket(market.cluster())]).size, found)
        except NetworkFailure:
            return None  # the agent is on its way back
        return found[0] if len(found) == 1 and found[0] in sizes and sizes[found[0]].frozen else None

    uid = until("its replica is frozen", look)
    assert uid is not None
    return uid


def test_a_frozen_pod_wakes_and_outlives_its_daemon_and_agent_and_is_deleted(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    deployed = publisher.deploy(publisher.manifest("hello", unique("warm"), sleeps_warm))
    uid = until_frozen(market, deployed.namespace)
    listening = trio.run(Freezer([freezer_socket(market.cluster())]).listening, [uid])
    assert listening == {uid: (Listener(PORT, own=False),)}
    assert web.get(deployed.url).status == 200
    assert uids(market, deployed.namespace) == [uid], "the request found it as it was"

    assert until_frozen(market, deployed.namespace) == uid
    daemons.restart(market)
    assert web.get(deployed.url).status == 200
    assert until_frozen(market, deployed.namespace) == uid

    os.kill(market.pid("k1/netpol"), signal.SIGKILL)
    assert web.get(deployed.url).status == 200

    until_frozen(market, deployed.namespace)
    publisher.run("delete", deployed.name, "--purge")
    publisher.gone(deployed.name)
    until("nothing of it remains", lambda: not remains(market, label_of(deployed.url)))

# SPDX-License-Identifier: Apache-2.0
"""An update of `payment` alone: nothing that runs is touched, and an open WebSocket goes on."""

import pytest

from tests.live.clients import protocols
from tests.live.clients.publisher import Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from trustedpods.protocol.errors import ExitCode

pytestmark = [pytest.mark.live, pytest.mark.soak]


def other_terms(spec: Json) -> None:
    spec["payment"] = {"deposit": "9", "maxCostPerDay": "100000000"}


def test_an_open_websocket_survives_an_update_of_payment_alone(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    pod = publisher.deploy(publisher.manifest("echo", unique("terms")))
    place = next(end["url"] for end in pod.result["endpoints"] if end["service"] == "web")
    with protocols.websocket(place) as socket:

        def echoes(text: str) -> None:
            socket.send(text)
            assert socket.recv(protocols.LIMIT_S) == text

        echoes("before")
        running = [one["metadata"]["uid"] for one in replicas(market, pod.namespace)]
        file = publisher.manifest("echo", pod.name, other_terms).name
        would = publisher.run("deploy", file, "--dry-run", code=ExitCode.PLAN_HAS_CHANGES).json
        assert would["effect"] == "keep"
        assert any("payment.deposit counts when a channel is opened" in text for text in would["terms"])
        done = publisher.run("deploy", file).json
        assert (done["update"], done["namespace"]) == ("kept", pod.namespace)
        assert done["generation"] > pod.result["generation"]
        echoes("after the update")
        back = publisher.run("rollback", pod.name).json
        assert (back["update"], back["namespace"]) == ("kept", pod.namespace)
        echoes("after the rollback")
        assert [one["metadata"]["uid"] for one in replicas(market, pod.namespace)] == running
    assert publisher.run("status", pod.name).json["phase"] == "serving"

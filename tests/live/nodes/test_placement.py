# SPDX-License-Identifier: Apache-2.0
"""A pod that chooses its node by a label that the provider advertises."""

from collections.abc import Callable

import pytest

from tests.live.clients.publisher import Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from trustedpods.localnet.settings import ZONE_LABEL
from trustedpods.protocol.errors import ExitCode

pytestmark = pytest.mark.live


def of_zone(zone: str) -> Callable[[Json], None]:
    def change(spec: Json) -> None:
        spec["nodeSelector"] = {ZONE_LABEL: zone}
        spec["scale"] = {"min": 1, "max": 1}

    return change


def test_a_pod_runs_where_the_label_is_and_is_refused_where_it_is_not(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    zone = market.cluster().name
    [listed] = publisher.run("provider", "list").json["providers"]
    offered = publisher.run("provider", "inspect", listed["name"]).json["capabilities"]
    assert offered["node_labels"] == {ZONE_LABEL: [zone]}
    assert [one["name"] for one in offered["storage_classes"]] == ["local-path"]
    assert offered["largest_node"]["cpu_milli"] > 0
    pod = publisher.deploy(publisher.manifest("hello", unique("here"), of_zone(zone)))
    (replica,) = replicas(market, pod.namespace)
    assert replica["spec"]["nodeSelector"] == {ZONE_LABEL: zone}
    assert replica["spec"]["nodeName"] == zone

    before = publisher.run("balance").json["channels"]
    elsewhere = publisher.manifest("hello", unique("elsewhere"), of_zone("nowhere"))
    refused = publisher.run("deploy", elsewhere.name, code=ExitCode.REFUSED)
    assert refused.json["error"]["rule"] == "capability"
    why = f"no node with {ZONE_LABEL}=nowhere; advertised: {ZONE_LABEL}={zone}"
    assert why in refused.err
    assert len(publisher.run("balance").json["channels"]) == len(before), "nothing was paid"
    assert why in publisher.run("estimate", elsewhere.name, code=ExitCode.REFUSED).err
    [unfit] = publisher.run("provider", "list", "--for", elsewhere.name).json["providers"]
    assert unfit["unfit"] == why

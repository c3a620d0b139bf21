# SPDX-License-Identifier: Apache-2.0
"""The daemon stands still and another takes over: what runs answers through another node's facade alone.

Both daemons run on the first node, as the registry is there; the facades are on two.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.clients import daemons, web
from tests.live.clients.publisher import Json, Publisher
from tests.live.conftest import QUIET, unique
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.nodes.second_daemon import SecondDaemon, Visitor, changed, facade_on, standing_by
from tests.live.observers.cluster import replicas, until_zero
from tests.live.observers.waiting import until
from tests.provider.store.engines.server import PostgresServer
from trustedpods.localnet.market.provider import config_file
from trustedpods.provider.daemon.leader import LEASE_S
from trustedpods.provider.facade import pages

pytestmark = [pytest.mark.live, pytest.mark.soak]

RESTS_WITHIN_S = 30


def awake(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}


def sleepy(spec: Json) -> None:
    spec["scale"] = {"min": 0, "max": 1, "idleAfter": "2s"}


@pytest.fixture
def market(postgres: PostgresServer) -> Iterator[LiveLocalnet]:
    """Of two nodes, either of which may be the facade's; the books are in PostgreSQL."""
    with postgres.database() as url, localnet(knobs=QUIET, nodes=2) as running:
        cluster = running.cluster()
        file = config_file(cluster)
        facades = ", ".join(f'"{node.node_ip}/32"' for node in cluster.nodes)
        text = changed(file.read_text(), ingress_from=f"[{facades}]")
        file.write_text(text.replace("[store]\n", f'[store]\ndatabase = "{url}"\n'))
        daemons.restart(running)
        yield running


@pytest.fixture
def second(market: LiveLocalnet, tmp_path: Path) -> Iterator[SecondDaemon]:
    (other,) = market.cluster().later_nodes
    with facade_on(market, other) as facade, standing_by(market, tmp_path / "second", facade) as made:
        yield made


def test_what_runs_answers_through_another_nodes_facade_and_no_longer_through_the_first(
    market: LiveLocalnet, second: SecondDaemon, tmp_path: Path
) -> None:
    (other,) = market.cluster().later_nodes
    folder = tmp_path / "person"
    folder.mkdir()
    person = Publisher(market, market.publisher_key, folder)
    pod = person.deploy(person.manifest("hello", unique("awake"), awake), "--deposit", "2h")
    asleep = person.deploy(person.manifest("hello", unique("asleep"), sleepy), "--deposit", "2h")
    until_zero(market, asleep.namespace)
    visitor = Visitor(pod.url, f"{other.node_ip}:80")
    standby = visitor.ask()
    assert (standby.status, standby.text) == (503, pages.STANDING_BY.body.decode())

    with daemons.silent(market, daemons.part()):  # its HAProxy goes on, and its routes with it
        until("the second daemon serves", second.serves, LEASE_S + 70)
        with visitor.asking():
            until("visitors are answered", lambda: visitor.answered > 10)
        assert visitor.failed == []
        (before,) = replicas(market, pod.namespace)
        market.kubectl("-n", pod.namespace, "delete", "pod", before["metadata"]["name"], "--wait=false")
        gone = before["metadata"]["uid"]

        def another() -> bool:
            found = replicas(market, pod.namespace)
            return gone not in {one["metadata"]["uid"] for one in found} and visitor.ask().status == 200

        until("its next replica answers there", another)
    until("the first facade rests", lambda: web.get(pod.url).status == 503, RESTS_WITHIN_S)
    assert web.get(pod.url).text == pages.STANDING_BY.body.decode()
    assert visitor.ask().status == 200

    result = person.run("watch", "--once").json
    assert [one["state"] for one in result["pods"]] == ["released", "released"]
    assert visitor.ask().status == 200
    until_zero(market, asleep.namespace)
    assert Visitor(asleep.url, visitor.at).ask().status == 200  # a new wake

# SPDX-License-Identifier: Apache-2.0
"""The same paths as on one node, between tenants who are on a node each; datagrams too."""

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from tests.live.clients.probing import all_at_once, run
from tests.live.isolation.town import OPEN, OTHER, PATHS, SHUT, UDP_PATHS, Town, somebody, town_of, words
from tests.live.localnet_fixture import LiveLocalnet, localnet
from tests.live.observers.cluster import replicas
from tests.live.observers.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.soak]

WHERE = {"a": "k1n2", "b": "k1n3", "c": "k1"}
"""Tenant c is where the world's route begins; facade and daemon are there too."""

SETTLES_WITHIN_S = 15
"""A neighbour is asked for first, and its answer may come late."""

WORLD = "203.0.113.0/24"
FROM_FACADE = ("node", "a", OTHER, "udp", SHUT, OPEN)
"""The facade's node is not the tenant's: it reaches the port that is served, and no other."""

BY_THE_OPERATOR = ("world", "nodeport-b", "nodeport", "tcp", OPEN, OPEN)
"""A NodePort that only the operator can make: the facade's node sends its callers on under its own address,
which every pod lets in to what it serves. On one node the caller's own address is judged."""

HERE_TOO = [path for path in (*PATHS, *UDP_PATHS) if words(path) != words(BY_THE_OPERATOR)]
EVERY = [*HERE_TOO, FROM_FACADE, BY_THE_OPERATOR]
EXPECTED = {words(path): path[4] for path in EVERY}
WITHOUT_RULES = {words(path): path[5] for path in EVERY}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with localnet(nodes=3) as market:
        people = [somebody(market, tmp_path_factory.mktemp("tenant")) for _ in range(3)]
        with town_of(market, people, WHERE) as made:
            for node in market.cluster().later_nodes:
                run("ip", "-n", str(node.namespace), "route", "add", WORLD, "via", market.cluster().node_ip)
            yield made
        all_at_once([person.close for person in people])


def test_each_tenant_is_on_the_node_that_it_asked_for(town: Town) -> None:
    found = {name: replicas(town.market, pod.namespace) for name, pod in town.pods.items()}
    assert {name: [one["spec"]["nodeName"] for one in ones] for name, ones in found.items()} == {
        name: [node] for name, node in WHERE.items()
    }


def test_every_path_between_nodes_is_open_or_shut_as_it_must_be(town: Town) -> None:
    assert town.look(EVERY) == EXPECTED


def test_without_the_rules_of_all_nodes_the_probes_get_through(town: Town) -> None:
    """So that the first test can fail; and the agents put the rules back."""
    with no_rules(town.market):
        with contextlib.suppress(AssertionError):  # which paths differ is said below
            until("paths are as without rules", lambda: town.look(EVERY) == WITHOUT_RULES, SETTLES_WITHIN_S)
        assert town.look(EVERY) == WITHOUT_RULES
    until("the rules are back", lambda: town.look(EVERY) == EXPECTED)


@contextlib.contextmanager
def no_rules(market: LiveLocalnet) -> Iterator[None]:
    """Agents stand still and their tables are gone; with the block's end they are started anew."""
    nodes = market.cluster().nodes
    agents = [market.pid(f"{node.name}/netpol") for node in nodes]
    try:
        for agent, node in zip(agents, nodes, strict=True):
            os.kill(agent, signal.SIGSTOP)
            for family in ("ip", "ip6"):
                run(
                    "ip",
                    "netns",
                    "exec",
                    str(node.namespace),
                    "nft",
                    "delete",
                    "table",
                    family,
                    "trustedpods-netpol",
                )
        yield
    finally:
        for agent in agents:
            os.kill(agent, signal.SIGKILL)

# SPDX-License-Identifier: Apache-2.0
"""Two tenants and one that may call the world: who reaches what, path by path."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.live.clients import probing, web
from tests.live.clients.probing import all_at_once
from tests.live.isolation.town import ASKED, PATHS, SHUT, UDP_PATHS, Town, somebody, town_of, words
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.waiting import until

pytestmark = pytest.mark.live

EVERY = [*PATHS, *UDP_PATHS]
EXPECTED = {words(path): path[4] for path in EVERY}
WITHOUT_RULES = {words(path): path[5] for path in EVERY}


@pytest.fixture(scope="module")
def town(market: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    people = [somebody(market, tmp_path_factory.mktemp("tenant")) for _ in range(3)]
    with town_of(market, people) as made:
        yield made
    all_at_once([person.close for person in people])


def test_every_path_is_open_or_shut_as_it_must_be(town: Town) -> None:
    assert town.look(EVERY) == EXPECTED


def test_the_facade_and_the_operator_reach_a_closed_pod(town: Town) -> None:
    pod = town.pods["a"]
    assert web.get(pod.url).status == 200
    (replica,) = replicas(town.market, pod.namespace)
    town.market.kubectl("-n", pod.namespace, "logs", replica["metadata"]["name"])


def test_nobody_speaks_under_another_s_address(town: Town) -> None:
    """Tenant c may call the world; a takes c's address to do the same, and its packets go nowhere."""
    inside = ["nsenter", f"--net={town.places['a']}", "ip", "address"]
    forged = f"{town.addresses['c']}/32"
    knock = town.knock(("a", "server", ASKED, "tcp", SHUT, SHUT))
    probing.run(*inside, "add", forged, "dev", "lo")
    try:
        assert not replace(knock, source=town.addresses["c"]).reaches()
    finally:
        probing.run(*inside, "del", forged, "dev", "lo")
    dropped = town.market.on_node("nft", "list", "chain", "ip", "trustedpods-netpol", "forged")
    assert "counter packets" in dropped
    assert "counter packets 0 " not in dropped


def test_without_the_rules_the_probes_get_through(town: Town) -> None:
    """So that the first test can fail; and the agent puts the rules back by itself."""
    agent = town.market.pid("k1/netpol")
    os.kill(agent, signal.SIGSTOP)
    try:
        for family in ("ip", "ip6"):
            town.market.on_node("nft", "delete", "table", family, "trustedpods-netpol")
        # A link-local neighbour is asked for first, and its answer may come late.
        until("every path is as without rules", lambda: town.look(EVERY) == WITHOUT_RULES)
    finally:
        os.kill(agent, signal.SIGKILL)
    until(
        "the supervisor started another agent", lambda: town.market.parts()["k1/netpol"]["state"] == "ready"
    )
    until("the rules are back", lambda: town.look(EVERY) == EXPECTED)

# SPDX-License-Identifier: Apache-2.0
"""Nodes of one cluster that call each other by name, whatever happens to them; a stranger does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.live.clients import daemons
from tests.live.clients.publisher import Json, Publisher
from tests.live.commands import running
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.calling_nodes import OTHER, PORT, CallingNodes
from tests.live.networks.people import People, name
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.protocol.errors import ExitCode

pytestmark = [pytest.mark.live, pytest.mark.soak]
"""A market of two clusters, which goes with this file and all that is in it, and a dozen deploys."""


@pytest.fixture(scope="module")
def people(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    made = People(pair, tmp_path_factory.mktemp("people"))
    yield made
    made.close()


class Stranger:
    """A node of somebody else's network in the first cluster; its book has the *address* of a node there."""

    def __init__(self, people: People, folder: Path, address: str) -> None:
        self.name, self.address, self.clusters = name(), address, people.named[:1]
        self.person = Publisher(people.pair, Bank(people.pair).new_account(folder), folder)
        self.person.manifest("hello", f"{self.name}-node", self._change)
        partner = {"name": "partner", "owner": "0x" + "11" * 20, "endpoints": {"p2p": address}}
        node = {"name": "node", "pod": f"{self.name}-node.yaml", "cluster": "k1"}
        head = {"apiVersion": "trustedpods/v1", "kind": "Network", "metadata": {"name": self.name}}
        file = folder / f"{self.name}.yaml"
        file.write_text(yaml.safe_dump({**head, "spec": {"nodes": [node], "externalNodes": [partner]}}))
        self.run("connect", self.name)
        self.run("apply", file.name)
        self.pod = str(self.run("status", self.name)["nodes"]["node"]["pod"])

    def run(self, verb: str, what: str) -> Json:
        named = [part for one in self.clusters for part in ("--cluster", one)]
        return self.person.run("network", verb, what, *named).json

    def reaches(self, place: str) -> bool:
        """Whether its program gets a page there."""
        fetch = ("timeout", "5", "wget", "-qO-", f"http://{place}/")
        return running.run(self.person, self.pod, "--", *fetch).code == 0

    @staticmethod
    def _change(spec: Json) -> None:
        spec["services"] = [{"name": "p2p", "expose": "nodePort", "ports": [{"port": PORT}]}]
        spec["scale"] = {"min": 1, "max": 1}
        spec["network"] = {"nodes": ["partner"]}


def one_cluster(people: People) -> CallingNodes:
    """Two nodes in the first cluster, each of which calls the other by its name."""
    nodes = CallingNodes(people.pair, people.person, people.named, name(), {"a": 1, "b": 1})
    nodes.apply()
    for node, other in OTHER.items():
        until(f"{node} calls {other} by its name", lambda n=node: nodes.calls(n))
    return nodes


def test_both_ways_and_no_stranger(people: People, tmp_path: Path) -> None:
    nodes = one_cluster(people)
    address = nodes.address_of_name("a")
    until("a calls b where it is published", lambda: nodes.fetches("a", nodes.published("b")))
    stranger = Stranger(people, tmp_path, nodes.published("b"))
    for place in (nodes.published("b"), f"{nodes.replica('b')}:{PORT}", f"{address}:{PORT}"):
        assert not stranger.reaches(place), f"{place} of another publisher's network"
    nodes.apply(b="updated")
    until("a calls b, which was updated", lambda: nodes.calls("a"))
    assert nodes.address_of_name("a") == address


def test_one_moves_to_another_cluster_and_back(people: People) -> None:
    nodes = one_cluster(people)
    uid, address = nodes.uid("a"), nodes.address_of_name("a")
    for placed in (2, 1):
        nodes.placed["b"] = placed
        nodes.apply()
        until(f"a calls b in cluster {placed}", lambda: nodes.calls("a"))
        assert (nodes.uid("a"), nodes.address_of_name("a")) == (uid, address)
    daemons.restart(people.pair)
    assert nodes.calls("b")
    assert nodes.apply()["changes"] == 0


def test_a_node_that_does_not_start_is_named_with_its_last_words_and_mended_by_the_next_apply(
    people: People,
) -> None:
    network, person = name(), people.person
    clusters = ("--cluster", people.named[0])

    def write(command: list[str]) -> str:
        def change(spec: Json) -> None:
            spec["scale"] = {"min": 1, "max": 1}
            spec["containers"][0] |= {"command": command} if command else {}

        person.manifest("hello", f"{network}-bad", change)
        person.manifest("hello", f"{network}-good", lambda spec: spec.update(scale={"min": 1, "max": 1}))
        nodes = [{"name": node, "pod": f"{network}-{node}.yaml", "cluster": "k1"} for node in ("good", "bad")]
        head = {"apiVersion": "trustedpods/v1", "kind": "Network", "metadata": {"name": network}}
        file = person.folder / f"{network}.yaml"
        file.write_text(yaml.safe_dump({**head, "spec": {"nodes": nodes}}))
        return file.name

    person.run("network", "connect", network, *clusters)
    words = ["sh", "-c", "echo the key is wrong; exit 3"]
    said = person.run("network", "apply", write(words), *clusters, code=ExitCode.REFUSED)
    assert said.json["error"]["where"].startswith("node bad")
    assert "the key is wrong" in said.err

    planned = person.run("network", "plan", write([]), *clusters, code=ExitCode.PLAN_HAS_CHANGES).json
    effects = {one["node"]: one["effect"] for one in planned["outlook"]}
    assert effects["good"] == "unchanged", "who came beside it stays"
    assert person.run("network", "apply", f"{network}.yaml", *clusters).json["changes"] == 1
    person.run("network", "delete", network, *clusters)

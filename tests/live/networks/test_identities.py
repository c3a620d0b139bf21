# SPDX-License-Identifier: Apache-2.0
"""What a node is known by: made in its machine, told to the others, made anew on an explicit word only."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import yaml
from eth_keys.datatypes import PrivateKey

from tests.live.clients.publisher import Json
from tests.live.commands import running
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.people import People, name
from tests.live.observers.waiting import until

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def people(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    made = People(pair, tmp_path_factory.mktemp("people"))
    yield made
    made.close()


class KnownNodes:
    """A network of `a`, which makes a key that it is known by, and of `b`, a variable of which has it."""

    def __init__(self, people: People) -> None:
        self.person, self.name = people.person, name()
        self.clusters = [part for one in people.named for part in ("--cluster", one)]
        line = "enode://${node.a.identity.enodeId}@${node.a.p2p.address}:${node.a.p2p.publishedPort}"
        (self.person.folder / f"{self.name}-b.peers").write_text(line)
        self.person.run("network", "connect", self.name, *self.clusters)

    def write(self, *, greeting: str = "hello", renewal: int = 0) -> str:
        """The network's file; a greeting is what changes `a` in nothing that others see."""
        self.person.manifest("hello", f"{self.name}-a", lambda spec: _make_key(spec, greeting, renewal))
        self.person.manifest("hello", f"{self.name}-b", lambda spec: _have_key(spec, f"{self.name}-b.peers"))
        nodes = [
            {"name": "a", "pod": f"{self.name}-a.yaml", "cluster": "k1"},
            {"name": "b", "pod": f"{self.name}-b.yaml", "cluster": "k2", "dependsOn": ["a"]},
        ]
        head = {"apiVersion": "trustedpods/v1", "kind": "Network", "metadata": {"name": self.name}}
        file = self.person.folder / f"{self.name}.yaml"
        file.write_text(yaml.safe_dump({**head, "spec": {"nodes": nodes}}))
        return file.name

    def run(self, verb: str, *words: str, code: int = 0) -> Json:
        return dict(self.person.run("network", verb, *words, *self.clusters, code=code).json)

    def planned(self, file: str) -> dict[str, str]:
        """How it stands with what each node is known by, as the plan says."""
        plan = self.run("plan", file, code=10)
        return {one["node"]: one["identity"] for one in plan["outlook"]}

    def made(self) -> str:
        """The public half of the key that lies in a's machine, as an enode has it."""
        key = running.check(self.person, self._pod("a"), "--", "cat", "/keys/node").decode()
        return PrivateKey(bytes.fromhex(key)).public_key.to_bytes().hex()

    def variable(self) -> str:
        """What b's program has of a; nothing while its replica is made anew."""
        told = running.run(self.person, self._pod("b"), "--", "sh", "-c", "echo $PEER")
        return told.out.decode().strip() if told.code == 0 else ""

    def enode(self) -> str:
        """How a is called, by its own key and the network's address book."""
        (end,) = [one for one in self.run("endpoints", self.name)["endpoints"] if one["node"] == "a"]
        assert end["identity"]["enodeId"] == self.made()
        return f"enode://{self.made()}@{urlsplit(end['url']).netloc}"

    def _pod(self, node: str) -> str:
        return str(self.run("status", self.name)["nodes"][node]["pod"])


def _service(spec: Json) -> None:
    spec["services"] = [{"name": "p2p", "expose": "nodePort", "ports": [{"port": 8080}]}]
    spec["scale"] = {"min": 1, "max": 1}


def _make_key(spec: Json, greeting: str, renewal: int) -> None:
    _service(spec)
    (container,) = spec["containers"]
    container["env"] = [{"name": "GREETING", "value": greeting}]
    container["volumeMounts"] = [{"name": "keys", "mountPath": "/keys"}]
    key = {"type": "secp256k1", "identity": True, "renewal": renewal}
    spec["volumes"] = [{"name": "keys", "secret": {"generate": {"node": key}}}]


def _have_key(spec: Json, peers: str) -> None:
    _service(spec)
    (container,) = spec["containers"]
    source = {"secretKeyRef": {"name": "config", "key": "peers"}}
    container["env"] = [{"name": "PEER", "valueFrom": source}]
    spec["volumes"] = [{"name": "config", "secret": {"files": {"peers": peers}, "rendered": ["peers"]}}]
    spec["network"] = {"nodes": ["a"]}


def test_a_node_has_what_another_is_known_by_until_that_is_made_anew(people: People) -> None:
    nodes = KnownNodes(people)
    file = nodes.write()
    assert nodes.planned(file) == {"a": "to be made", "b": "none"}
    nodes.run("apply", file)
    first = nodes.made()
    until("b has where a is", lambda: nodes.variable() == nodes.enode())
    file = nodes.write(greeting="anew")
    assert nodes.planned(file) == {"a": "made", "b": "none"}
    nodes.run("apply", file)
    assert nodes.made() == first
    until("b has where a is now", lambda: nodes.variable() == nodes.enode())
    nodes.run("apply", nodes.write(greeting="anew", renewal=1))
    assert nodes.made() != first
    until("b has what a is known by now", lambda: nodes.variable() == nodes.enode())
    nodes.run("delete", nodes.name)

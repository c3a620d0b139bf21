# SPDX-License-Identifier: Apache-2.0
"""Nodes in two clusters that call each other by an encrypted link; what nobody opened stays closed."""

import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.live.clients import probing
from tests.live.clients.probing import Knock, Protocol
from tests.live.clients.publisher import Json
from tests.live.commands import running
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.people import People, name
from tests.live.observers.capture import capture
from tests.live.observers.waiting import until
from trustedpods.localnet.network import NAMESPACES, entered
from trustedpods.provider.core.networks.tunnels import address_of

pytestmark = [pytest.mark.live, pytest.mark.soak]
"""Three pods over two clusters take minutes on two cores; `deploy/tunnel` has tests of the device alone."""

CALLED = {"a": ["b", "c"], "b": ["a"], "c": ["a", "b"]}
"""Whom each node names. That c names b opens nothing at b, in whose book it does not stand."""

CLUSTERS = {"a": 1, "b": 2, "c": 1}
PAGES, CLOSED, DATAGRAMS = 8080, 8081, 7000
LISTEN = 51_820
PAGE = b"Hello from a trusted pod."
ANSWER_S = 5.0


@pytest.fixture(scope="module")
def people(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    made = People(pair, tmp_path_factory.mktemp("people"))
    yield made
    made.close()


class TunnelledNodes:
    """The nodes of `CALLED`, each of which serves a page to those that it names alone."""

    def __init__(self, people: People) -> None:
        self.pair, self.person, self.name = people.pair, people.person, name()
        self.clusters = [part for one in people.named for part in ("--cluster", one)]
        for node, called in CALLED.items():
            self.person.manifest("hello", f"{self.name}-{node}", self._change(called))
        nodes = [
            {"name": node, "pod": f"{self.name}-{node}.yaml", "cluster": f"k{number}"}
            for node, number in CLUSTERS.items()
        ]
        head = {"apiVersion": "trustedpods/v1", "kind": "Network", "metadata": {"name": self.name}}
        self.file = self.person.folder / f"{self.name}.yaml"
        self.file.write_text(yaml.safe_dump({**head, "spec": {"nodes": nodes}}))
        self.person.run("network", "connect", self.name, *self.clusters)
        self.person.run("network", "apply", self.file.name, *self.clusters)
        self.pods = {node: str(one["pod"]) for node, one in self.status().items()}

    @staticmethod
    def _change(called: list[str]) -> Callable[[Json], None]:
        def change(spec: Json) -> None:
            key = {"type": "x25519", "identity": True, "encoding": "base64"}
            spec["volumes"] = [{"name": "keys", "secret": {"generate": {"link": key}}}]
            spec["services"] = [
                {"name": "link", "expose": "nodePort", "ports": [{"port": LISTEN, "protocol": "UDP"}]}
            ]
            spec["scale"] = {"min": 1, "max": 1}
            opened = [{"port": PAGES}, {"port": DATAGRAMS, "protocol": "UDP"}]
            spec["network"] = {"nodes": called, "tunnel": {"service": "link", "opens": opened}}

        return change

    def status(self) -> Json:
        """Each node, as `network status` says."""
        return dict(self.person.run("network", "status", self.name, *self.clusters).json["nodes"])

    def fetches(self, node: str, other: str) -> bool:
        """Whether the node's program gets the other's page by the tunnel, at its stable name."""
        place = f"http://{other}.tunnel.{self.name}.internal:{PAGES}/"
        words = ("timeout", "5", "wget", "-qO-", place)
        ran = running.run(self.person, self.pods[node], "--", *words)
        return ran.code == 0 and PAGE in ran.out

    def address(self, node: str) -> str:
        """In the tunnel."""
        return address_of(self.name, node)

    def place(self, node: str) -> Path:
        """The network namespace of its pod with its tunnel: who is there may do what its program may."""
        (found,) = until(f"{node} has its tunnel", lambda: self._found(node))
        return found

    def _found(self, node: str) -> list[Path]:
        try:
            return [probing.of_pod(self.pair, self.address(node), CLUSTERS[node])]
        except AssertionError:
            return []

    def knocks(self, node: str, other: str, port: int, protocol: Protocol = "tcp") -> bool:
        """Whether somebody in the node's pod reaches the other's port by the tunnel."""
        return Knock(self.place(node), self.address(other), port, protocol).reaches()


def said(namespace: Path, address: str, port: int, word: bytes) -> bytes:
    """What comes back to a datagram; empty where nothing does."""
    with entered(namespace):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with made:
        made.settimeout(ANSWER_S)
        made.connect((address, port))
        made.send(word)
        try:
            return made.recv(len(word))
        except OSError:
            return b""


def test_links_are_encrypted_and_lead_to_opened_ports_for_named_nodes_alone(
    people: People, tmp_path: Path
) -> None:
    nodes, far = TunnelledNodes(people), people.pair.cluster(2)
    until("a gets the page of b", lambda: nodes.fetches("a", "b"))
    for node in ("b", "c"):
        until(f"{node} reaches a", lambda n=node: nodes.knocks(n, "a", PAGES))

    place, address, word = nodes.place("b"), nodes.address("b"), secrets.token_hex(16).encode()
    with probing.echo(place, "0.0.0.0", DATAGRAMS, "udp") as came:
        link = NAMESPACES / str(far.namespace)
        with capture("eth0", tmp_path / "frames", far.node_ip, within=link) as file:
            here = nodes.place("a")
            until("a datagram comes back", lambda: said(here, address, DATAGRAMS, word) == word)
            until("the page comes", lambda: nodes.fetches("a", "b"))
        assert set(came) == {nodes.address("a")}, "the caller's own address is seen"
        frames = file.read_bytes()
        assert (word in frames, PAGE in frames) == (False, False)

        with probing.echo(place, "0.0.0.0", CLOSED):
            assert Knock(place, "127.0.0.1", CLOSED).reaches(), "somebody listens there"
            assert not nodes.knocks("a", "b", CLOSED)
        assert not nodes.knocks("c", "b", PAGES)
        assert not nodes.knocks("c", "b", DATAGRAMS, "udp")
        assert set(came) == {nodes.address("a")}

    assert nodes.status()["a"]["live"]["reason"] == ""

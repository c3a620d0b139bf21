# SPDX-License-Identifier: Apache-2.0
"""Nodes in two clusters that call each other by an encrypted link; what nobody opened stays closed."""

import json
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.live.clients import probing
from tests.live.clients.probing import Knock, Protocol
from tests.live.clients.publisher import Json
from tests.live.commands import running
from tests.live.faults.providers import FaultyProvider, Runs, look_after, runs_of, within
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.networks.people import People, name
from tests.live.observers.capture import capture
from tests.live.observers.waiting import until
from trustedpods.localnet.network import NAMESPACES, entered
from trustedpods.provider.core.networks.tunnels import address_of

pytestmark = [pytest.mark.live, pytest.mark.soak, pytest.mark.timeout(1500)]
"""Three pods over two clusters take minutes on two cores; `deploy/tunnel` has tests of the device alone."""

CALLED = {"a": ["b", "c"], "b": ["a"], "c": ["a", "b"]}
"""Whom each node names. That c names b opens nothing at b, in whose book it does not stand."""

CLUSTERS = {"a": 1, "b": 2, "c": 1}
PAGES, CLOSED, DATAGRAMS = 8080, 8081, 7000
LISTEN = 51_820
PAGE = b"Hello from a trusted pod."
ANSWER_S = 5.0

AFTER_NEWS_S = 60.0
AFTER_RELEASE_S = 120.0
"""Until both ends meet again: once a new address came, or `watch` released pods."""


@pytest.fixture(scope="module")
def people(pair: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    made = People(pair, tmp_path_factory.mktemp("people"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def nodes(people: People) -> "TunnelledNodes":
    return TunnelledNodes(people)


class TunnelledNodes:
    """The nodes of `CALLED`, each of which serves a page to those that it names alone."""

    def __init__(self, people: People) -> None:
        self.pair, self.person, self.name = people.pair, people.person, name()
        self.clusters = [part for one in people.named for part in ("--cluster", one)]
        self.person.run("network", "connect", self.name, *self.clusters)
        self.apply()
        self.pods = {node: str(one["pod"]) for node, one in self.status().items()}

    def apply(self, **greetings: str) -> Json:
        """Apply the network; the greeting of a node is what changes it."""
        for node, called in CALLED.items():
            change = self._change(called, greetings.get(node, "hello"))
            self.person.manifest("hello", f"{self.name}-{node}", change)
        nodes = [
            {"name": node, "pod": f"{self.name}-{node}.yaml", "cluster": f"k{number}"}
            for node, number in CLUSTERS.items()
        ]
        head = {"apiVersion": "trustedpods/v1", "kind": "Network", "metadata": {"name": self.name}}
        file = self.person.folder / f"{self.name}.yaml"
        file.write_text(yaml.safe_dump({**head, "spec": {"nodes": nodes}}))
        return self.person.run("network", "apply", file.name, *self.clusters).json

    @staticmethod
    def _change(called: list[str], greeting: str) -> Callable[[Json], None]:
        def change(spec: Json) -> None:
            spec["containers"][0]["env"] = [{"name": "GREETING", "value": greeting}]
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

    def meet(self) -> bool:
        """Whether a and b each get the other's page."""
        return self.fetches("a", "b") and self.knocks("b", "a", PAGES)

    def published(self, node: str) -> str:
        """ADDRESS:PORT at which the node's tunnel is reached now."""
        return urlsplit(self.status()[node]["url"]).netloc

    def move(self, node: str) -> None:
        """Delete the node's pod, let somebody else have its port, and have the network applied anew."""
        port = self.published(node).rpartition(":")[2]
        self.person.run("delete", self.pods[node])
        ports = [{"port": 1, "protocol": "UDP", "nodePort": int(port)}]
        taken = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": self.name}}
        service = {**taken, "spec": {"type": "NodePort", "ports": ports}}
        self.pair.apply(service, index=CLUSTERS[node])
        self.apply(**{node: "anew"})

    def runs(self, node: str) -> Runs:
        """What is equal as long as nothing of the node restarts."""
        words = ("-n", self.space(node), "get", "pods", "-o", "json")
        return runs_of(json.loads(self.pair.kubectl(*words, index=CLUSTERS[node]))["items"])

    def space(self, node: str) -> str:
        """The namespace of its pod."""
        return str(self.status()[node]["live"]["namespace"])

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
    people: People, nodes: TunnelledNodes, tmp_path: Path
) -> None:
    far = people.pair.cluster(2)
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

    def whole() -> bool:
        """Whether nobody of a's peers is silent: c was not there at first."""
        return nodes.status()["a"]["live"]["reason"] == ""

    until("a lacks nobody", whole)


def test_a_tunnel_follows_a_node_that_comes_again_at_another_port_with_another_key(
    nodes: TunnelledNodes,
) -> None:
    until("a and b meet", nodes.meet)
    before, address, runs = nodes.published("b"), nodes.address("b"), nodes.runs("a")
    nodes.move("b")
    assert nodes.published("b") != before
    within("a and b meet at b's new port", nodes.meet, AFTER_NEWS_S)
    assert nodes.address("b") == address
    assert nodes.runs("a") == runs, "who calls is told, and not restarted"


def test_a_tunnel_is_there_again_after_a_machine_restarted(nodes: TunnelledNodes) -> None:
    """Last in its file: keys of a boot are gone, and its owner's watch brings its pods back."""
    until("a and b meet", nodes.meet)
    runs = nodes.runs("a")
    FaultyProvider(nodes.pair, CLUSTERS["b"]).reboot([nodes.space("b")])
    look_after(nodes.person)
    within("a and b meet after b's machine restarted", nodes.meet, AFTER_RELEASE_S)
    assert nodes.runs("a") == runs

# SPDX-License-Identifier: Apache-2.0
"""Services at ports of nodes, TCP and UDP: reached, counted, shut to other pods, kept by updates."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.live.clients import probing, web
from tests.live.clients.probing import Knock
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.books import counted
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster.binaries import BUSYBOX
from trustedpods.localnet.network import entered

pytestmark = pytest.mark.live

PORT = 7000
DATAGRAMS, SIZE = 400, 1000
HEADERS = 28
"""Bytes of IPv4 (20) and UDP (8) around each datagram; the node counts those of IP packets."""

ANSWER_S = 5.0


def at_nodes(spec: Json) -> None:
    """The echo example at ports of nodes, which never sleeps, with a service of http beside them."""
    spec["containers"][0]["ports"].append({"containerPort": PORT, "protocol": "UDP"})
    both = [{"port": PORT}, {"port": PORT, "protocol": "UDP"}]
    spec["services"] = [
        {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]},
        {"name": "both", "expose": "nodePort", "ports": both},
        {"name": "game", "expose": "udp", "ports": [{"port": PORT, "protocol": "UDP"}]},
        {"name": "front", "expose": "loadBalancer", "ports": both},
    ]
    spec["scale"] = {"min": 1, "max": 1}


def places(deployed: Deployed) -> dict[tuple[str, str], tuple[str, int]]:
    """Address and port by service and scheme, as `deploy` printed them."""
    found = {}
    for end in deployed.result["endpoints"]:
        url = urlsplit(end["url"])
        if url.scheme in ("tcp", "udp"):
            assert url.hostname is not None
            assert url.port is not None
            found[end["service"], url.scheme] = (url.hostname, url.port)
    return found


def echoed(place: tuple[str, int], count: int, network: Path | None = None) -> int:
    """Of *count* datagrams, sent one after another, how many came back as they were.

    They are sent by somebody in *network*, or by whoever runs the test.
    """
    with entered(network) if network is not None else nullcontext():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with made as client:
        client.settimeout(ANSWER_S)
        client.connect(place)
        back = 0
        for number in range(count):
            datagram = number.to_bytes(4, "big") * (SIZE // 4)
            client.send(datagram)
            back += client.recv(2 * SIZE) == datagram
        return back


def answers(place: tuple[str, int]) -> bool:
    """Whether a datagram comes back: nodes take up a new replica within a second or so."""
    try:
        return echoed(place, 1) == 1
    except OSError:
        return False


def connects(place: tuple[str, int]) -> bool:
    """The same of a connection: each service is taken up by itself."""
    try:
        socket.create_connection(place, ANSWER_S).close()
    except OSError:
        return False
    return True


def tcp_echoed(place: tuple[str, int], data: bytes) -> bytes:
    with socket.create_connection(place, ANSWER_S) as client:
        client.sendall(data)
        return client.recv(len(data), socket.MSG_WAITALL)


def check_counted(before: tuple[int, int], after: tuple[int, int], datagrams: int) -> None:
    """What came in and what went out are within a hundredth of so many *datagrams*."""
    sent = datagrams * (SIZE + HEADERS)
    for way in range(2):
        assert sent * 99 <= 100 * (after[way] - before[way]) <= sent * 101


@dataclass(frozen=True)
class Stranger:
    """A pod of somebody else's, to which nothing is shut but what others shut; its two namespaces."""

    name: str
    network: Path

    def hears(self, place: tuple[str, int]) -> bool:
        """Whether it gets a datagram back from there."""
        return Knock(self.network, *place, "udp").reaches()


@pytest.fixture(scope="module")
def stranger(market: LiveLocalnet) -> Iterator[Stranger]:
    name = unique("stranger")
    market.make_namespace(name)
    container = {"name": "c", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["sleep", "1000"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    metadata = {"name": "p", "namespace": name}
    market.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    market.kubectl("-n", name, "wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
    address = market.kubectl("-n", name, "get", "pod", "p", "-o", "jsonpath={.status.podIP}")
    yield Stranger(name, probing.of_pod(market, address))
    market.kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def opened(market: LiveLocalnet, namespace: str, stranger: str) -> Iterator[None]:
    """The stranger's namespace may call the pod while the block runs."""
    peer: Any = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stranger}}}
    ports = [{"protocol": "UDP", "port": PORT}]
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [peer], "ports": ports}]}
    metadata = {"name": "stranger", "namespace": namespace}
    market.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata,
            "spec": spec,
        }
    )
    try:
        yield
    finally:
        market.kubectl("-n", namespace, "delete", "networkpolicy", "stranger")


def test_nodes_serve_what_a_manifest_exposes_there(
    market: LiveLocalnet, publisher: Publisher, stranger: Stranger
) -> None:
    name = unique("nodes")
    deployed = publisher.deploy(publisher.manifest("echo", name, at_nodes))
    found = places(deployed)
    assert set(found) == {(service, scheme) for service in ("both", "front") for scheme in ("tcp", "udp")} | {
        ("game", "udp")
    }
    assert found["front", "tcp"] == found["front", "udp"]
    assert found["front", "tcp"][1] == PORT
    assert web.get(deployed.url).status == 200
    for service in ("both", "game", "front"):
        until(f"the node serves {service}", lambda service=service: answers(found[service, "udp"]))
    before = counted(market, deployed.namespace)
    for service in ("both", "game", "front"):
        assert echoed(found[service, "udp"], DATAGRAMS) == DATAGRAMS
    check_counted(before, counted(market, deployed.namespace), 3 * DATAGRAMS)
    for service in ("both", "front"):
        assert tcp_echoed(found[service, "tcp"], b"x" * SIZE) == b"x" * SIZE

    words = ["-n", deployed.namespace, "get", "service", "game", "-o", "jsonpath={.spec.clusterIP}"]
    inside = (market.kubectl(*words), PORT)
    for place in (found["both", "udp"], found["game", "udp"], found["front", "udp"], inside):
        assert not stranger.hears(place)
    with opened(market, deployed.namespace, stranger.name):
        until("the policy holds", lambda: stranger.hears(inside))
        before = counted(market, deployed.namespace)
        assert echoed(inside, DATAGRAMS, stranger.network) == DATAGRAMS
        check_counted(before, counted(market, deployed.namespace), DATAGRAMS)
    until("it is shut again", lambda: not stranger.hears(inside))

    def changed(spec: Json) -> None:
        at_nodes(spec)
        spec["containers"][0]["env"] = [{"name": "VERSION", "value": "2"}]

    newer = publisher.deploy(publisher.manifest("echo", name, changed))
    assert newer.namespace != deployed.namespace, "the newer version ran beside the one before"
    assert places(newer) == found
    assert market.kubectl("-n", newer.namespace, *words[2:]) == inside[0]
    until("the newer version answers", lambda: answers(found["game", "udp"]))
    until("it takes connections", lambda: connects(found["both", "tcp"]))
    assert tcp_echoed(found["both", "tcp"], b"y" * SIZE) == b"y" * SIZE

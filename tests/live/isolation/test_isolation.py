# SPDX-License-Identifier: Apache-2.0
"""Two tenants and one that may call the world: who reaches what, path by path."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from tests.live.clients import outside, probing, web
from tests.live.clients.probing import Knock, all_at_once
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until

pytestmark = pytest.mark.live

SERVED = 8080
OTHER, ASKED, UNASKED, V6 = 8081, 7000, 7005, 7006

OPEN, SHUT = True, False

# from      to            port      protocol   under the policies   without them
PATHS = [
    # one tenant and another
    ("a",     "b",          SERVED,   "tcp",     SHUT,                OPEN),
    ("a",     "b",          OTHER,    "tcp",     SHUT,                OPEN),
    ("a",     "b",          OTHER,    "udp",     SHUT,                OPEN),
    ("b",     "a",          SERVED,   "tcp",     SHUT,                OPEN),
    ("a",     "service-b",  SERVED,   "tcp",     SHUT,                OPEN),
    ("b",     "service-a",  SERVED,   "tcp",     SHUT,                OPEN),
    ("a",     "service-a",  SERVED,   "tcp",     OPEN,                OPEN),  # itself
    ("a",     "nodeport-b", "nodeport", "tcp",   SHUT,                OPEN),
    # a tenant and the provider
    ("a",     "node",       6443,     "tcp",     SHUT,                OPEN),  # API server
    ("a",     "kubernetes", 443,      "tcp",     SHUT,                OPEN),  # the same by its Service
    ("a",     "node",       10250,    "tcp",     SHUT,                OPEN),  # kubelet
    ("a",     "node",       80,       "tcp",     SHUT,                OPEN),  # facade
    ("a",     "node",       "peer",   "tcp",     SHUT,                OPEN),  # daemon
    ("a",     "dns",        53,       "tcp",     SHUT,                OPEN),
    ("a",     "chain",      "chain",  "tcp",     SHUT,                SHUT),  # no route back, besides
    ("a",     "node",       "registry", "tcp",   SHUT,                SHUT),  # on loopback only
    ("a",     "node-v6",    V6,       "tcp",     SHUT,                OPEN),  # link-local IPv6
    # a tenant and the world
    ("a",     "server",     ASKED,    "tcp",     SHUT,                OPEN),
    ("c",     "server",     ASKED,    "tcp",     OPEN,                OPEN),  # as its manifest asks
    ("c",     "server",     UNASKED,  "tcp",     SHUT,                OPEN),
    ("c",     "server",     ASKED,    "udp",     SHUT,                OPEN),
    ("c",     "forbidden",  ASKED,    "tcp",     SHUT,                OPEN),  # its `except`
    ("c",     "b",          SERVED,   "tcp",     SHUT,                OPEN),
    ("c",     "node",       6443,     "tcp",     SHUT,                OPEN),
    ("world", "a",          SERVED,   "tcp",     SHUT,                OPEN),
    ("world", "c",          SERVED,   "tcp",     SHUT,                OPEN),
    ("world", "nodeport-b", "nodeport", "tcp",   SHUT,                OPEN),
    # what must work
    ("node",  "a",          SERVED,   "tcp",     OPEN,                OPEN),  # facade, kubelet
    ("node",  "chain",      "chain",  "tcp",     OPEN,                OPEN),
]  # fmt: skip


@dataclass(frozen=True)
class Town:
    """Everybody who lives here: where they are, and the addresses and ports of what they are called."""

    market: LiveLocalnet
    pods: dict[str, Deployed]
    places: dict[str, Path]
    addresses: dict[str, str]
    ports: dict[str, int]

    def knock(self, path: tuple[str, str, int | str, str, bool, bool]) -> Knock:
        frm, to, port, protocol = path[:4]
        number = self.ports[port] if isinstance(port, str) else port
        assert protocol in ("tcp", "udp")
        return Knock(self.places[frm], self.addresses[to], number, "tcp" if protocol == "tcp" else "udp")

    def look(self) -> dict[str, bool]:
        """Which paths are open, all tried at once."""
        found = all_at_once([self.knock(path).reaches for path in PATHS])
        return dict(zip(map(words, PATHS), found, strict=True))


def words(path: tuple[str, str, int | str, str, bool, bool]) -> str:
    """A path as a failure names it."""
    return "{} -> {}:{}/{}".format(*path[:4])


EXPECTED = {words(path): path[4] for path in PATHS}
WITHOUT_RULES = {words(path): path[5] for path in PATHS}


@pytest.fixture(scope="module")
def town(market: LiveLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    people = [_somebody(market, tmp_path_factory.mktemp("tenant")) for _ in range(3)]
    with contextlib.ExitStack() as stack:
        beyond = stack.enter_context(outside.world(market))
        with ThreadPoolExecutor(3) as pool:
            asks = (_closed, _closed, _calls_the_world)
            deployed = list(pool.map(_deploy, people, asks))
        pods = dict(zip("abc", deployed, strict=True))
        at = {name: _address(market, pod.namespace) for name, pod in pods.items()}
        places = {name: probing.of_pod(market, address) for name, address in at.items()}
        places |= {"node": probing.node(market), "world": beyond}
        _listen(stack, places)
        addresses, ports = _names(market, places, at, stack)
        yield Town(market, pods, places, addresses, ports)
    all_at_once([person.close for person in people])


def _somebody(market: LiveLocalnet, folder: Path) -> Publisher:
    return Publisher(market, Bank(market).new_account(folder), folder)


def _closed(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}


def _calls_the_world(spec: Json) -> None:
    _closed(spec)
    block = {"cidr": "203.0.113.0/24", "except": [f"{outside.FORBIDDEN}/32"]}
    spec["network"] = {"egress": [{"to": [{"ipBlock": block}], "ports": [{"port": ASKED}]}]}


def _deploy(person: Publisher, change: Callable[[Json], None]) -> Deployed:
    return person.deploy(person.manifest("hello", unique("tenant"), change))


def _address(market: LiveLocalnet, namespace: str) -> str:
    (pod,) = until("one replica", lambda: replicas(market, namespace))
    return str(pod["status"]["podIP"])


def _listen(stack: contextlib.ExitStack, places: dict[str, Path]) -> None:
    """Who is reached where nothing of the market's own listens."""
    for protocol in ("tcp", "udp"):
        stack.enter_context(probing.echo(places["b"], "0.0.0.0", OTHER, protocol))
        stack.enter_context(probing.echo(places["world"], "0.0.0.0", ASKED, protocol))
    stack.enter_context(probing.echo(places["world"], "0.0.0.0", UNASKED))
    stack.enter_context(probing.echo(places["node"], "::", V6))


def _names(
    market: LiveLocalnet, places: dict[str, Path], at: dict[str, str], stack: contextlib.ExitStack
) -> tuple[dict[str, str], dict[str, int]]:
    cluster = market.cluster()
    services = {name: _service(market, at[name], stack) for name in "ab"}
    addresses = at | {
        "node": cluster.node_ip,
        "nodeport-b": cluster.node_ip,
        "kubernetes": cluster.api_service_ip,
        "dns": cluster.dns_ip,
        "chain": market.settings.gateway,
        "server": outside.SERVER,
        "forbidden": outside.FORBIDDEN,
        "node-v6": _link_local(places["node"], at["a"]),
        **{f"service-{name}": address for name, (address, _) in services.items()},
    }
    ports = {
        "nodeport": services["b"][1],
        "chain": cluster.ports.chain,
        "peer": cluster.ports.peer,
        "registry": cluster.ports.registry,
    }
    return addresses, ports


def _service(market: LiveLocalnet, address: str, stack: contextlib.ExitStack) -> tuple[str, int]:
    """A Service in front of one tenant, as only the operator could make it: its address and node port."""
    name = unique("front")
    port = {"port": SERVED, "protocol": "TCP"}
    market.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"type": "NodePort", "ports": [port]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [port],
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        },
    )
    stack.callback(market.kubectl, "-n", "default", "delete", "service,endpointslice", name)
    found = market.kubectl(
        "-n", "default", "get", "service", name, "-o", "jsonpath={.spec.clusterIP} {.spec.ports[0].nodePort}"
    )
    cluster_ip, node_port = found.split()
    rules = partial(market.on_node, "iptables", "-t", "nat", "-S")
    until("kube-proxy serves it", lambda: f"{address}:{SERVED}" in rules() and cluster_ip in rules())
    return cluster_ip, int(node_port)


def _link_local(node: Path, pod: str) -> str:
    """The node's IPv6 address on its link to a pod, as the pod writes it."""
    link = (
        probing.run("nsenter", f"--net={node}", "ip", "-o", "route", "get", pod).split(" dev ")[1].split()[0]
    )
    shown = probing.run("nsenter", f"--net={node}", "ip", "-o", "-6", "address", "show", "dev", link)
    return shown.split("inet6 ")[1].split("/")[0] + "%eth0"


def test_every_path_is_open_or_shut_as_it_must_be(town: Town) -> None:
    assert town.look() == EXPECTED


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
        until("every path is as without rules", lambda: town.look() == WITHOUT_RULES)
    finally:
        os.kill(agent, signal.SIGKILL)
    until(
        "the supervisor started another agent", lambda: town.market.parts()["k1/netpol"]["state"] == "ready"
    )
    until("the rules are back", lambda: town.look() == EXPECTED)

# SPDX-License-Identifier: Apache-2.0
"""Two tenants and one that may call the world, on one node or on several, and all paths between them."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.live.clients import outside, probing
from tests.live.clients.probing import Knock, all_at_once
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.localnet.network import NAMESPACES
from trustedpods.localnet.settings import ZONE_LABEL, ClusterNode

NOWHERE: Mapping[str, str] = {}
"""Pods go where the scheduler wants."""

SERVED = 8080
OTHER, ASKED, UNASKED, V6 = 8081, 7000, 7005, 7006
WEB, MAIL = 80, (25, 465, 587)

OPEN, SHUT = True, False

PathRow = tuple[str, str, int | str, str, bool, bool]

# from      to            port      protocol   under the policies   without them
PATHS: list[PathRow] = [
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
    ("c",     "server",     WEB,      "tcp",     OPEN,                OPEN),  # in a range that has mail
    ("c",     "server",     25,       "tcp",     SHUT,                OPEN),
    ("c",     "server",     465,      "tcp",     SHUT,                OPEN),
    ("c",     "server",     587,      "tcp",     SHUT,                OPEN),
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


UDP_PATHS: list[PathRow] = [
    ("a",     "b",          OTHER,    "udp",     SHUT,                OPEN),
    ("b",     "a",          OTHER,    "udp",     SHUT,                OPEN),
    ("a",     "c",          OTHER,    "udp",     SHUT,                OPEN),
    ("c",     "a",          OTHER,    "udp",     SHUT,                OPEN),
    ("b",     "c",          OTHER,    "udp",     SHUT,                OPEN),
    ("c",     "b",          OTHER,    "udp",     SHUT,                OPEN),
    ("a",     "node",       UNASKED,  "udp",     SHUT,                OPEN),
    ("c",     "node",       UNASKED,  "udp",     SHUT,                OPEN),
    ("a",     "home",       UNASKED,  "udp",     SHUT,                OPEN),
    ("a",     "server",     ASKED,    "udp",     SHUT,                OPEN),
    ("c",     "server",     ASKED,    "udp",     SHUT,                OPEN),
    ("c",     "forbidden",  ASKED,    "udp",     SHUT,                OPEN),
    ("world", "a",          OTHER,    "udp",     SHUT,                OPEN),
    ("world", "c",          OTHER,    "udp",     SHUT,                OPEN),
]  # fmt: skip
"""Datagrams, where the market's own things speak tcp; `home` is tenant a's own node of several."""


@dataclass(frozen=True)
class Town:
    """Everybody who lives here: where they are, and the addresses and ports of what they are called."""

    market: LiveLocalnet
    pods: dict[str, Deployed]
    places: dict[str, Path]
    addresses: dict[str, str]
    ports: dict[str, int]

    def knock(self, path: PathRow) -> Knock:
        frm, to, port, protocol = path[:4]
        number = self.ports[port] if isinstance(port, str) else port
        assert protocol in ("tcp", "udp")
        return Knock(self.places[frm], self.addresses[to], number, "tcp" if protocol == "tcp" else "udp")

    def look(self, paths: Sequence[PathRow] = PATHS) -> dict[str, bool]:
        """Which paths are open, all tried at once."""
        found = all_at_once([self.knock(path).reaches for path in paths])
        return dict(zip(map(words, paths), found, strict=True))


def words(path: PathRow) -> str:
    """A path as a failure names it."""
    return "{} -> {}:{}/{}".format(*path[:4])


def somebody(market: LiveLocalnet, folder: Path) -> Publisher:
    return Publisher(market, Bank(market).new_account(folder), folder)


def _closed(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}


_LOW = {"port": 1, "endPort": 1023}
"""All the well-known ports, those of mail among them."""


def _calls_the_world(spec: Json) -> None:
    _closed(spec)
    block = {"cidr": "203.0.113.0/24", "except": [f"{outside.FORBIDDEN}/32"]}
    spec["network"] = {"egress": [{"to": [{"ipBlock": block}], "ports": [{"port": ASKED}, _LOW]}]}


def _deploy(person: Publisher, change: Callable[[Json], None], node: str | None) -> Deployed:
    def placed(spec: Json) -> None:
        change(spec)
        if node is not None:
            spec["nodeSelector"] = {ZONE_LABEL: node}

    return person.deploy(person.manifest("hello", unique("tenant"), placed))


def _home(market: LiveLocalnet, nodes: Mapping[str, str]) -> ClusterNode:
    """The node of tenant a."""
    cluster = market.cluster()
    return next(node for node in cluster.nodes if node.name == nodes.get("a", cluster.name))


def _address(market: LiveLocalnet, namespace: str) -> str:
    (pod,) = until("one replica", lambda: replicas(market, namespace))
    return str(pod["status"]["podIP"])


@contextlib.contextmanager
def town_of(
    market: LiveLocalnet, people: Sequence[Publisher], nodes: Mapping[str, str] = NOWHERE
) -> Iterator[Town]:
    """Three tenants, a, b and c, on the *nodes* that are said by name, and whomever they may knock at."""
    home = _home(market, nodes)
    with contextlib.ExitStack() as stack:
        beyond = stack.enter_context(outside.world(market))
        with ThreadPoolExecutor(3) as pool:
            asks = (_closed, _closed, _calls_the_world)
            deployed = list(pool.map(_deploy, people, asks, [nodes.get(name) for name in "abc"]))
        pods = dict(zip("abc", deployed, strict=True))
        at = {name: _address(market, pod.namespace) for name, pod in pods.items()}
        places = {name: probing.of_pod(market, address) for name, address in at.items()}
        places |= {"node": probing.node(market), "home": NAMESPACES / str(home.namespace), "world": beyond}
        _listen(stack, places, {market.cluster().node_ip: places["node"], home.node_ip: places["home"]})
        addresses, ports = _names(market, places, at, home, stack)
        yield Town(market, pods, places, addresses, ports)


def _listen(stack: contextlib.ExitStack, places: dict[str, Path], nodes: dict[str, Path]) -> None:
    """Who is reached where nothing of the market's own listens.

    A datagram is answered from the address that was asked: who has several listens at that one.
    """
    for protocol in ("tcp", "udp"):
        stack.enter_context(probing.echo(places["b"], "0.0.0.0", OTHER, protocol))
        stack.enter_context(probing.echo(places["world"], "0.0.0.0", ASKED, protocol))
    for tenant in "ac":
        stack.enter_context(probing.echo(places[tenant], "0.0.0.0", OTHER, "udp"))
    for address, node in nodes.items():
        stack.enter_context(probing.echo(node, address, UNASKED, "udp"))
    stack.enter_context(probing.echo(places["world"], outside.FORBIDDEN, ASKED, "udp"))
    for port in (UNASKED, WEB, *MAIL):
        stack.enter_context(probing.echo(places["world"], "0.0.0.0", port))
    stack.enter_context(probing.echo(places["home"], "::", V6))


def _names(
    market: LiveLocalnet,
    places: dict[str, Path],
    at: dict[str, str],
    home: ClusterNode,
    stack: contextlib.ExitStack,
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
        "home": home.node_ip,
        "node-v6": _link_local(places["home"], at["a"]),
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

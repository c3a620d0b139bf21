# SPDX-License-Identifier: Apache-2.0
"""What only a try tells: nodes pull our images, their network parts pods, what pods write has an end."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path

import trio

from trustedpods.protocol.errors import NoContext, TrustedPodsError
from trustedpods.provider.admin.socket import ask_daemon
from trustedpods.provider.admin.views import PodList, PodsRequest, StoreRequest, StoreView
from trustedpods.provider.admission.isolation_probe import isolation_at, probe_places, scratch_at
from trustedpods.provider.cluster.client import Cluster, open_cluster
from trustedpods.provider.cluster.freezer.door import Freezer
from trustedpods.provider.cluster.isolation_proof.probe_pods import ProbePlace
from trustedpods.provider.cluster.pod_counters import TrafficDoor
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.disk import DiskState
from trustedpods.provider.store.engines.postgres import name_of, parse

NODES_AT_ONCE = 8
"""Nodes on which probe pods run at the same time: each has four of them, and is asked twice a second."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a try on one node showed: a sentence, or what does not hold."""

    node: str
    told: str | TrustedPodsError


Try = Callable[[ProviderConfig, Cluster, ProbePlace], Awaitable[str]]
"""One try at one place: a sentence of what holds; NoContext says what does not."""


async def on_nodes(config: ProviderConfig, attempt: Try) -> list[Shown]:
    """What *attempt* shows on each node that takes pods, by name.

    NoContext where that cannot be tried: without its network agent an embedded cluster starts no pod.
    """
    await traffic(config)
    async with open_cluster(Path(config.cluster.kubeconfig)) as cluster:
        nodes = sorted((await cluster.capacity()).nodes)
        if not nodes:
            raise NoContext("no node is ready for pods", hint="kubectl get nodes; uncordon what may run pods")
        async with probe_places(config) as place:
            return await _try_all(nodes, lambda node: attempt(config, cluster, place(node)))


async def _try_all(nodes: Sequence[str], attempt: Callable[[str], Awaitable[str]]) -> list[Shown]:
    shown: dict[str, Shown] = {}
    turn = trio.CapacityLimiter(NODES_AT_ONCE)

    async def run(node: str) -> None:
        async with turn:
            try:
                shown[node] = Shown(node, await attempt(node))
            except TrustedPodsError as error:
                shown[node] = Shown(node, error)

    async with trio.open_nursery() as nursery:
        for node in nodes:
            nursery.start_soon(run, node)
    return [shown[node] for node in nodes]


async def isolation(config: ProviderConfig, cluster: Cluster, place: ProbePlace) -> str:
    """Prove with two live pods that policies part them."""
    await isolation_at(cluster, place)
    if place.node is not None:
        await _check_node(config, cluster, place.node)
    return "the node pulled a probe image; two probe pods were apart as soon as a policy said so, both ways"


async def scratch(_config: ProviderConfig, cluster: Cluster, place: ProbePlace) -> str:
    """Prove with live pods that whatever they write has an end; NoContext names places where it has none."""
    await scratch_at(cluster, place)
    return "probe pods that wrote more than they may were ended, or what they wrote was cut"


async def _check_node(config: ProviderConfig, cluster: Cluster, node: str) -> None:
    """A pod that may call the world must not be able to call the node by its public address."""
    closed = [IPv4Network(text) for text in config.cluster.closed_networks]
    for text in await cluster.node_addresses(node):
        try:
            address = IPv4Address(text)
        except AddressValueError:
            continue  # pods have no IPv6 here
        if not any(address in network for network in closed):
            raise NoContext(
                f"pods whose manifest opens the world could call the node at {address}",
                hint=f'add "{address}/32" to egress_closed in [cluster] of the configuration',
            )


async def traffic(config: ProviderConfig) -> str:
    """Whether what pods send past the facade is counted."""
    if config.cluster.traffic_socket is None:
        return "not counted past the facade: no traffic_socket is configured"
    pods = await TrafficDoor(Path(config.cluster.traffic_socket)).counters()
    limits = config.egress.limits
    told = f"; each replica may send {limits}" if limits else ""
    return f"the network agent counts, {len(pods)} pods so far{told}"


async def kernel_tcp(config: ProviderConfig) -> str:
    """Who carries plain TCP, where that is not HAProxy alone; NoContext where nobody does it who should."""
    path = config.facade.ways_socket
    if config.facade.tcp != "kernel" or path is None:
        return ""
    if config.egress.limits:
        return "; tcp stays in HAProxy, because of the limits in [egress]"
    try:
        async with await trio.open_unix_socket(path):
            return "; the kernel carries tcp where it can (`top -o json` says which)"
    except OSError as error:
        raise NoContext(
            f"nobody leads tcp past HAProxy at {path}: {error.strerror}",
            hint="set NETPOL_WAYS and NETPOL_WAYS_PORTS of the network policy agent, and look into its log",
        ) from None


async def sleep(config: ProviderConfig) -> str:
    """Whether pods sleep warm, and whether nodes page them out; NetworkFailure where one does not answer."""
    sockets = config.cluster.freezer_sockets
    if not sockets:
        return "all pods sleep cold: no freezer_sockets are configured"
    told = Counter(await Freezer([Path(one) for one in sockets]).paging())
    paging = ", ".join(f"{state} on {count}" for state, count in sorted(told.items()))
    return f"agents of {len(sockets)} nodes freeze pods; paging out to compressed memory: {paging}"


async def activator(config: ProviderConfig) -> str:
    """Whether the activator listens for the first slot, without waking anybody."""
    path = Path(config.facade.activator_dir)
    if not _listens_in(path):
        raise NoContext(f"no activator listens in {path}", hint="start trustedpods-activator")
    return str(path)


async def daemon(config: ProviderConfig) -> str:
    """Whether the daemon takes the operator's verbs; NoContext when none does."""
    found = await ask_daemon(config.admin_socket, PodsRequest(), PodList)
    return f"serves {len(found.pods)} pods"


async def publishers(config: ProviderConfig) -> str:
    """What one publisher's pods may take together."""
    quota = config.publishers.quota
    bounds = [
        f"{most} {unit}"
        for most, unit in (
            (quota.pods, "pods"),
            (quota.cpu_milli, "m of CPU"),
            (quota.memory_mib, "MiB of memory"),
        )
        if most is not None
    ]
    return f"one may take {', '.join(bounds)}" if bounds else "nothing bounds what one may take"


async def store(config: ProviderConfig) -> str:
    """Whether the daemon's books have room and can be written; NoContext says what does not hold."""
    found = await ask_daemon(config.admin_socket, StoreRequest(), StoreView)
    if found.state is not DiskState.GOOD:
        needed = config.store.reserve_mib + config.store.min_free_mib
        raise NoContext(
            found.failure or f"the disk of the books is {found.state}: {found.free_mib} MiB are free",
            where=_place_of_books(config),
            hint=f"make room: with {needed} MiB pods are taken again",
        )
    place = "where the books are" if config.store.database is None else "in the daemon's folder"
    return f"{found.free_mib} MiB are free {place}"


def _place_of_books(config: ProviderConfig) -> str:
    """Their file, or their database without what its URL may hold of secrets."""
    database = config.store.database
    return config.store.path if database is None else name_of(parse(database))


def _listens_in(path: Path) -> bool:
    """Whether a process listens at a unix socket in this folder.

    Asked of the kernel: a file tells nothing of who made it, and a connection would be work.
    """
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        listening = len(fields) > 7 and int(fields[3], 16) & _ACCEPTS
        if listening and path in Path(fields[7]).parents:
            return True
    return False


_ACCEPTS = 0x10000
"""The kernel's __SO_ACCEPTCON, in the flags of /proc/net/unix."""

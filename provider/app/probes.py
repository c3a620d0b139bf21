# SPDX-License-Identifier: Apache-2.0
"""What only a try can tell: that a node pulls our images, and that its network parts two pods."""

import secrets
from collections.abc import AsyncIterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.app.operator import ask_operator
from trustedpods.provider.cluster.client import Cluster, open_cluster
from trustedpods.provider.cluster.probe_image import MANIFEST, ProbeImage, probe_image
from trustedpods.provider.cluster.proving import Proof
from trustedpods.provider.cluster.registry import Registry, open_registry
from trustedpods.provider.cluster.traffic import TrafficDoor
from trustedpods.provider.config import ProviderConfig

BUSYBOX = (Path("/bin/busybox"), Path("/usr/bin/busybox"))
"""Where Debian's busybox-static puts the program of the probe pods."""

REPOSITORY = "trustedpods-doctor"
"""Of the probe's image, always the same, so that a killed probe leaves one at most. No pod's host label
has this form."""


async def isolation(config: ProviderConfig) -> str:
    """Prove with two live pods that policies part them; NoContext says what does not hold.

    Without its network agent an embedded cluster starts no pod: that is said at once.
    """
    await traffic(config)
    async with open_cluster(Path(config.cluster.kubeconfig)) as cluster:
        await isolation_of(config, cluster)
        await _check_nodes(config, cluster)
    return "the node pulled a probe image; two probe pods were apart as soon as a policy said so, both ways"


async def isolation_of(config: ProviderConfig, cluster: Cluster) -> None:
    """Returns when two live pods were apart under policies; NoContext says what they showed instead."""
    _check(await prove(config, cluster))


async def prove(config: ProviderConfig, cluster: Cluster) -> Proof:
    """Push the probe image, run the probe, and leave neither image nor namespace."""
    image = probe_image(_busybox())
    namespace = f"trustedpods-doctor-{secrets.token_hex(4)}"
    async with open_registry(f"http://{config.cluster.registry}") as registry:
        try:
            return await cluster.prove(await _push(registry, image), namespace)
        finally:
            await registry.clear(REPOSITORY)


def _busybox() -> bytes:
    for path in BUSYBOX:
        if path.exists():
            return path.read_bytes()
    raise NoContext("no busybox for the probe pods", hint="apt-get install busybox-static")


async def _push(registry: Registry, image: ProbeImage) -> str:
    for digest, blob in image.blobs.items():
        await registry.push_blob(REPOSITORY, digest, len(blob), _whole(blob))
    digest = await registry.push_manifest(REPOSITORY, MANIFEST, image.manifest)
    return registry.pull_reference(REPOSITORY, digest)


async def _whole(blob: bytes) -> AsyncIterator[bytes]:
    yield blob


def _check(proof: Proof) -> None:
    if not proof.reached_from_here:
        raise NoContext(
            "this machine does not reach pods' addresses, so the facade could not either",
            hint="the daemon runs on a node of the cluster, in its network",
        )
    if not proof.open_without_policies:
        raise NoContext(
            "two probe pods do not reach each other even without policies: nothing is proven",
            hint="is something else in the cluster closing the network? look at its CNI's own policies",
        )
    if not proof.isolates:
        ignored = [
            name
            for name, held in (("ingress", proof.ingress_enforced), ("egress", proof.egress_enforced))
            if not held
        ]
        raise NoContext(
            f"the cluster's network ignores NetworkPolicies ({' and '.join(ignored)}): tenants would reach"
            " each other, the API server and the chain's node",
            hint="use a CNI that enforces them, or the embedded cluster; until then one publisher is served",
        )


async def _check_nodes(config: ProviderConfig, cluster: Cluster) -> None:
    """A pod that may call the world must not be able to call a node by its public address."""
    closed = [IPv4Network(text) for text in config.cluster.closed_networks]
    for text in await cluster.node_addresses():
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
    return f"the network agent counts, {len(pods)} pods so far"


async def activator(config: ProviderConfig) -> str:
    """Whether the activator listens for the first slot, without waking anybody."""
    path = Path(config.facade.activator_dir)
    if not _listens_in(path):
        raise NoContext(f"no activator listens in {path}", hint="start trustedpods-activator")
    return str(path)


async def daemon(config: ProviderConfig) -> str:
    """Whether the daemon takes the operator's verbs; NoContext when none does."""
    pods = (await ask_operator(config.operator_socket, {"verb": "pods", "all": False}))["pods"]
    return f"serves {len(pods)} pods"


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

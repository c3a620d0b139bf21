# SPDX-License-Identifier: Apache-2.0
"""Live pods show whether the cluster parts tenants and bounds what they write: for tenancy and the doctor."""

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.cluster.image_registry import ImageRegistry, open_image_registry
from trustedpods.provider.cluster.isolation_proof import busybox
from trustedpods.provider.cluster.isolation_proof.probe_image import MANIFEST, ProbeImage, probe_image
from trustedpods.provider.cluster.isolation_proof.probe_pods import START_LIMIT_S, ProbePlace
from trustedpods.provider.cluster.isolation_proof.proof import Proof
from trustedpods.provider.cluster.isolation_proof.scratch import WritablePlace
from trustedpods.provider.cluster.isolation_proof.users import SharedUsers
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.admission import PIDS_PER_POD
from trustedpods.provider.keys.file import read_key_of

LEAST_PODS_PER_USER = 32
"""Pods of one user id that a shared limit of processes must be enough for, all at their own bound: so many
tenants would have to agree, and pay, to take the others' processes."""

LEAST_INOTIFY_INSTANCES = 1 << 20
"""That pods with user ids of their own and the node's root must have together: so many take a GiB of a pod's
own memory, so that most pods end by that before they leave the kubelet none."""

REMEDY_OF_USERS = (
    "containerd >= 2.0, runc >= 1.2 (or cri-o and crun), Linux >= 6.3, folders down to the runtime's state "
    "that others may pass through (0711); or user_namespaces = false in [cluster]"
)

REPOSITORY = "trustedpods-doctor"
"""Of the probe's image, always the same, so that a killed probe leaves one at most. No pod's host label
has this form."""


async def isolation_of(config: ProviderConfig, cluster: Cluster) -> None:
    """Returns when two live pods were apart under policies; NoContext says what they showed instead."""
    async with probe_places(config) as place:
        await isolation_at(cluster, place(None))


async def isolation_at(cluster: Cluster, place: ProbePlace) -> None:
    """The same at one *place*, whose image nodes can pull."""
    _check(await cluster.prove(place))


async def scratch_at(cluster: Cluster, place: ProbePlace) -> None:
    """Returns when whatever live pods wrote had an end; NoContext names the places where it had none."""
    places = await cluster.unbounded_places(place)
    if places:
        raise NoContext(
            f"pods of this cluster write as much as they like, unpaid, into {_listed(places)}",
            hint="; ".join(dict.fromkeys(place.remedy for place in places)),
        )


async def own_users_of(config: ProviderConfig, cluster: Cluster) -> SharedUsers:
    """Whether a live pod that asked for user ids of its own had them; NoContext where that cannot be told."""
    async with probe_places(config) as place:
        return await cluster.shared_users(place(None), START_LIMIT_S)


async def users_at(config: ProviderConfig, cluster: Cluster, place: ProbePlace) -> str:
    """What pods of one user id share, in a sentence; NoContext where one can take what others need."""
    if config.cluster.user_namespaces:
        return _own_users(await cluster.shared_users(place, START_LIMIT_S))
    found = await cluster.shared_users(place)
    if found.own_ids:
        return (
            "pods can have user ids of their own: node and runtime have user namespaces; "
            "user_namespaces = true in [cluster] gives them"
        )
    shared = (
        "no user namespaces: what the kernel counts by user id is shared by pods whose images name the same"
    )
    told = config.cluster.processes_per_user
    if found.processes is None:
        return f"{shared}; no limit of processes is among it"
    if told is not None and told > found.processes:
        raise NoContext(
            f"processes_per_user says {told}, and pods are handed a limit of {found.processes}",
            hint=f"write processes_per_user = {found.processes} in [cluster], or raise LimitNPROC",
        )
    if told is not None:
        return f"{shared}; of one user id no more are taken than {told} processes are enough for"
    if found.processes >= LEAST_PODS_PER_USER * PIDS_PER_POD:
        pods = found.processes // PIDS_PER_POD
        return (
            f"{shared}; {found.processes} processes are enough for {pods} at their bound: with "
            f"processes_per_user = {found.processes} in [cluster] no more are taken"
        )
    raise NoContext(
        f"pods whose images name one user id may have {found.processes} processes together: "
        f"{found.processes // PIDS_PER_POD} of them at their own bound leave the others none",
        hint="set LimitNPROC=infinity for the container runtime, or use one that has user namespaces",
    )


def _own_users(found: SharedUsers) -> str:
    if found.own_ids is None:
        raise NoContext(
            f"pods are to have user ids of their own, and a probe pod did not start in time: {found.why_not}",
            hint="ask again when the node has less to do",
        )
    if not found.own_ids:
        raise NoContext(
            f"pods are to have user ids of their own, and a probe pod had none: {found.why_not}",
            hint=REMEDY_OF_USERS,
        )
    if found.inotify_instances < LEAST_INOTIFY_INSTANCES:
        raise NoContext(
            f"pods have user ids of their own, but {found.inotify_instances} inotify instances together with"
            " the node's root: one pod can take them all",
            hint=f"sysctl -w fs.inotify.max_user_instances={LEAST_INOTIFY_INSTANCES} on the node: so many"
            " take a GiB of a pod's own memory",
        )
    return "each pod has user ids of its own: a probe pod's were no other's"


def _listed(places: Sequence[WritablePlace]) -> str:
    return " and ".join(place.name for place in places)


@asynccontextmanager
async def probe_places(config: ProviderConfig) -> AsyncIterator[Callable[[str | None], ProbePlace]]:
    """While the block runs nodes can pull the probe's image; each place, on a node or any, is a new one."""
    image, key = probe_image(busybox.program()), read_key_of(config.cluster.pull_key_file)
    async with open_image_registry(f"http://{config.cluster.registry}", key) as registry:
        try:
            pulled, login = await _push(registry, image), registry.pull_login(REPOSITORY)

            def place(node: str | None) -> ProbePlace:
                return ProbePlace(pulled, f"trustedpods-doctor-{secrets.token_hex(4)}", node, login)

            yield place
        finally:
            await registry.clear(REPOSITORY)


async def _push(registry: ImageRegistry, image: ProbeImage) -> str:
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

# SPDX-License-Identifier: Apache-2.0
"""Server-side apply of any object that a pod becomes, and the end of those that it is no more."""

import logging
from collections.abc import Collection, Sequence
from itertools import groupby

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.cluster import workloads
from trustedpods.provider.cluster.api import errors
from trustedpods.provider.cluster.api.errors import NamespaceEnding
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.objects import service
from trustedpods.provider.cluster.objects.names import APPLIER, POD_LABEL, WORKLOAD, KubeObject
from trustedpods.provider.cluster.objects.network_nodes import ways

_log = logging.getLogger(__name__)

OPTIONAL = (
    "NetworkPolicy", "Secret", "PersistentVolumeClaim", "Service", "Ingress", "EndpointSlice",
    "PodDisruptionBudget",
)  # fmt: skip
"""Kinds of which one version of a pod may have more than the next; the others it has once each, always.

A class of a secrets store stays until the namespace goes: it holds no secret, and without the driver a
cluster does not know the kind.
"""

COUNTED = ("PersistentVolumeClaim", "Service", "Ingress")
"""Kinds of which the quota bounds the number: of two that come at once one may find its count changed."""

ONE_AFTER_ANOTHER = ("Namespace", "ResourceQuota", *COUNTED, *(kind.kind for kind in workloads.ALL))
"""Kinds of which each waits for all before it, and all behind it wait for it."""

QUOTA_LOOK_S = 0.05
"""How often an object is given again that came before its namespace's quota was first counted."""

QUOTA_WITHIN_S = 10.0
"""How long that goes on: the controller of quotas takes some milliseconds, and seconds on a busy machine."""

SIDE_BY_SIDE = 8
"""Objects that are applied at once: as many as connections are kept. Most of it is waiting for a disk."""

SELECTORS = {"EndpointSlice": f"{POD_LABEL},{ways.MANAGED_BY}={ways.MANAGER}"}
"""Labels by which ours are told from a controller's, where the pod's own label does not: Kubernetes gives the
slices that it makes the labels of their Service."""


def turns(objects: Sequence[KubeObject]) -> list[list[KubeObject]]:
    """*objects* in their order, as groups of which each may be applied at once. Pure."""
    grouped = groupby(enumerate(objects), lambda one: one[0] if one[1]["kind"] in ONE_AFTER_ANOTHER else None)
    return [[wanted for _, wanted in group] for _, group in grouped]


async def apply_all(api: Api, objects: Sequence[KubeObject]) -> dict[str, workloads.Workload]:
    """Apply *objects*; the kinds of the workloads among them, by namespace. Raises as `apply` does."""
    found: dict[str, workloads.Workload] = {}
    room, failed = trio.CapacityLimiter(SIDE_BY_SIDE), list[TrustedPodsError]()

    async def one(wanted: KubeObject) -> None:
        try:
            async with room:
                workload = await _apply_counted(api, wanted)
        except TrustedPodsError as error:  # the others are let end, or their answers would be left half read
            failed.append(error)
        else:
            if workload is not None:
                found[wanted["metadata"]["namespace"]] = workload

    for group in turns(objects):
        async with trio.open_nursery() as nursery:
            for wanted in group:
                nursery.start_soon(one, wanted)
        if failed:
            raise failed[0]
    return found


async def _apply_counted(api: Api, wanted: KubeObject) -> workloads.Workload | None:
    """As `apply`; a quota that is too new is waited for."""
    until = trio.current_time() + QUOTA_WITHIN_S
    while True:
        try:
            return await apply(api, wanted)
        except errors.QuotaUnknown:
            if trio.current_time() >= until:
                raise
            await trio.sleep(QUOTA_LOOK_S)


async def apply(api: Api, wanted: KubeObject) -> workloads.Workload | None:
    """Apply one object; the answer is the kind of a workload.

    A namespace that is ending would still take changes of what it holds: refused.
    """
    workload = workloads.of_kind(wanted["kind"])
    if workload is not None:
        await workload.apply(api, wanted)
        return workload
    metadata = wanted["metadata"]
    path = path_of(wanted["kind"], metadata.get("namespace"), metadata["name"])
    if wanted["kind"] == service.KIND:
        await _apply_service(api, path, wanted)
        return None
    made = await api.apply(path, wanted, APPLIER)
    if wanted["kind"] == "Namespace" and "deletionTimestamp" in made["metadata"]:
        raise NamespaceEnding(
            f"namespace {metadata['name']} is being terminated", where=path, rule="namespace-terminating"
        )
    return None


async def _apply_service(api: Api, path: str, wanted: KubeObject) -> None:
    """An address that somebody else has meanwhile is not waited for: the Service gets another."""
    try:
        await api.apply(path, wanted, APPLIER)
    except errors.Taken as error:
        free = service.without_addresses(wanted)
        if free == wanted:
            raise
        _log.warning("%s gets other addresses: %s", path, error)
        await api.apply(path, free, APPLIER)


async def prune(api: Api, namespace: str, kept: Collection[tuple[str, str]]) -> None:
    """Delete what other versions of the pod left in its namespace; *kept* has kinds and names."""
    if await api.find(path_of("Namespace", name=namespace)) is None:
        return  # of a pod's first start: ten questions less
    for kind in OPTIONAL:
        for found in await api.items(path_of(kind, namespace), SELECTORS.get(kind, POD_LABEL)):
            name = found["metadata"]["name"]
            if (kind, name) not in kept:
                await api.delete(path_of(kind, namespace, name))
    for workload in workloads.ALL:
        if (workload.kind, WORKLOAD) not in kept and await workload.find(api, namespace) is not None:
            await api.delete(workload.path(namespace))


async def discard(api: Api, namespace: str, objects: Collection[tuple[str, str]]) -> None:
    """Delete *objects*, by kind and name; one that is gone already is no error."""
    for kind, name in objects:
        await api.delete(path_of(kind, namespace, name))


async def leave(api: Api, source: str, moving: Sequence[KubeObject]) -> None:
    """Delete the pod's Services and Ingresses in *source* that may not be there beside those *moving*."""
    for kind in ("Ingress", service.KIND):
        for found in await api.items(path_of(kind, source), POD_LABEL):
            if in_the_way(kind, found, moving):
                await api.delete(path_of(kind, source, found["metadata"]["name"]))


def in_the_way(kind: str, found: KubeObject, moving: Collection[KubeObject]) -> bool:
    """Whether an object that was *found* in the namespace of a pod's version before must go at once.

    Every Ingress must: what controllers do with two of one host differs, and a service's new name does not
    change its host. So must a Service that has one of few ports or addresses, which the newer version may be
    given. Others end with their namespace: replicas that finish their requests may call by them.
    """
    if kind == "Ingress":
        return True
    if kind != service.KIND:
        return False
    moves = any((one["kind"], one["metadata"]["name"]) == (kind, found["metadata"]["name"]) for one in moving)
    return moves or found["spec"].get("type", "ClusterIP") != "ClusterIP"


async def write_ingresses(api: Api, namespace: str, wanted: Sequence[KubeObject]) -> None:
    """Let a pod have the Ingresses that are *wanted*, and no others."""
    names = {one["metadata"]["name"] for one in wanted}
    for found in await api.items(path_of("Ingress", namespace), POD_LABEL):
        if found["metadata"]["name"] not in names:
            await api.delete(path_of("Ingress", namespace, found["metadata"]["name"]))
    for one in wanted:
        await apply(api, one)

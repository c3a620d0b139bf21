# SPDX-License-Identifier: Apache-2.0
"""Two versions of a pod: whether the newer one may be proven beside the one before, or must follow it. Pure.

What others may refuse a newer version (a controller an Ingress, a cluster ports of nodes or an address) it
must be refused while the version before can still come back.
"""

from typing import Any

from trustedpods.manifests.spec.pod import Notify, Payment, PodManifest
from trustedpods.manifests.spec.service import PAST_FACADE, Service
from trustedpods.protocol.messages.bundle import Bundle

_SEEN_BY_NOBODY: dict[str, Any] = {
    "payment": Payment(),
    "notify": Notify(),
    "trust": "sealed",
    "policy": None,
}
"""Fields of which no container, no object in the cluster and no way in depends, with their usual values:
what is paid, who is told, and which machines the publisher accepts."""


def runs_alike(before: Bundle, after: Bundle, manifests: tuple[PodManifest, PodManifest]) -> bool:
    """Whether *after* changes nothing that runs: the version before goes on, with its replicas.

    *manifests* are those of the two bundles. All else of them must be the same, secrets and seeds too.
    """
    old, new = (one.model_copy(update={"manifest": b""}) for one in (before, after))
    was, will = (one.model_copy(update={"spec": _what_runs(one)}) for one in manifests)
    return old == new and was == will


def _what_runs(manifest: PodManifest) -> object:
    return manifest.spec.model_copy(update=_SEEN_BY_NOBODY)


def why_stopped(manifest: PodManifest) -> str:
    """Why two versions never run at once where *manifest* is one of them; empty where they may."""
    if manifest.spec.workload == "stateful":
        return "a stateful pod has one identity"
    if manifest.spec.strategy == "Recreate":
        return "strategy: Recreate"
    return "two versions may not write one volume" if manifest.stops_for_update else ""


def why_stopped_before(before: PodManifest, after: PodManifest) -> str:
    """Why *before* is stopped before *after* starts; empty where the newer one is proven beside it."""
    return why_stopped(before) or why_stopped(after) or _exposed_otherwise(before, after)


def _exposed_otherwise(before: PodManifest, after: PodManifest) -> str:
    """What the newer version's services are exposed by that those of the same names are not before."""
    known = {one.name: one for one in before.exposed_services}
    for service in after.exposed_services:
        had = known.get(service.name)
        if had is not None and had.protocol != service.protocol:
            return f"service {service.name} is exposed in another way"
        if service.expose not in PAST_FACADE:
            continue  # its slot is taken, or refused, before any request goes to the newer version
        if had is None:
            return f"service {service.name} is new, and the cluster may refuse it"
        if _asked_of_others(had) != _asked_of_others(service):
            return f"service {service.name} is reached in another way, which the cluster may refuse"
    return ""


def _asked_of_others(service: Service) -> tuple[object, ...]:
    """All that a cluster and its controllers are asked for, and what they may judge a service by."""
    ports = {(port.port, port.protocol) for port in service.ports}
    return ports, set(service.hosts), service.tls, service.ingress

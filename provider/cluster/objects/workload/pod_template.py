# SPDX-License-Identifier: Apache-2.0
"""The pod template: containers, volumes and what they may do. Pure.

There is no readiness probe that the facade can run itself, because it sees it sooner, and no API
token, because a tenant gets none and mounting it would cost 300 ms of every cold start.
"""

from collections.abc import Mapping
from typing import Any

from trustedpods.manifests.spec.container import InitContainer
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.provider.cluster.objects.names import METERED, WORKLOAD, KubeObject
from trustedpods.provider.cluster.objects.workload.container_template import container
from trustedpods.provider.cluster.objects.workload.placement import placement
from trustedpods.provider.cluster.objects.workload.volume_source import volume_source

FILES_GROUP = 65_532
"""Group of a pod's volumes: whatever user an image runs as, it can read its secrets."""

ANY_PORT = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
"""Every user may listen on every port, as under Docker: the network namespace is the pod's own. One of the
few kernel parameters that the restricted profile allows."""

NO_NAMES = {
    "nameservers": ["127.0.0.1"],
    "options": [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "1"}],
}
"""Whom a pod asks for names: itself. No policy lets it reach the cluster's own resolver, and a question that
nobody may answer hangs for 40 s. On loopback the kernel says at once that nobody listens; a C library that
does not hear it (musl) gives up after a second. A container that listens on port 53 is the pod's resolver."""

ASKS_THRICE = [{"name": "timeout", "value": "5"}, {"name": "attempts", "value": "3"}]
"""How a pod asks the provider's resolver, which answers at once what it will not answer: a question that is
lost is asked again after five seconds."""

LOOPBACK = "127.0.0.1"


def pod_template(
    manifest: PodManifest,
    images: Mapping[str, str],
    labels: Mapping[str, str],
    told: Mapping[str, str],
    *,
    resolver: str | None = None,
    user_namespaces: bool = False,
    pull_secret: str | None = None,
    tunnelled: Mapping[str, str] | None = None,
) -> KubeObject:
    """Template of every replica. *images* maps a container's name to what the node pulls.

    *told* are variables of every container, where it does not set them itself; *resolver* is the address
    that it asks for names, where its manifest allows any; *tunnelled* are names of nodes in its tunnel, with
    their addresses; *pull_secret* names the Secret with which its
    nodes pull, where the registry asks them for one; *user_namespaces* gives the pod user ids of its own.
    """
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "serviceAccountName": WORKLOAD,
        "enableServiceLinks": False,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": manifest.spec.termination_grace_period_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": FILES_GROUP,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
            "sysctls": [dict(ANY_PORT)],
        },
        "dnsPolicy": "None",
        "dnsConfig": NO_NAMES if resolver is None else {"nameservers": [resolver], "options": ASKS_THRICE},
        "hostAliases": _host_aliases(manifest, tunnelled or {}),
        "containers": [container(part, images[part.name], told) for part in manifest.spec.containers],
    }
    if user_namespaces:
        spec["hostUsers"] = False
    if pull_secret is not None:
        spec["imagePullSecrets"] = [{"name": pull_secret}]
    if manifest.spec.init_containers:
        spec["initContainers"] = [
            _first(part, images[part.name], told) for part in manifest.spec.init_containers
        ]
    spec |= placement(manifest, labels)
    claimed = manifest.spec.workload == "stateful"  # by the set, under the volume's name, for each replica
    if volumes := [one for one in manifest.spec.volumes if not (claimed and one.persistent)]:
        spec["volumes"] = [volume_source(volume) for volume in volumes]
    return {"metadata": {"labels": dict(labels), "finalizers": [METERED]}, "spec": spec}


def _host_aliases(manifest: PodManifest, more: Mapping[str, str]) -> list[dict[str, Any]]:
    """The containers' own names, the manifest's further ones and *more*: each address once."""
    named = {LOOPBACK: [part.name for part in manifest.spec.running_containers]}
    for alias in manifest.spec.host_aliases:
        names = named.setdefault(alias.ip, [])
        names += [name for name in alias.hostnames if name not in names]
    for name, address in more.items():
        named.setdefault(address, []).append(name)
    return [{"ip": address, "hostnames": names} for address, names in named.items()]


def _first(part: InitContainer, image: str, told: Mapping[str, str]) -> dict[str, Any]:
    made = container(part, image, told)
    return made | {"restartPolicy": "Always"} if part.sidecar else made

# SPDX-License-Identifier: Apache-2.0
"""Probe pods: as little as a tenant's, in a namespace of their own that goes whatever happens."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import trio

from trustedpods.provider.cluster import diagnosis
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.applying import apply
from trustedpods.provider.cluster.isolation_proof.probe_image import PROGRAM
from trustedpods.provider.cluster.objects.names import WORKLOAD
from trustedpods.provider.cluster.objects.secret import PULL_SECRET, PullLogin, pull_secret

PROBE_LABEL = "trustedpods.dev/probe"
"""On the namespace of probe pods, so that one that was left behind is found."""

START_LIMIT_S = 120.0
"""For one probe pod: image pull and start on a node with more work than cores, and a kubelet's pause after a
failure. Only a probe that fails waits so long."""

ABANDONED_S = 900.0
"""Longer than the slowest proof (two starts, five waits for calls): a probe namespace this old belongs to
nobody who still looks, and its pods have ended by themselves."""

_LOOK_EVERY_S = 0.2
_UNPRIVILEGED = 65_532


@dataclass(frozen=True, slots=True)
class ProbePlace:
    """What probe pods run, in which namespace, and where: on *node*, or wherever the cluster likes.

    `login` is what a node says to the registry, where it is asked.
    """

    image: str
    namespace: str
    node: str | None = None
    login: PullLogin | None = None


@asynccontextmanager
async def namespace(api: Api, place: ProbePlace) -> AsyncIterator[None]:
    """The namespace, with an account, while the block runs; abandoned ones are removed too."""
    await sweep(api, ABANDONED_S)
    try:
        for made in (_namespace(place.namespace), _account(place.namespace), *_login(place)):
            await apply(api, made)
        yield
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
            await api.delete(path_of("Namespace", name=place.namespace))


async def sweep(api: Api, older_than_s: float) -> None:
    """Remove what probes left behind that were killed, if it is older than that."""
    for found in await api.items(path_of("Namespace"), PROBE_LABEL):
        made = datetime.fromisoformat(found["metadata"]["creationTimestamp"])
        if (datetime.now(UTC) - made).total_seconds() > older_than_s:
            await api.delete(path_of("Namespace", name=found["metadata"]["name"]))


async def until(look: Callable[[], Awaitable[bool]], limit_s: float) -> bool:
    """Look again and again; whether it came true in time."""
    deadline = trio.current_time() + limit_s
    while trio.current_time() < deadline:
        if await look():
            return True
        await trio.sleep(_LOOK_EVERY_S)
    return False


async def why(api: Api, namespace: str, name: str) -> str:
    """Why a probe pod does not start, in Kubernetes' own words."""
    pod = await api.get(path_of("Pod", namespace, name))
    found = diagnosis.waiting(pod)
    lines = diagnosis.event_lines(await api.items(path_of("Event", namespace)))
    return " ".join([found.text if found else "", *lines[-1:]]).strip() or json.dumps(pod.get("status", {}))


def probe_pod(place: ProbePlace, name: str, command: list[str]) -> dict[str, Any]:
    """A pod that runs busybox with *command*, under a tenant's restrictions."""
    where = {} if place.node is None else {"nodeName": place.node}
    pull = {} if place.login is None else {"imagePullSecrets": [{"name": PULL_SECRET}]}
    limits = {"cpu": "50m", "memory": "32Mi", "ephemeral-storage": "16Mi"}
    container = {
        "name": "probe",
        "image": place.image,
        "command": [PROGRAM, *command],
        "resources": {"requests": limits, "limits": limits},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": place.namespace, "labels": {"role": name}},
        "spec": {
            "serviceAccountName": WORKLOAD,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "activeDeadlineSeconds": int(ABANDONED_S),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _UNPRIVILEGED,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            **where,
            **pull,
        },
    }


def _namespace(name: str) -> dict[str, Any]:
    labels = {
        PROBE_LABEL: "yes",
        "app.kubernetes.io/managed-by": "trustedpods",
        "pod-security.kubernetes.io/enforce": "restricted",
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _login(place: ProbePlace) -> Iterator[dict[str, Any]]:
    if place.login is not None:
        made = pull_secret(place.login)
        yield {**made, "metadata": {**made["metadata"], "namespace": place.namespace}}


def _account(namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": WORKLOAD, "namespace": namespace},
        "automountServiceAccountToken": False,
    }

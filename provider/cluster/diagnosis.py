# SPDX-License-Identifier: Apache-2.0
"""Reads what `reasons` needs to say why a namespace has no ready replica."""

from trustedpods.protocol import limits
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.cluster import reasons, views, workloads
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.objects.names import POD_LABEL
from trustedpods.provider.cluster.reasons import Crash, Diagnosis

LOG_LINES = 10


async def diagnose(api: Api, namespace: str) -> Diagnosis | None:
    """See `Cluster.diagnose`."""
    workload = await workloads.HTTP_PODS.find(api, namespace)
    if workload is None or not workload["spec"].get("replicas", 1):
        return None
    pods = await api.items(path_of("Pod", namespace), POD_LABEL)
    seen = [views.pod_view(pod) for pod in pods]
    if any(view.ready for view in seen):
        return None
    alive = [pod for pod, view in zip(pods, seen, strict=True) if view.deleted_at is None]
    if not alive:
        return reasons.no_pod(await workloads.HTTP_PODS.makers(api, workload))
    for pod in alive:
        crash = reasons.crash_in(pod)
        if crash is not None:
            return reasons.crashed(crash, await _last_lines(api, crash))
        if (found := reasons.waiting(pod)) is not None:
            return found
    return reasons.last_word(await api.items(path_of("Event", namespace)))


async def _last_lines(api: Api, crash: Crash) -> bytes:
    """The container's last lines; nothing where they cannot be read: the reason stands without."""
    try:
        return await read_logs(
            api, crash.namespace, crash.pod, crash.container, LOG_LINES, previous=crash.restarted
        )
    except TrustedPodsError:
        return b""


async def read_logs(
    api: Api, namespace: str, pod: str, container: str, tail: int, *, previous: bool
) -> bytes:
    """See `Cluster.logs`."""
    query = {
        "container": container,
        "tailLines": str(tail),
        "limitBytes": str(limits.MAX_LOG_REPLY),
        "previous": str(previous).lower(),
    }
    return (await api.call("GET", path_of("Pod", namespace, pod) + "/log", query=query)).content

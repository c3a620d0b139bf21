# SPDX-License-Identifier: Apache-2.0
"""Why a pod does not start, in Kubernetes' own words.

A publisher who has paid gets the scheduler's, the kubelet's or the quota's sentence and his
container's last lines, not "failed". What containers wrote is shown without control characters.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.cluster import views
from trustedpods.provider.cluster.api import Api, path_of
from trustedpods.provider.cluster.names import POD_LABEL, WORKLOAD

KubeObject = Mapping[str, Any]
ReadLogs = Callable[..., Awaitable[bytes]]

LOG_LINES = 10
MAX_TEXT = 4000

_HOPELESS = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "CrashLoopBackOff",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
    "StartError",
    "Unschedulable",
}
"""Reasons after which waiting longer seldom helps. Kubernetes itself tries on for ever."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why no replica is ready. `hopeless` says that waiting longer will hardly change it."""

    text: str
    hopeless: bool


async def diagnose(api: Api, namespace: str, read_logs: ReadLogs) -> Diagnosis | None:
    """See `Cluster.diagnose`."""
    deployment = await api.find(path_of("Deployment", namespace, WORKLOAD))
    if deployment is None or not deployment["spec"].get("replicas", 1):
        return None
    pods = await api.items(path_of("Pod", namespace), POD_LABEL)
    seen = [views.pod_view(pod) for pod in pods]
    if any(view.ready for view in seen):
        return None
    alive = [pod for pod, view in zip(pods, seen, strict=True) if view.deleted_at is None]
    if not alive:
        return await _why_no_pod(api, namespace, deployment)
    for pod in alive:
        found = await _why_this_pod(pod, read_logs)
        if found is not None:
            return found
    return _last_warning(await api.items(path_of("Event", namespace)))


async def _why_no_pod(api: Api, namespace: str, deployment: KubeObject) -> Diagnosis | None:
    """The replica set could not even make a pod: quota, pod security, or an admission webhook."""
    sets = await api.items(path_of("ReplicaSet", namespace), POD_LABEL)
    for holder in (*sets, deployment):
        for condition in holder.get("status", {}).get("conditions", []):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                text = f"{condition.get('reason', 'FailedCreate')}: {condition.get('message', '')}"
                return Diagnosis(_readable(text), hopeless="status unknown for quota" not in text)
    return None


async def _why_this_pod(pod: KubeObject, read_logs: ReadLogs) -> Diagnosis | None:
    crash = await _crash(pod, read_logs)
    if crash is not None:
        return crash
    waiting = views.waiting_for(pod)
    if waiting is None:
        return None
    return Diagnosis(_readable(waiting), hopeless=waiting.partition(":")[0] in _HOPELESS)


async def _crash(pod: KubeObject, read_logs: ReadLogs) -> Diagnosis | None:
    """A container that ended although it should serve: how, and what it wrote last."""
    for container in views.containers(pod):
        state, before = container.get("state", {}), container.get("lastState", {})
        ended = state.get("terminated") or ("waiting" in state and before.get("terminated"))
        if not ended:
            continue
        text = f"container {container['name']} ended: {_end(ended)}"
        if container.get("restartCount"):
            text += f", after {container['restartCount']} restarts"
        lines = await _last_lines(pod, container["name"], read_logs, previous="terminated" not in state)
        return Diagnosis(_readable(text + (f"\n{lines}" if lines else "")), hopeless=True)
    return None


def _end(ended: KubeObject) -> str:
    reason = ended.get("reason", "")
    words = f"{reason}, " if reason not in ("", "Error", "Completed") else ""
    return f"{words}exit code {ended.get('exitCode')}"


async def _last_lines(pod: KubeObject, container: str, read_logs: ReadLogs, *, previous: bool) -> str:
    """The container's last lines; nothing where they cannot be read, the reason stands without."""
    metadata = pod["metadata"]
    try:
        raw = await read_logs(
            metadata["namespace"], metadata["name"], container, LOG_LINES, previous=previous
        )
    except TrustedPodsError:
        return ""
    return raw[-MAX_TEXT:].decode(errors="replace").strip()


def _last_warning(events: Iterable[KubeObject]) -> Diagnosis | None:
    warnings = [event for event in _in_order(events) if event.get("type") == "Warning"]
    if not warnings:
        return None
    event = warnings[-1]
    return Diagnosis(_readable(f"{event.get('reason')}: {event.get('message')}"), hopeless=False)


def event_lines(events: Iterable[KubeObject]) -> list[str]:
    """Events as lines, oldest first: `Warning FailedMount Pod/x: message (3 times)`."""
    return [_event_line(event) for event in _in_order(events)]


def _event_line(event: KubeObject) -> str:
    about = event.get("involvedObject", {})
    count = max(int(event.get("count") or 0), int((event.get("series") or {}).get("count") or 0))
    times = f" ({count} times)" if count > 1 else ""
    head = f"{event.get('type')} {event.get('reason')} {about.get('kind')}/{about.get('name')}"
    return _readable(f"{head}: {event.get('message', '')}{times}")


def _in_order(events: Iterable[KubeObject]) -> list[KubeObject]:
    return sorted(events, key=_moment)


def _moment(event: KubeObject) -> str:
    last_seen = (event.get("series") or {}).get("lastObservedTime")
    return str(last_seen or event.get("lastTimestamp") or event.get("eventTime") or "")


def _readable(text: str) -> str:
    """Without what a terminal would obey, and of bounded length."""
    clean = "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")
    return clean if len(clean) <= MAX_TEXT else clean[:MAX_TEXT] + " ..."

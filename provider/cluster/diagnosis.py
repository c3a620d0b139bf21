# SPDX-License-Identifier: Apache-2.0
"""Why a pod does not start, in Kubernetes' own words.

A publisher who has paid gets the scheduler's, the kubelet's or the quota's sentence and his
container's last lines, not "failed". What containers wrote is shown without control characters.
Only `diagnose` and `read_logs` ask the API server; the rest is pure.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trustedpods.protocol import limits
from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster import views, workloads
from trustedpods.provider.cluster.api.errors import QUOTA_UNKNOWN_WORDS
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.objects.names import POD_LABEL, KubeObject

LOG_LINES = 10
MAX_TEXT = 4000

_HOPELESS = {
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
    "StartError",
    "Unschedulable",
}
"""Reasons after which waiting longer seldom helps. Kubernetes itself tries on for ever."""

_TRIED_AGAIN = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImagePull",
    "ImagePullBackOff",
    "RunContainerError",
    "StartError",
}
"""Of those what a node's fault may be, in words that no list has in full: the kubelet's next try shows."""

_AWAY_WORDS = (
    "dial tcp",
    "dial unix",
    "error reading from server",
    "code = Unavailable",
    "connection refused",
    "connection reset by peer",
    "transport is closing",
    "context canceled",
    "ttrpc: closed",
)
"""The container runtime or the registry is being started again: the kubelet's next try may succeed."""

_AWAY_REASONS = {"Unknown", "ContainerStatusUnknown"}
"""How the kubelet calls the end of a container that the runtime lost, as it was killed meanwhile."""

_PASSING = (
    QUOTA_UNKNOWN_WORDS,
    'is forbidden: User "system:serviceaccount:kube-system:',
    'Post "https://',
)
"""What a replica set's controller is told while it is nobody's fault, and it tries again: the quota has not
counted yet; an API server that has just started has not read yet what the controller may; it is away."""

_NO_MEMORY = "OOMKilled"
"""The kubelet's word for an end by the kernel, as the container's memory was all taken."""

_QUOTA = "exceeded quota"
_PLACE = re.compile(r"\b(?:Insufficient |Too many pods)")
"""Words of the quota and of the scheduler (its plugin NodeResourcesFit) about room that is taken."""

_CLAIM_ON_ITS_WAY = re.compile(
    r'persistentvolumeclaim "[^"]*" not found|unbound immediate PersistentVolumeClaims'
)
"""Words of the scheduler about a claim that it has not heard of, or that waits for its volume. It is made
before its pod, and the scheduler tries again as soon as it hears of it, or it is bound."""

_LOG_GONE = (
    b"failed to try resolving symlinks in path ",
    b"failed to open log file ",
    b"unable to retrieve container logs for ",
)
"""How the kubelet (pkg/kubelet/kuberuntime/logs) begins what it writes in place of a log."""

_CLAIM = "PersistentVolumeClaim"

_MAY_NOT_WRITE = {
    "Read-only file system": "its root is read-only: mount an emptyDir where it writes",
    "Permission denied": "its user may not do that there: mount an emptyDir where it writes, "
    "or let the image give it the folder",
}
"""What a program says of a place that is not its own, and what its publisher can do."""


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """How a container last ended; `at` is the node's time, None where it did not say."""

    container: str
    exit_code: int | None
    at: UnixSeconds | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why no replica is ready. `hopeless` says that waiting longer will hardly change it.

    `end` is the container's end that explains it, if one does; `lines` what it wrote last, which
    stands in `text` too. `tried_again`: it may be the node's fault and not the pod's, and the kubelet is
    about to try again: of a pod that ran before one such try says little. `room`: quota or place is taken.
    It passes by itself where a replica that has some of it is ending: then Kubernetes tries again.
    """

    text: str
    hopeless: bool
    end: ContainerEnd | None = None
    lines: str = ""
    room: bool = False
    tried_again: bool = False


@dataclass(frozen=True, slots=True)
class Crash:
    """A container that ended although it should serve.

    `restarts`: how often it was started again; `restarted` when the container that ended is not the newest;
    `lost` when the container runtime ended it, not the program; `unmade` when its program never ran.
    """

    namespace: str
    pod: str
    container: str
    how: str
    restarted: bool
    restarts: int = 0
    lost: bool = False
    unmade: bool = False
    end: ContainerEnd | None = None


async def diagnose(
    api: Api, kind: workloads.Workload, namespace: str, *, all_ready: bool = False
) -> Diagnosis | None:
    """See `Cluster.diagnose`; *kind* is the namespace's kind of workload."""
    workload = await kind.find(api, namespace)
    if workload is None or not workload["spec"].get("replicas", 1):
        return None
    pods = await api.items(path_of("Pod", namespace), POD_LABEL)
    seen = [views.pod_view(pod) for pod in pods]
    if not all_ready and any(view.ready for view in seen):
        return None
    both = zip(pods, seen, strict=True)
    alive = [pod for pod, view in both if view.deleted_at is None and not (all_ready and view.ready)]
    if not alive:
        return no_pod(await kind.makers(api, workload))
    for pod in alive:
        crash = crash_in(pod)
        if crash is not None:
            return crashed(crash, await _last_lines(api, crash))
        if (found := waiting(pod)) is not None:
            return found
    return last_word(await api.items(path_of("Event", namespace)))


async def _last_lines(api: Api, crash: Crash) -> bytes:
    """The container's last lines; nothing where they cannot be read: the reason stands without."""
    try:
        return await read_logs(
            api, crash.namespace, crash.pod, crash.container, LOG_LINES, previous=crash.restarted
        )
    except TrustedPodsError:
        return b""


async def read_logs(
    api: Api,
    namespace: str,
    pod: str,
    container: str,
    tail: int,
    *,
    previous: bool,
    since_s: int | None = None,
) -> bytes:
    """See `Cluster.logs`."""
    path = path_of("Pod", namespace, pod) + "/log"
    while True:
        query = {
            "container": container,
            "tailLines": str(tail),
            "limitBytes": str(limits.MAX_LOG_REPLY),
            "previous": str(previous).lower(),
            **({} if since_s is None else {"sinceSeconds": str(since_s)}),
        }
        data = (await api.call("GET", path, query=query)).content
        if is_gone(data):
            raise Refused("the container's log is there no more", rule="log-gone")
        if len(data) < limits.MAX_LOG_REPLY or tail == 1:
            return data
        tail = max(1, tail // 4)  # the limit cuts off the newest lines: ask for fewer


async def ready_pods(api: Api, namespace: str, labels: Mapping[str, str]) -> int:
    """Pods of anybody in a namespace, with these labels, that say that they are ready."""
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    found = await api.items(path_of("Pod", namespace), selector)
    return sum(views.condition(pod, "Ready").get("status") == "True" for pod in found)


def is_gone(data: bytes | bytearray) -> bool:
    """Whether this is no log but the kubelet's word that it has none any more: it says so with status 200."""
    return data.startswith(_LOG_GONE)


def crash_in(pod: KubeObject) -> Crash | None:
    """The first container of the pod that is not running because it ended."""
    for container in (*_failed_first(pod), *views.containers(pod)):
        state, before = container.get("state", {}), container.get("lastState", {})
        ended = state.get("terminated") or ("waiting" in state and before.get("terminated"))
        if ended:
            how = f"container {container['name']} ended: {_end(ended)}{_killed_at(pod, container, ended)}"
            if count := container.get("restartCount"):
                how += f", restarted {count} times" if count > 1 else ", restarted once"
            metadata = pod["metadata"]
            return Crash(
                metadata["namespace"],
                metadata["name"],
                container["name"],
                how,
                restarted="terminated" not in state,
                restarts=container.get("restartCount") or 0,
                lost=ended.get("reason") in _AWAY_REASONS or _away(str(ended.get("message"))),
                unmade=ended.get("reason") in _TRIED_AGAIN,
                end=_container_end(container["name"], ended),
            )
    return None


def _killed_at(pod: KubeObject, container: KubeObject, ended: KubeObject) -> str:
    """Of a container that took more memory than it has: how much that was, and where it is written."""
    if ended.get("reason") != _NO_MEMORY:
        return ""
    spec = pod.get("spec", {})
    for one in (*spec.get("initContainers", []), *spec.get("containers", [])):
        limit = one.get("resources", {}).get("limits", {}).get("memory")
        if one.get("name") == container["name"] and limit:
            return f" (it may have {limit}: raise resources.limits.memory)"
    return ""


def _container_end(name: str, ended: KubeObject) -> ContainerEnd:
    at = views.seconds(ended.get("finishedAt"))
    return ContainerEnd(name, ended.get("exitCode"), at if at and at > 0 else None)


def _failed_first(pod: KubeObject) -> list[KubeObject]:
    """Init containers that did not end well; that the others ended is as it should be."""
    return [found for found in views.init_containers(pod) if not _ended_well(found)]


def _ended_well(container: KubeObject) -> bool:
    ended = container.get("state", {}).get("terminated")
    return ended is not None and ended.get("exitCode") == 0


def _end(ended: KubeObject) -> str:
    reason = ended.get("reason", "")
    parts = [reason] if reason not in ("", "Error", "Completed") else []
    parts.append(f"exit code {ended.get('exitCode')}")
    message = str(ended.get("message") or "").strip()
    return ", ".join(parts) + (f" ({message})" if message and reason in _HOPELESS else "")


def crashed(crash: Crash, last_lines: bytes) -> Diagnosis:
    """How a container ended, and what it wrote last."""
    lines = readable(last_lines[-MAX_TEXT:].decode(errors="replace").strip())
    advice = next((f"; {what}" for said, what in _MAY_NOT_WRITE.items() if said in lines), "")
    text = readable(crash.how + advice + (f"\n{lines}" if lines else ""))
    again = crash.restarts == 0 or crash.unmade
    return Diagnosis(text, hopeless=not crash.lost, end=crash.end, lines=lines, tried_again=again)


def waiting(pod: KubeObject) -> Diagnosis | None:
    """What the pod waits for, if that is more than a normal step."""
    words = views.waiting_for(pod)
    if words is None:
        return None
    reason = words.partition(":")[0]
    hopeless = reason in _HOPELESS and not _away(words) and not _CLAIM_ON_ITS_WAY.search(words)
    room = _PLACE.search(words) is not None
    return Diagnosis(readable(words), hopeless, room=room, tried_again=reason in _TRIED_AGAIN)


def _away(words: str) -> bool:
    return any(away in words for away in _AWAY_WORDS)


def no_pod(holders: Iterable[KubeObject]) -> Diagnosis | None:
    """Why a replica set or workload could not even make a pod: quota, pod security, a webhook."""
    for holder in holders:
        for condition in holder.get("status", {}).get("conditions", []):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                text = f"{condition.get('reason', 'FailedCreate')}: {condition.get('message', '')}"
                return Diagnosis(
                    readable(text), hopeless=not any(one in text for one in _PASSING), room=_QUOTA in text
                )
    return None


def last_word(events: Iterable[KubeObject]) -> Diagnosis | None:
    """The newest warning among events; where there is none, what a volume claim waits for."""
    ordered = _in_order(events)
    warnings = [event for event in ordered if event.get("type") == "Warning"]
    claims = [event for event in ordered if event.get("involvedObject", {}).get("kind") == _CLAIM]
    for event in (*warnings[-1:], *claims[-1:]):
        return Diagnosis(readable(f"{event.get('reason')}: {event.get('message')}"), hopeless=False)
    return None


def event_lines(events: Iterable[KubeObject]) -> list[str]:
    """Events as lines, oldest first: `Warning FailedMount Pod/x: message (3 times)`."""
    return [_event_line(event) for event in _in_order(events)]


def _event_line(event: KubeObject) -> str:
    about = event.get("involvedObject", {})
    count = max(int(event.get("count") or 0), int((event.get("series") or {}).get("count") or 0))
    times = f" ({count} times)" if count > 1 else ""
    head = f"{event.get('type')} {event.get('reason')} {about.get('kind')}/{about.get('name')}"
    return readable(f"{head}: {event.get('message', '')}{times}")


def _in_order(events: Iterable[KubeObject]) -> list[KubeObject]:
    return sorted(events, key=_moment)


def _moment(event: KubeObject) -> str:
    last_seen = (event.get("series") or {}).get("lastObservedTime")
    return str(last_seen or event.get("lastTimestamp") or event.get("eventTime") or "")


def readable(text: str) -> str:
    """The text without what a terminal would obey, and of bounded length."""
    clean = "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")
    return clean if len(clean) <= MAX_TEXT else clean[:MAX_TEXT] + " ..."

# SPDX-License-Identifier: Apache-2.0
"""Live pods that show what tenants whose images name one user id share.

With user namespaces every pod has ids of its own outside. Without, the kernel counts by the id that the
image names, over all pods: a limit of processes that the runtime hands down is then one for all of them.
Inotify instances are counted for whoever made the namespace too: the node's root, in whose name all pods with
one then have a single number of them together with the node's own programs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.cluster import diagnosis
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.applying import apply
from trustedpods.provider.cluster.isolation_proof import probe_pods
from trustedpods.provider.cluster.isolation_proof.probe_image import PROGRAM
from trustedpods.provider.cluster.isolation_proof.probe_pods import START_LIMIT_S, ProbePlace, probe_pod
from trustedpods.provider.cluster.objects.names import KubeObject

OWN_WITHIN_S = 10.0
"""For the pod with a user namespace, after the other one ran: a runtime that has none says so at once. Where
the answer decides anything, it has as long as any other pod."""

WHOLE_RANGE = 2**32 - 1
"""Ids of a map that maps everything onto itself: no user namespace."""

_SHOW = f"{PROGRAM} cat /proc/self/uid_map; ulimit -u; {PROGRAM} cat /proc/sys/fs/inotify/max_user_instances"


@dataclass(frozen=True, slots=True)
class SharedUsers:
    """What pods without a user namespace share.

    `own_ids`: the cluster can give pods ids of their own; None: it cannot be told, as the pod may only
    have been slow, or its node full. `why_not` is what was seen where they are not shown.
    `processes`: the most that all pods of one id may have together; None: no limit is shared.
    `inotify_instances`: the most that one user of the node may have.
    """

    own_ids: bool | None
    processes: int | None
    inotify_instances: int
    why_not: str = ""


async def shared_users(api: Api, place: ProbePlace, own_within_s: float = OWN_WITHIN_S) -> SharedUsers:
    """What probe pods show; the namespace of *place* goes in any case.

    The pod that asks for a user namespace runs where the one without ran, and has *own_within_s* seconds.
    NoContext, with Kubernetes' own words, when the one without does not start: then nothing can be told.
    """
    namespace = place.namespace
    async with probe_pods.namespace(api, place):
        await apply(api, _pod(place, "shared", host_users=True))
        if not await _ended(api, namespace, "shared", START_LIMIT_S):
            why = await probe_pods.why(api, namespace, "shared")
            raise NoContext(f"probe pod shared does not start: {why}")
        found = parse(await _said(api, namespace, "shared"))
        pod = await api.get(path_of("Pod", namespace, "shared"))
        await apply(api, _pod(replace(place, node=pod["spec"]["nodeName"]), "own", host_users=False))
        if not await _ended(api, namespace, "own", own_within_s):
            return await _without(api, namespace, found)
        own = parse(await _said(api, namespace, "own")).own_ids
    return replace(found, own_ids=own, why_not="" if own else "hostUsers: false was ignored")


def parse(said: str) -> SharedUsers:
    """What one probe pod wrote: its map of user ids, its limit of processes, that of inotify instances."""
    *lines, limit, instances = ["", *said.split("\n")]
    maps = [line.split() for line in lines[1:]]
    shaped = maps and all(len(row) == 3 for row in maps) and instances.isdecimal()
    if not shaped or not (limit == "unlimited" or limit.isdecimal()):
        raise NoContext(f"a probe pod wrote {said[:80]!r} instead of its user ids and its limits")
    own = not any(row == ["0", "0", str(WHOLE_RANGE)] for row in maps)
    return SharedUsers(own, None if limit == "unlimited" else int(limit), int(instances))


def refusal(pod: KubeObject, events: Iterable[KubeObject]) -> str:
    """What says that node or runtime do not start the pod, in Kubernetes' own words; "": nothing does.

    A kubelet that rejected or evicted the pod, as its node is full, says nothing of user ids.
    """
    status = pod.get("status", {})
    if status.get("phase") == "Failed" and status.get("reason"):
        return ""
    found, name = diagnosis.waiting(pod), pod["metadata"]["name"]
    warnings = (one for one in events if one.get("type") == "Warning")
    lines = diagnosis.event_lines(one for one in warnings if one["involvedObject"].get("name") == name)
    return " ".join([found.text if found else "", *lines[-1:]]).strip()


async def _without(api: Api, namespace: str, found: SharedUsers) -> SharedUsers:
    """What the pod shows that asked for ids of its own and did not end in time."""
    pod = await api.get(path_of("Pod", namespace, "own"))
    words = refusal(pod, await api.items(path_of("Event", namespace)))
    if words:
        return replace(found, own_ids=False, why_not=words)
    return replace(found, own_ids=None, why_not=await probe_pods.why(api, namespace, "own"))


async def _ended(api: Api, namespace: str, name: str, limit_s: float) -> bool:
    async def look() -> bool:
        pod = await api.get(path_of("Pod", namespace, name))
        return bool(pod.get("status", {}).get("phase") == "Succeeded")

    return await probe_pods.until(look, limit_s)


async def _said(api: Api, namespace: str, name: str) -> str:
    said = await diagnosis.read_logs(api, namespace, name, "probe", 10, previous=False)
    return said.decode(errors="replace").strip()


def _pod(place: ProbePlace, name: str, *, host_users: bool) -> dict[str, Any]:
    pod = probe_pod(place, name, ["sh", "-c", _SHOW])
    pod["spec"] |= {"restartPolicy": "Never", "hostUsers": host_users}
    return pod

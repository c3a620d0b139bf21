# SPDX-License-Identifier: Apache-2.0
"""Live pods that show what tenants whose images name one user id share.

With user namespaces every pod has ids of its own outside. Without, the kernel counts by the id that the
image names, over all pods: a limit of processes that the runtime hands down is then one for all of them.
"""

from dataclasses import dataclass
from typing import Any

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.applying import apply
from trustedpods.provider.cluster.diagnosis import read_logs
from trustedpods.provider.cluster.isolation_proof import probe_pods
from trustedpods.provider.cluster.isolation_proof.probe_image import PROGRAM
from trustedpods.provider.cluster.isolation_proof.probe_pods import START_LIMIT_S, ProbePlace, probe_pod

OWN_WITHIN_S = 10.0
"""For the pod with a user namespace, after the other one ran: a runtime that has none says so at once."""

WHOLE_RANGE = 2**32 - 1
"""Ids of a map that maps everything onto itself: no user namespace."""

_SHOW = f"{PROGRAM} cat /proc/self/uid_map; ulimit -u"


@dataclass(frozen=True, slots=True)
class SharedUsers:
    """What pods without a user namespace share.

    `own_ids`: the cluster can give pods ids of their own. `processes`: the most that all pods of one id may
    have together; None: no limit is shared.
    """

    own_ids: bool
    processes: int | None


async def shared_users(api: Api, place: ProbePlace) -> SharedUsers:
    """What probe pods show; the namespace of *place* goes in any case.

    NoContext, with Kubernetes' own words, when a probe pod without a user namespace does not start.
    """
    namespace = place.namespace
    async with probe_pods.namespace(api, place):
        for name, host_users in (("shared", True), ("own", False)):
            await apply(api, _pod(place, name, host_users=host_users))
        if not await _ended(api, namespace, "shared", START_LIMIT_S):
            why = await probe_pods.why(api, namespace, "shared")
            raise NoContext(f"probe pod shared does not start: {why}")
        processes = parse(await _said(api, namespace, "shared")).processes
        own = await _ended(api, namespace, "own", OWN_WITHIN_S)
        own_ids = own and parse(await _said(api, namespace, "own")).own_ids
    return SharedUsers(own_ids, processes)


def parse(said: str) -> SharedUsers:
    """What one probe pod wrote: its map of user ids, and the limit of processes that it was handed."""
    *lines, limit = said.split("\n")
    maps = [line.split() for line in lines]
    if not maps or any(len(row) != 3 for row in maps) or not (limit == "unlimited" or limit.isdecimal()):
        raise NoContext(f"a probe pod wrote {said[:80]!r} instead of its user ids and its limit of processes")
    own = not any(row == ["0", "0", str(WHOLE_RANGE)] for row in maps)
    return SharedUsers(own, None if limit == "unlimited" else int(limit))


async def _ended(api: Api, namespace: str, name: str, limit_s: float) -> bool:
    async def look() -> bool:
        pod = await api.get(path_of("Pod", namespace, name))
        return bool(pod.get("status", {}).get("phase") == "Succeeded")

    return await probe_pods.until(look, limit_s)


async def _said(api: Api, namespace: str, name: str) -> str:
    said = await read_logs(api, namespace, name, "probe", 10, previous=False)
    return said.decode(errors="replace").strip()


def _pod(place: ProbePlace, name: str, *, host_users: bool) -> dict[str, Any]:
    pod = probe_pod(place, name, ["sh", "-c", _SHOW])
    pod["spec"] |= {"restartPolicy": "Never", "hostUsers": host_users}
    return pod

# SPDX-License-Identifier: Apache-2.0
"""Live pods that write more than they may, each into another place, to see whether anybody ends that.

What is not counted on a node is paid by nobody and taken from all: an image's VOLUME where the runtime
makes a folder of its own of it, and the file that every container has as its termination log. `emptyDir`
volumes are left out: the kubelet that evicts for the first of these places counts them too, a minute later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import trio

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.applying import apply
from trustedpods.provider.cluster.isolation_proof import probe_pods
from trustedpods.provider.cluster.isolation_proof.probe_image import PROGRAM, VOLUME
from trustedpods.provider.cluster.isolation_proof.probe_pods import START_LIMIT_S, ProbePlace, probe_pod

WRITTEN_MIB = 48
"""Three times what a probe pod may write."""

FIRST_WITHIN_S = 90.0
"""For the first place to be found bounded, from when all pods wrote. A kubelet looks every 10 s at numbers
that are up to 15 s old; a busy node is late with both."""

REST_WITHIN_S = 25.0
"""For the others, after the first: whoever looks has looked again."""

_LOOK_EVERY_S = 0.5
_TERMINATION_LOG = "/dev/termination-log"


@dataclass(frozen=True, slots=True)
class WritablePlace:
    """Somewhere that pods write to: how a probe fills it, and what bounds it on a node where nothing does.

    The script ends where nothing more can be written, or what was written has gone.
    """

    name: str
    script: str
    remedy: str


def _file(path: str) -> str:
    return f"{PROGRAM} dd if=/dev/zero of={path} bs=1M count={WRITTEN_MIB} || exit 0"


_STAY = f"while :; do {PROGRAM} sleep 1; done"
_EVICTION = "the kubelet's localStorageCapacityIsolation must be on"

PLACES = {
    "files": WritablePlace("a container's own files", f"{_file('/tmp/full')}; {_STAY}", _EVICTION),  # noqa: S108
    "volume": WritablePlace(
        "an image's VOLUME",
        f"{_file(f'{VOLUME}/full')}; {_STAY}",
        "set `ignore_image_defined_volumes = true` in containerd's CRI plugin, or `image_volumes = "
        '"ignore"` in CRI-O',
    ),
    "logs": WritablePlace(
        "a container's logs",
        f"{PROGRAM} dd if=/dev/zero bs=1M count={WRITTEN_MIB} | {PROGRAM} tr '\\0' x; {_STAY}",
        _EVICTION,
    ),
    "termination-log": WritablePlace(
        _TERMINATION_LOG,
        f"{_file(_TERMINATION_LOG)}; while [ $({PROGRAM} stat -c %s {_TERMINATION_LOG}) -gt 1000000 ];"
        f" do {PROGRAM} usleep 200000; done",
        "run trustedpods-termination-logs.service on each node",
    ),
}
"""By the names of their probe pods."""


async def unbounded(api: Api, where: ProbePlace) -> list[WritablePlace]:
    """The places where probe pods could write without end; the namespace of *where* goes in any case.

    NoContext, with Kubernetes' own words, when a probe pod does not start.
    """
    namespace = where.namespace
    async with probe_pods.namespace(api, where):
        for name, place in PLACES.items():
            pod = probe_pod(where, name, ["sh", "-c", place.script])
            pod["spec"]["restartPolicy"] = "Never"
            await apply(api, pod)
        await _all_began(api, namespace)
        waiting = set(PLACES)
        deadline = trio.current_time() + FIRST_WITHIN_S
        while waiting and trio.current_time() < deadline:
            await trio.sleep(_LOOK_EVERY_S)
            ended = {pod["metadata"]["name"] for pod in await _pods(api, namespace) if was_ended(pod)}
            if waiting == set(PLACES) and ended:
                deadline = trio.current_time() + REST_WITHIN_S
            waiting -= ended
    return [place for name, place in PLACES.items() if name in waiting]


async def _pods(api: Api, namespace: str) -> list[dict[str, Any]]:
    return await api.items(path_of("Pod", namespace))


async def _all_began(api: Api, namespace: str) -> None:
    late = set(PLACES)

    async def look() -> bool:
        for pod in await _pods(api, namespace):
            if pod.get("status", {}).get("phase", "Pending") != "Pending":
                late.discard(pod["metadata"]["name"])
        return not late

    if not await probe_pods.until(look, START_LIMIT_S):
        name = min(late)
        raise NoContext(f"probe pod {name} does not start: {await probe_pods.why(api, namespace, name)}")


def was_ended(pod: Mapping[str, Any]) -> bool:
    """Whether a probe pod met a bound: it was evicted, or could write no more and ended by itself.

    One that ended in any other way, as by the deadline of abandoned probes, has shown nothing.
    """
    status: Mapping[str, object] = pod.get("status", {})
    return status.get("phase") == "Succeeded" or status.get("reason") == "Evicted"

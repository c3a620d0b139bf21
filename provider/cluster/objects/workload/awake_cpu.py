# SPDX-License-Identifier: Apache-2.0
"""The CPU of a replica that sleeps warm: given back to the scheduler, and what it has awake. Pure.

A pod's class of service may not change, so requests and limits change together. Its memory is left alone: a
limit below what it holds would have the kernel end it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from trustedpods.provider.cluster.objects import sizes
from trustedpods.provider.cluster.objects.names import AWAKE_CPU, KubeObject

ASLEEP_MILLI = 1
"""What each container of a frozen replica asks for: the least that Kubernetes counts."""


def noted(pod: KubeObject) -> Mapping[str, int]:
    """Thousandths of a core that each container has awake, by name, as its note says; none without one."""
    text = (pod["metadata"].get("annotations") or {}).get(AWAKE_CPU)
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    sound = isinstance(found, dict) and all(type(one) is int and one > 0 for one in found.values())
    return found if sound else {}


def note_of(pod: KubeObject) -> str:
    """The note, of a replica that has all of its CPU."""
    return json.dumps({one["name"]: _asked(one) for _, one in _changeable(pod)}, sort_keys=True)


def awake_spec(pod: KubeObject) -> KubeObject:
    """Its spec with the CPU that it has awake."""
    awake = noted(pod)
    spec: KubeObject = pod["spec"]
    if not awake:
        return spec
    parts = {
        kind: [_with_cpu(one, awake.get(one["name"])) for one in spec[kind]]
        for kind in ("initContainers", "containers")
        if kind in spec
    }
    return {**spec, **parts}


def lent_milli(pod: KubeObject) -> int:
    """Of the CPU that it has awake, what the scheduler may give to others now."""
    awake = sizes.requested_by(awake_spec(pod)).cpu_milli
    return max(0, awake - sizes.requested_by(pod["spec"]).cpu_milli)


def asks_less(pod: KubeObject) -> bool:
    """Whether some container asks for less than it has awake, also where none of that is lent."""
    return bool(steps(pod, asleep=False))


def steps(pod: KubeObject, *, asleep: bool) -> list[dict[str, Any]]:
    """The JSON patch of its subresource `resize` for the CPU of sleep, or for all; none where it has that."""
    awake, found = noted(pod), list[dict[str, Any]]()
    for path, one in _changeable(pod):
        milli = awake.get(one["name"])
        if milli is None:
            continue
        wanted = min(ASLEEP_MILLI, milli) if asleep else milli
        if _asked(one) != wanted:
            found += [
                {"op": "replace", "path": f"{path}/resources/{side}/cpu", "value": f"{wanted}m"}
                for side in ("requests", "limits")
            ]
    return [{"op": "test", "path": "/metadata/uid", "value": pod["metadata"]["uid"]}, *found] if found else []


def _changeable(pod: KubeObject) -> Iterator[tuple[str, KubeObject]]:
    """Containers whose CPU can be changed while they run, each with where it stands in the Pod."""
    for number, one in enumerate(pod["spec"].get("initContainers", [])):
        if one.get("restartPolicy") == "Always" and _asked(one):
            yield f"/spec/initContainers/{number}", one
    for number, one in enumerate(pod["spec"].get("containers", [])):
        if _asked(one):
            yield f"/spec/containers/{number}", one


def _asked(container: KubeObject) -> int:
    """What it asks for, if it may have no more than that; 0 otherwise: such a one is left alone."""
    given = container.get("resources", {})
    asked = sizes.milli(given.get("requests", {}).get("cpu"))
    return asked if asked == sizes.milli(given.get("limits", {}).get("cpu")) else 0


def _with_cpu(container: KubeObject, milli: int | None) -> KubeObject:
    if milli is None:
        return container
    given = container.get("resources", {})
    return {
        **container,
        "resources": {**given, "requests": {**given.get("requests", {}), "cpu": f"{milli}m"}},
    }

# SPDX-License-Identifier: Apache-2.0
"""What pods ask for and nodes offer, in quantities as the API server writes them. Pure.

What a node *has* is rounded down.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from trustedpods.manifests.spec import quantity
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.units import Resources
from trustedpods.provider.cluster.objects.names import KubeObject

_MIB = 1 << 20


def _exact(text: str) -> Fraction:
    amount = quantity.exact(text)
    if amount is None:
        raise RemoteProtocolError(f"the API server wrote a quantity as {text[:64]!r}")
    return amount


def milli(text: str | None) -> int:
    """Thousandths, as CPU is counted; 0 for what is not given."""
    return int(_exact(text) * 1000) if text else 0


def mebibytes(text: str | None) -> int:
    """MiB; 0 for what is not given."""
    return int(_exact(text) / _MIB) if text else 0


def resources(amounts: Mapping[str, str]) -> Resources:
    """CPU, memory and scratch disk of a map of"""
    return Resources(
        milli(amounts.get("cpu")),
        mebibytes(amounts.get("memory")),
        mebibytes(amounts.get("ephemeral-storage")),
    )


def total(parts: Iterable[Resources]) -> Resources:
    """Sum, field by field."""
    listed = list(parts)
    return Resources(
        sum(part.cpu_milli for part in listed),
        sum(part.memory_mib for part in listed),
        sum(part.storage_mib for part in listed),
    )


def requested_by(spec: KubeObject) -> Resources:
    """What the scheduler sets aside for a pod: what its containers ask for at the largest moment of its life.

    While an init container runs, the sidecars before it do (those that restart always).
    """
    sidecars: list[Resources] = []
    moments: list[Resources] = []
    for container in spec.get("initContainers", []):
        moments.append(total([*sidecars, _requests(container)]))
        if container.get("restartPolicy") == "Always":
            sidecars.append(_requests(container))
    moments.append(total([*sidecars, *(_requests(container) for container in spec.get("containers", []))]))
    overhead = resources(spec.get("overhead", {}))
    return Resources(
        max(moment.cpu_milli for moment in moments) + overhead.cpu_milli,
        max(moment.memory_mib for moment in moments) + overhead.memory_mib,
        max(moment.storage_mib for moment in moments) + overhead.storage_mib,
    )


def _requests(container: KubeObject) -> Resources:
    return resources(container.get("resources", {}).get("requests", {}))

# SPDX-License-Identifier: Apache-2.0
"""What pods ask for and nodes offer, as the API server writes it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from trustedpods.protocol.units import Resources
from trustedpods.provider.cluster.objects import quantities


def resources(amounts: Mapping[str, str]) -> Resources:
    """CPU, memory and scratch disk of a map of quantities."""
    return Resources(
        quantities.milli(amounts.get("cpu")),
        quantities.mebibytes(amounts.get("memory")),
        quantities.mebibytes(amounts.get("ephemeral-storage")),
    )


def total(parts: Iterable[Resources]) -> Resources:
    """Sum, field by field."""
    listed = list(parts)
    return Resources(
        sum(part.cpu_milli for part in listed),
        sum(part.memory_mib for part in listed),
        sum(part.storage_mib for part in listed),
    )


def requested_by(spec: Mapping[str, Any]) -> Resources:
    """What the scheduler sets aside for a pod: its containers, or its largest init container."""
    main = total(_requests(container) for container in spec.get("containers", []))
    first = [_requests(container) for container in spec.get("initContainers", [])]
    overhead = resources(spec.get("overhead", {}))
    return Resources(
        max([main.cpu_milli, *(part.cpu_milli for part in first)]) + overhead.cpu_milli,
        max([main.memory_mib, *(part.memory_mib for part in first)]) + overhead.memory_mib,
        max([main.storage_mib, *(part.storage_mib for part in first)]) + overhead.storage_mib,
    )


def _requests(container: Mapping[str, Any]) -> Resources:
    return resources(container.get("resources", {}).get("requests", {}))

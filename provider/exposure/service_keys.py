# SPDX-License-Identifier: Apache-2.0
"""A service's name among those of all pods: its pod's label, a dot, its own name. Pure."""

from collections import defaultdict
from collections.abc import Mapping


def key_of(pod: str, service: str) -> str:
    """The key of a service."""
    return f"{pod}.{service}"


def pod_of(key: str) -> str:
    """The pod of such a key."""
    return key.partition(".")[0]


def service_of(key: str) -> str:
    """The service of such a key."""
    return key.partition(".")[2]


def by_pod(numbers: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Numbers by services' keys, sorted into pods."""
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for key, number in numbers.items():
        found[pod_of(key)][key] = number
    return dict(found)

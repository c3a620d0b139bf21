# SPDX-License-Identifier: Apache-2.0
"""What CPU replicas may use by the kernel, and what they ask the scheduler for by the API server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import replicas
from tests.live.observers.freezes import MOUNT, FrozenGroups
from trustedpods.provider.cluster.objects.sizes import milli

PERIOD_US = 100_000
"""The kubelet's, of which a quota is a part."""


def asked_milli(pod: dict[str, Any]) -> int:
    """Thousandths of a core that its containers ask for together."""
    return sum(milli(one["resources"]["requests"]["cpu"]) for one in pod["spec"]["containers"])


def asked_of(market: LiveLocalnet, namespace: str) -> list[int]:
    """The same of each replica in a namespace."""
    return [asked_milli(pod) for pod in replicas(market, namespace)]


@dataclass(frozen=True)
class KernelCpu:
    """By the control groups of a market's node."""

    market: LiveLocalnet

    def quotas(self, uid: str) -> list[int]:
        """Thousandths of a core that a pod and its bounded containers may use, each; none if it is gone."""
        group = FrozenGroups(self.market).groups().get(uid)
        if group is None:
            return []
        first = MOUNT / "freezer"
        if first.is_dir():
            group = MOUNT / "cpu" / group.relative_to(first)
        found = [_quota(folder) for folder in (group, *(one for one in group.iterdir() if one.is_dir()))]
        return [quota for quota in found if quota is not None]


def _quota(folder: Path) -> int | None:
    """None where it has no bound."""
    file = folder / "cpu.cfs_quota_us"
    text = (file if file.exists() else folder / "cpu.max").read_text().split()[0]
    return None if text in ("-1", "max") else int(text) * 1000 // PERIOD_US

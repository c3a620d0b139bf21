# SPDX-License-Identifier: Apache-2.0
"""Which pods are frozen, and when they were: read from the kernel itself, beside whatever freezes them."""

import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.live.localnet_fixture import LiveLocalnet
from trustedpods.localnet.processes.cgroups import Tree

MOUNT = Path("/sys/fs/cgroup")
LOOK_EVERY_S = 0.005
LIST_EVERY_S = 0.2
"""A pod is frozen seconds after its group is made."""

_POD = re.compile(r"pod([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@dataclass
class Freeze:
    """One freeze of a pod, in Unix seconds: between which two looks it began, and between which it ended."""

    uid: str
    since: tuple[float, float]
    until: tuple[float, float] | None = None


class FrozenGroups:
    """The control groups of a node's pods, as they are now."""

    def __init__(self, market: LiveLocalnet) -> None:
        first = MOUNT / "freezer"
        self._first = first.is_dir()
        root = Tree(market.settings.name).kubelet_root(market.cluster().name)
        self._top = (first if self._first else MOUNT) / root.lstrip("/") / "kubepods"

    def groups(self) -> dict[str, Path]:
        """The folders of all pods by uid."""
        classes = (self._top, *(self._top / name for name in ("burstable", "besteffort")))
        folders = [folder for one in classes if one.is_dir() for folder in one.iterdir()]
        return {found[1]: folder for folder in folders if (found := _POD.fullmatch(folder.name))}

    def is_frozen(self, group: Path) -> bool:
        """Whether the kernel holds it, or is about to; what is gone is not."""
        try:
            if self._first:
                return (group / "freezer.state").read_text().strip() != "THAWED"
            return "frozen 1" in (group / "cgroup.events").read_text()
        except OSError:
            return False

    def frozen(self) -> set[str]:
        """The uids of all pods that are frozen."""
        return {uid for uid, group in self.groups().items() if self.is_frozen(group)}


class FreezeTimes:
    """Looks all the time, from a thread, while the block runs."""

    def __init__(self, market: LiveLocalnet) -> None:
        self._kernel = FrozenGroups(market)
        self.seen: list[Freeze] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="freezes")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def of(self, uids: Iterable[str]) -> list[Freeze]:
        """The freezes of these pods in their order."""
        wanted = set(uids)
        return [one for one in self.seen if one.uid in wanted]

    def _look_on(self) -> None:
        listed, groups = 0.0, dict[str, Path]()
        last, running = time.time(), dict[str, Freeze]()
        while not self._over.wait(LOOK_EVERY_S):
            now = time.time()
            if now - listed > LIST_EVERY_S:
                listed, groups = now, self._kernel.groups()
            held = {uid for uid, group in groups.items() if self._kernel.is_frozen(group)}
            after = time.time()
            for uid in held - running.keys():
                running[uid] = Freeze(uid, (last, after))
                self.seen.append(running[uid])
            for uid in running.keys() - held:
                running.pop(uid).until = (last, after)
            last = now

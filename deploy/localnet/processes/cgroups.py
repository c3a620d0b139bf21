# SPDX-License-Identifier: Apache-2.0
"""The control groups of a localnet: how `down` finds every process, whoever its parent is now.

    tp-<name>/parts   the supervisor and the parts, with containerd's shims
    tp-<name>/k1      the kubelet's root: the pods of cluster k1, of its first node
    tp-<name>/k1n2    those of its second node

On version 1 the tree is made in every hierarchy, as the kubelet demands. On version 2 the
controllers are handed down to tp-<name>/k1, and only leaves hold processes. Hybrid machines
(version 1 with an empty version 2 beside it) get both.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from trustedpods.protocol.errors import TrustedPodsError

_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma")
_KILL_LIMIT_S = 60
_REMOVE_LIMIT_S = 60


def hierarchies(mounts: str | None = None) -> list[tuple[Path, int]]:
    """Mount points of control groups with their version (1 or 2)."""
    text = Path("/proc/self/mounts").read_text() if mounts is None else mounts
    found = []
    for line in text.splitlines():
        fields = line.split()
        version = {"cgroup": 1, "cgroup2": 2}.get(fields[2])
        if version:
            found.append((Path(fields[1]), version))
    return found


class Tree:
    """The control groups of the localnet *name*, in every hierarchy of this machine.

    Without the right to make any, everything here does nothing: then there is no embedded cluster,
    and `down` finds the parts by their sessions.
    """

    def __init__(self, name: str) -> None:
        self.root = f"tp-{name}"
        self._hierarchies = [found for found in hierarchies() if os.access(found[0], os.W_OK)]

    def make(self, leaves: list[str]) -> None:
        """Make the tree with these leaves; what is there already stays."""
        for mount, version in self._hierarchies:
            _hand_down(mount, mount / self.root, version)
            for leaf in ["parts", *leaves]:
                _hand_down(mount / self.root, mount / self.root / leaf, version)

    def join_parts(self, pid: int) -> None:
        """Move a process, and so all its future children, into tp-<name>/parts."""
        for mount, _ in self._hierarchies:
            (mount / self.root / "parts" / "cgroup.procs").write_text(str(pid))

    def kubelet_root(self, node: str) -> str:
        """Value of the kubelet's cgroupRoot."""
        return f"/{self.root}/{node}"

    def pids(self, below: str = "") -> set[int]:
        """All processes in the tree, or in one branch of it."""
        found: set[int] = set()
        for mount, _ in self._hierarchies:
            top = mount / self.root / below
            for directory, _, files in os.walk(top):
                if "cgroup.procs" in files:
                    found |= _members(Path(directory))
        return found

    def branches(self) -> list[str]:
        """Names of the pods' branches: k1, k1n2, k2."""
        names: set[str] = set()
        for mount, _ in self._hierarchies:
            with contextlib.suppress(FileNotFoundError):
                names |= {entry.name for entry in (mount / self.root).iterdir() if entry.is_dir()}
        return sorted(names - {"parts"})

    def kill(self, below: str = "") -> int:
        """End every process in the tree or branch and wait until it is empty; how many there were."""
        ended: set[int] = set()
        deadline = time.monotonic() + _KILL_LIMIT_S
        while remaining := self.pids(below) - {os.getpid()}:
            self._thaw(below)  # the kernel ends nothing that is frozen, and its agent may be gone
            for pid in remaining:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            ended |= remaining
            if time.monotonic() > deadline:
                raise TrustedPodsError(
                    f"processes do not end: {sorted(remaining)}", where=f"{self.root}/{below}"
                )
            time.sleep(0.02)
        return len(ended)

    def _thaw(self, below: str) -> None:
        """Let every group of the branch run, those above first."""
        for mount, version in self._hierarchies:
            name, word = ("freezer.state", "THAWED") if version == 1 else ("cgroup.freeze", "0")
            for directory, _, files in os.walk(mount / self.root / below):
                if name in files:
                    with contextlib.suppress(OSError):  # it went meanwhile
                        (Path(directory) / name).write_text(word)

    def remove(self) -> None:
        """Remove the tree; its processes must have ended."""
        deadline = time.monotonic() + _REMOVE_LIMIT_S
        for mount, _ in self._hierarchies:
            while not _remove_below(mount / self.root):
                if time.monotonic() > deadline:
                    raise TrustedPodsError(
                        "the control group cannot be removed", where=str(mount / self.root)
                    )
                time.sleep(0.05)


def _members(group: Path) -> set[int]:
    try:
        return {int(line) for line in (group / "cgroup.procs").read_text().split()} - {0}
    except OSError:  # removed meanwhile, or a threaded group
        return set()


def _hand_down(parent: Path, child: Path, version: int) -> None:
    """Make *child* usable: cpuset values on version 1, controllers on version 2."""
    if version == 2:
        _enable_controllers(parent)
    child.mkdir(exist_ok=True)
    for name in ("cpuset.cpus", "cpuset.mems"):
        own, above = child / name, parent / name
        if version == 1 and own.exists() and not own.read_text().strip():
            own.write_text(above.read_text())


def _enable_controllers(group: Path) -> None:
    """Let the children of a version 2 group use what the group itself may use.

    Asking for one controller at a time keeps a refusal of one (cpuset in some containers) from
    costing the others; what the kubelet then misses, it names.
    """
    available = (group / "cgroup.controllers").read_text().split()
    for controller in _CONTROLLERS:
        if controller in available:
            with contextlib.suppress(OSError):
                (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _remove_below(top: Path) -> bool:
    """Remove a group with all below it; whether it is gone."""
    for directory, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):  # busy for a moment after its last process ended
            Path(directory).rmdir()
    return not top.exists()

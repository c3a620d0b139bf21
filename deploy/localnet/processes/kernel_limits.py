# SPDX-License-Identifier: Apache-2.0
"""What the kernel would refuse to one more localnet: counted before anything is made, told with the setting.

A part that meets such a limit ends, is started again, and ends, in words that name no setting.
"""

import ctypes
import os
import resource
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trustedpods.localnet.processes import cgroups
from trustedpods.protocol.errors import Refused

_PROC = Path("/proc")
_TASKS = "tasks of all processes here"
_SETTINGS = {
    "inotify instances": "sysctl -w fs.inotify.max_user_instances={wanted}",
    "inotify watches": "sysctl -w fs.inotify.max_user_watches={wanted}",
    "threads": "sysctl -w kernel.threads-max={wanted} kernel.pid_max={wanted}",
    _TASKS: "raise the limit of tasks (a container's --pids-limit, systemd's TasksMax) to {wanted}",
    "open files": "sysctl -w fs.file-max={wanted}",
    "open files of one process": "ulimit -Hn {wanted}, or LimitNOFILE of the service that this shell runs in",
}
_MARGIN = 4
"""The setting that is told leaves room for so many more."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one cluster takes with a dozen pods, measured, and half as much again."""

    inotify_instances: int = 21
    """The kubelet 6, the API server 5, controllers 5, containerd and the proxy 1 each."""
    inotify_watches: int = 1024
    """The kubelet's of each container's control group, mostly."""
    threads: int = 512
    files: int = 4096
    files_of_one: int = 4096
    """HAProxy's, for the connections that it takes at once."""

    def times(self, number: int) -> "Need":
        """What so many take; no process of them gets larger by that."""
        return Need(
            self.inotify_instances * number,
            self.inotify_watches * number,
            self.threads * number,
            self.files * number,
            self.files_of_one,
        )

    def beside(self, other: "Need") -> "Need":
        """What both take."""
        return Need(
            self.inotify_instances + other.inotify_instances,
            self.inotify_watches + other.inotify_watches,
            self.threads + other.threads,
            self.files + other.files,
            max(self.files_of_one, other.files_of_one),
        )


LATER_NODE = Need(inotify_instances=12, inotify_watches=768, threads=256, files=2048)
"""What each node after the first takes, counted alike: its kubelet 6, containerd and the proxy 1 each."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much of *what* is left, of *limit* in all; None has no limit."""

    what: str
    left: int | None
    limit: int


def check(clusters: int, later_nodes: int = 0) -> None:
    """Refused (rule `kernel`) that names each limit which these would meet, and its setting.

    *later_nodes* are those of all clusters after the first of each.
    """
    wanted = Need().times(clusters).beside(LATER_NODE.times(later_nodes))
    short = shortages(rooms(wanted), wanted)
    if short:
        raise Refused(
            f"the kernel has too little left for {clusters} more cluster{'s' * (clusters > 1)}: "
            + "; ".join(text for text, _ in short),
            rule="kernel",
            hint=" && ".join(setting for _, setting in short),
        )


def shortages(found: Iterable[Room], need: Need) -> list[tuple[str, str]]:
    """Each limit that is too near, in words, with what raises it. Pure."""
    wanted = {
        "inotify instances": need.inotify_instances,
        "inotify watches": need.inotify_watches,
        "threads": need.threads,
        _TASKS: need.threads,
        "open files": need.files,
        "open files of one process": need.files_of_one,
    }
    short = []
    for room in found:
        takes = wanted[room.what]
        if room.left is not None and room.left < takes:
            raised = room.limit - room.left + _MARGIN * takes
            told = f"{room.left} of {room.limit} {room.what} are left, {takes} are needed"
            short.append((told, _SETTINGS[room.what].format(wanted=raised)))
    return short


def rooms(need: Need) -> list[Room]:
    """What this user has left now; of what can only be tried, as far as it is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    del soft  # the parts raise it themselves
    return [
        _inotify_instances(need.inotify_instances),
        _inotify_watches(),
        _threads(),
        _tasks(),
        _files(),
        Room("open files of one process", None if hard == resource.RLIM_INFINITY else hard, max(0, hard)),
    ]


def _inotify_instances(wanted: int) -> Room:
    """Tried, as the limit is this user's in this user namespace, where other processes may not be seen."""
    create = ctypes.CDLL(None, use_errno=True).inotify_init1
    made: list[int] = []
    try:
        while len(made) < wanted and (descriptor := create(os.O_CLOEXEC)) >= 0:
            made.append(descriptor)
    finally:
        for descriptor in made:
            os.close(descriptor)
    return Room("inotify instances", len(made), _number("sys/fs/inotify/max_user_instances"))


def _inotify_watches(processes: Path = _PROC) -> Room:
    """Counted in what this user's *processes* have open: a folder for each, by its number."""
    used = 0
    for process in processes.iterdir():
        if process.name.isdigit():
            used += _ignoring(partial(_watches_of, process))
    limit = _number("sys/fs/inotify/max_user_watches")
    return Room("inotify watches", max(0, limit - used), limit)


def _watches_of(process: Path) -> int:
    return sum(map(_watches, (process / "fd").iterdir()))


def _watches(descriptor: Path) -> int:
    if _ignoring(lambda: os.readlink(descriptor).count("inotify")):
        info = descriptor.parent.parent / "fdinfo" / descriptor.name
        return _ignoring(lambda: info.read_text().count("inotify wd:"))
    return 0


def _ignoring(count: Callable[[], int]) -> int:
    """Processes come and go while they are looked at."""
    try:
        return count()
    except OSError:
        return 0


def _threads() -> Room:
    running = int((_PROC / "loadavg").read_text().split()[3].split("/")[1])
    limit = min(_number("sys/kernel/threads-max"), _number("sys/kernel/pid_max"))
    return Room("threads", max(0, limit - running), limit)


def _tasks() -> Room:
    """Of the group below which a localnet makes its own; the machine's topmost one has no limit."""
    for mount, _ in cgroups.hierarchies():
        most, now = mount / "pids.max", mount / "pids.current"
        if most.exists() and now.exists() and (text := most.read_text().strip()).isdigit():
            return Room(_TASKS, max(0, int(text) - int(now.read_text())), int(text))
    return Room(_TASKS, None, 0)


def _files() -> Room:
    allocated, _, limit = map(int, (_PROC / "sys/fs/file-nr").read_text().split())
    return Room("open files", max(0, limit - allocated), limit)


def _number(name: str) -> int:
    return int((_PROC / name).read_text())

# SPDX-License-Identifier: Apache-2.0
"""`down`: remove everything of a localnet, whatever state it is in.

It trusts no file: processes are found by control group, links by their alias, namespaces and
mounts by their names. The order matters: the supervisor first, so that it starts nothing again;
pods before containerd's shims, whose end would otherwise leave the pods' processes behind.
"""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from trustedpods.localnet import folders, network
from trustedpods.localnet.commands import Say, succeeds
from trustedpods.localnet.processes import supervisor
from trustedpods.localnet.processes.cgroups import Tree
from trustedpods.localnet.processes.processes import end_session, start_time
from trustedpods.localnet.settings import check_name
from trustedpods.protocol.errors import TrustedPodsError

_POLITE_LIMIT_S = 3.0
_LEGACY_POD_LOGS = Path("/var/log/containers")
_CNI_RESULTS = Path("/var/lib/cni/results")


def down(name: str, *, keep: bool = False, say: Say = lambda _: None) -> bool:
    """Remove the localnet; whether there was one. `keep` leaves its files, so that `up` goes on."""
    check_name(name)
    state, tree = folders.state_of(name), Tree(name)
    with folders.exclusive(folders.home() / f".{name}.lock", f"another up or down of {name!r}"):
        found = state.exists() or bool(tree.pids()) or bool(network.links_of(name))
        _end_processes(state, tree, polite=keep)
        _forget_traces(state)
        _unmount(state)
        network.remove(name)
        tree.remove()
        if not keep:
            _remove_files(name, state)
    if not found:
        say(f"{name} is not up")
    return found


def _end_processes(state: Path, tree: Tree, *, polite: bool) -> None:
    pid = folders.holder(folders.supervisor_lock(state))
    if pid is not None:
        _kill(pid, signal.SIGKILL)
        while folders.holder(folders.supervisor_lock(state)) is not None:
            time.sleep(0.01)
    if polite:
        _ask_to_end(state)
    for branch in tree.branches():
        tree.kill(branch)
    tree.kill()
    for status in supervisor.read_status(state):
        if status.pid and status.started:
            end_session(status.pid, status.started)


def _ask_to_end(state: Path) -> None:
    """Give parts the chance to write down what they know, in the order opposite to their start."""
    for status in reversed(supervisor.read_status(state)):
        if status.pid and start_time(status.pid) == status.started:
            _kill(status.pid, signal.SIGTERM)
    deadline = time.monotonic() + _POLITE_LIMIT_S
    while time.monotonic() < deadline and any(
        status.pid and start_time(status.pid) == status.started for status in supervisor.read_status(state)
    ):
        time.sleep(0.05)


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _forget_traces(state: Path) -> None:
    """Remove what containerd, CNI and the kubelet keep outside of the folders they are given."""
    for address in state.glob("*/run/io.containerd.runtime.v2.task/*/*/address"):
        socket = Path(address.read_text().strip().removeprefix("unix://"))
        if socket.is_absolute():
            socket.unlink(missing_ok=True)
    for result in _CNI_RESULTS.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # other clusters' pods come and go
            if f"{state}/".encode() in result.read_bytes():  # the path of the pod's network namespace
                result.unlink()
    for link in _LEGACY_POD_LOGS.glob("*.log"):
        with contextlib.suppress(FileNotFoundError):
            if link.is_symlink() and Path(os.readlink(link)).is_relative_to(state):
                link.unlink()


def _unmount(state: Path) -> None:
    """Unmount everything below the state folder, the latest first."""
    for _ in range(10):
        points = mounts_below(state)
        if not points:
            return
        for point in reversed(points):
            if not succeeds(["umount", point]):
                succeeds(["umount", "--lazy", point])
    raise TrustedPodsError("mounts remain", where=", ".join(mounts_below(state)))


def mounts_below(folder: Path) -> list[str]:
    """Mount points at or below the folder, in the order in which they were made."""
    points = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        point = line.split()[1].encode().decode("unicode_escape")
        if Path(point).is_relative_to(folder):
            points.append(point)
    return points


def _remove_files(name: str, state: Path) -> None:
    for folder in (folders.shared_memory(name), state):
        if folder.exists():
            shutil.rmtree(folder)

# SPDX-License-Identifier: Apache-2.0
"""Limits of the kernel are met before anything is made, and each is told with the setting that raises it."""

import ctypes
import os
import resource

import pytest

from trustedpods.localnet.processes import kernel_limits
from trustedpods.localnet.processes.kernel_limits import LATER_NODE, Need, Room, rooms, shortages
from trustedpods.protocol.errors import Refused

NEED = Need(10, 100, 200, 300, 400)
WHAT = {room.what: room for room in rooms(Need())}


@pytest.mark.parametrize("what", WHAT)
def test_each_limit_is_told_with_its_setting(what, monkeypatch):
    ((told, setting),) = shortages([Room(what, 9, 50)], NEED.times(2))
    assert told.startswith(f"9 of 50 {what} are left")
    assert any(character.isdigit() for character in setting)
    assert shortages([Room(what, 10**6, 10**6)], NEED.times(2)) == []
    assert shortages([Room(what, None, 0)], NEED.times(2)) == []
    monkeypatch.setattr(kernel_limits, "rooms", lambda _need: [Room(what, 0, 50)])
    with pytest.raises(Refused, match=what) as caught:
        kernel_limits.check(1)
    assert (caught.value.rule, caught.value.hint) == ("kernel", shortages([Room(what, 0, 50)], Need())[0][1])


def test_all_of_them_are_told_at_once():
    found = [Room(what, 0, 1) for what in WHAT]
    assert len(shortages(found, NEED)) == len(WHAT) == 6


def test_later_nodes_are_counted_beside_their_cluster():
    both = NEED.times(2).beside(LATER_NODE.times(3))
    assert both == Need(
        20 + 3 * LATER_NODE.inotify_instances,
        200 + 3 * LATER_NODE.inotify_watches,
        400 + 3 * LATER_NODE.threads,
        600 + 3 * LATER_NODE.files,
        max(400, LATER_NODE.files_of_one),
    )
    assert NEED.beside(LATER_NODE.times(0)) == Need(10, 100, 200, 300, LATER_NODE.files_of_one)


def test_what_is_told_is_enough_afterwards():
    ((_, setting),) = shortages([Room("inotify instances", 3, 128)], NEED)
    raised = int(setting.rpartition("=")[2])
    assert raised - (128 - 3) >= NEED.inotify_instances


LOOKS = 50
"""Others on this machine take and give back instances meanwhile: one look of so many is undisturbed."""


def test_instances_are_asked_of_the_kernel_itself():
    """The real thing: what this process takes is no longer left, and nothing is kept by asking."""
    descriptors = len(os.listdir("/proc/self/fd"))
    looks = (look_at_instances() for _ in range(LOOKS))
    assert any(before == after == between + 3 for before, between, after in looks)
    assert len(os.listdir("/proc/self/fd")) == descriptors


def look_at_instances():
    """What is left before, while and after this process has three; others may change it too."""
    limit = WHAT["inotify instances"].limit

    def left():
        return kernel_limits._inotify_instances(limit + 1).left

    before, create = left(), ctypes.CDLL(None).inotify_init1
    taken = [create(os.O_CLOEXEC) for _ in range(3)]
    try:
        assert min(taken) >= 0
        between = left()
    finally:
        for descriptor in taken:
            os.close(descriptor)
    return before, between, left()


def test_watches_are_counted(tmp_path):
    """Exactly, of a process that nobody else moves; and in all of the machine's there are these at least."""
    own = tmp_path / str(os.getpid())
    own.symlink_to(f"/proc/{os.getpid()}")
    libc = ctypes.CDLL(None)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    try:
        before = kernel_limits._inotify_watches(tmp_path)
        for path in (b"/", b"/proc", b"/tmp"):
            assert libc.inotify_add_watch(descriptor, path, 0x100) >= 0
        assert kernel_limits._inotify_watches(tmp_path).left == before.left - 3
        assert kernel_limits._inotify_watches().left <= before.limit - 3
        assert kernel_limits._watches(kernel_limits._PROC / "self" / "fd" / str(descriptor)) == 3
    finally:
        os.close(descriptor)


def test_a_low_limit_of_files_is_seen(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (256, 1024))
    found = {room.what: room for room in rooms(Need())}["open files of one process"]
    assert (found.left, found.limit) == (1024, 1024)
    assert "ulimit -Hn" in shortages([found], Need())[0][1]

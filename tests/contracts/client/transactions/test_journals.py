# SPDX-License-Identifier: Apache-2.0
"""Files of unfinished transactions: processes take turns, and a write that fails changes nothing."""

import os
import threading

import pytest

from tests.contracts.client.transactions.test_outbox import ONE, box_at
from trustedpods.contracts.client.client_limits import ClientLimits
from trustedpods.protocol.errors import Locked, NoContext


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NoContext, match="cannot be kept"), box_at(tmp_path / "file" / "x.json").exclusive():
        pass


def test_processes_take_turns(tmp_path):
    """Locks are those of open files, so two boxes in one process behave like two processes."""
    path, inside, go = tmp_path / "file.json", threading.Event(), threading.Event()

    def hold():
        with box_at(path).exclusive():
            inside.set()
            go.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(10)
    with pytest.raises(Locked), box_at(path, ClientLimits(lock_s=0.2)).exclusive():
        pass
    go.set()
    holder.join()
    with box_at(path).exclusive() as held:
        assert held == {}


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    box = box_at(tmp_path / "file.json")
    with box.exclusive() as held:
        held[ONE.id] = ONE
        box.save()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    def lose():
        with box.exclusive() as held:
            held.clear()
            box.save()

    with pytest.raises(NoContext, match="No space left"):
        lose()
    monkeypatch.undo()
    with box_at(tmp_path / "file.json").exclusive() as held:
        assert held == {ONE.id: ONE}

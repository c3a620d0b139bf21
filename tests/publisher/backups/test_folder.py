# SPDX-License-Identifier: Apache-2.0
"""The folder as a store: whole objects, below its top only, and its troubles in one kind of error."""

import os

import pytest

from trustedpods.protocol.errors import BadInput, StoreFailure
from trustedpods.publisher.backups.folder import STALE_DRAFT_S, FolderStore


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "kept")


def names(store, prefix):
    return sorted(one.name for one in store.listed(prefix))


def test_objects_come_back_and_go(store):
    store.put("pod/data/one", b"1")
    store.put("pod/data/one", b"11")
    store.put("pod/index/one", b"")
    assert store.get("pod/data/one", 2) == b"11"
    assert [(one.name, one.size) for one in store.listed("pod/data")] == [("pod/data/one", 2)]
    store.delete("pod/data/one")
    store.delete("pod/data/one")
    assert (store.get("pod/data/one", 2), names(store, "pod")) == (None, ["pod/index/one"])
    assert names(store, "other") == []


def test_an_object_that_is_too_large_is_not_read(store):
    store.put("one", b"123")
    with pytest.raises(StoreFailure, match="larger than 2 bytes") as error:
        store.get("one", 2)
    assert error.value.rule == "backup-store"


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../b", "", "a//b", ".hidden", "a/", "a\n", "ü"])
def test_no_name_leads_out(store, name):
    for asked in (lambda: store.get(name, 1), lambda: store.put(name, b""), lambda: store.delete(name)):
        with pytest.raises(BadInput, match="no name of an object"):
            asked()


def test_what_a_killed_writer_left_is_no_object_and_goes_in_time(store, tmp_path):
    store.put("pod/one", b"1")
    old, new = (tmp_path / "kept" / "pod" / f".one.{name}" for name in ("old", "new"))
    for draft in (old, new):
        draft.write_bytes(b"half")
    os.utime(old, (0, old.stat().st_mtime - STALE_DRAFT_S - 60))
    assert names(store, "pod") == ["pod/one"]
    FolderStore(tmp_path / "kept").put("pod/two", b"2")
    assert (old.exists(), new.exists()) == (False, True)


def test_a_folder_that_cannot_be_written_or_listed(tmp_path):
    (tmp_path / "redis").write_text("a file")
    store = FolderStore(tmp_path)
    with pytest.raises(StoreFailure, match="cannot write the backup"):
        store.put("redis/index/one", b"")
    with pytest.raises(StoreFailure, match="cannot read it"):
        list(store.listed("redis"))


def test_a_pipe_in_place_of_an_object_is_not_waited_for(store, tmp_path):
    store.put("one", b"1")
    (tmp_path / "kept" / "one").unlink()
    os.mkfifo(tmp_path / "kept" / "one")
    with pytest.raises(StoreFailure, match="it is no file"):
        store.get("one", 1)

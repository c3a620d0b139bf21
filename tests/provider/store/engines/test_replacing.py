# SPDX-License-Identifier: Apache-2.0
"""Books that are being replaced are nobody's until that is done, and what was there is kept once."""

import pytest

from trustedpods.protocol.errors import StoreFailure
from trustedpods.provider.store import Vault, open_store
from trustedpods.provider.store.engines import replacing


@pytest.fixture
def books(tmp_path):
    path = tmp_path / "books" / "store.db"
    path.parent.mkdir(mode=0o700)
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).write_text(f"old{suffix}")
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_log_goes_with_its_file(books):
    aside = replacing.set_aside(books, "before-restore-1")
    assert aside == books.parent / "before-restore-1"
    assert names(aside) == ["store.db", "store.db-shm", "store.db-wal"]
    assert names(books.parent) == ["before-restore-1", "store.db.restoring"]


async def test_no_daemon_opens_them_before_it_is_finished(books):
    replacing.set_aside(books, "before-restore-1")
    with pytest.raises(StoreFailure) as caught:
        async with open_store(books, Vault(b"k" * 32)):
            pass
    assert caught.value.rule == replacing.UNFINISHED
    assert "restore" in caught.value.hint
    replacing.finish(books)
    async with open_store(books, Vault(b"k" * 32)):
        pass


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_a_second_try_keeps_what_was_there_first(books, moved):
    aside = replacing.set_aside(books, "before-restore-1")
    for suffix in ("-shm", "-wal", "")[moved:]:  # as a kill after so many would have left it
        (aside / f"store.db{suffix}").rename(books.with_name(f"store.db{suffix}"))
    assert replacing.set_aside(books, "before-restore-2") == aside
    assert {path.name: path.read_text() for path in aside.iterdir()} == {
        "store.db": "old",
        "store.db-wal": "old-wal",
        "store.db-shm": "old-shm",
    }


def test_what_was_placed_since_is_not_moved(books):
    aside = replacing.set_aside(books, "before-restore-1")
    books.write_text("new")
    replacing.set_aside(books, "before-restore-2")
    assert (aside / "store.db").read_text() == "old"
    assert books.read_text() == "new"


@pytest.mark.parametrize("mark", [b"../elsewhere", b"before-restore-/../../x", b"\xff", b""])
def test_a_mark_leads_nowhere_else(books, mark):
    replacing.mark_of(books).write_bytes(mark)
    with pytest.raises(StoreFailure, match="no mark of a restore"):
        replacing.set_aside(books, "before-restore-1")
    assert books.read_text() == "old"


def test_what_another_one_kept_in_this_second_is_not_mixed_with_this(books):
    kept = books.parent / "before-restore-1"
    kept.mkdir()
    (kept / "store.db-wal").write_text("older")
    with pytest.raises(StoreFailure, match="set aside"):
        replacing.set_aside(books, "before-restore-1")
    assert books.read_text() == "old"

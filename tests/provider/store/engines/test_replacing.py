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
    aside = replacing.set_aside(books, "before")
    assert aside == books.parent / "before"
    assert names(aside) == ["store.db", "store.db-shm", "store.db-wal"]
    assert names(books.parent) == ["before", "store.db.restoring"]


async def test_no_daemon_opens_them_before_it_is_finished(books):
    replacing.set_aside(books, "before")
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
    aside = replacing.set_aside(books, "before")
    for suffix in ("-shm", "-wal", "")[moved:]:  # as a kill after so many would have left it
        (aside / f"store.db{suffix}").rename(books.with_name(f"store.db{suffix}"))
    assert replacing.set_aside(books, "another name") == aside
    assert {path.name: path.read_text() for path in aside.iterdir()} == {
        "store.db": "old",
        "store.db-wal": "old-wal",
        "store.db-shm": "old-shm",
    }


def test_what_was_placed_since_is_not_moved(books):
    aside = replacing.set_aside(books, "before")
    books.write_text("new")
    replacing.set_aside(books, "another name")
    assert (aside / "store.db").read_text() == "old"
    assert books.read_text() == "new"

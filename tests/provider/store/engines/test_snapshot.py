# SPDX-License-Identifier: Apache-2.0
"""Books are copied as they were in one moment, beside whoever writes them."""

import sqlite3
from contextlib import closing
from stat import S_IMODE

import pytest
import trio

from tests.fakes.provider.world import put_empty_books
from trustedpods.protocol.errors import StoreFailure
from trustedpods.provider.store.engines import snapshot
from trustedpods.provider.store.engines.migrating import newest_schema
from trustedpods.provider.store.failures import DAMAGED, NEWER


@pytest.fixture
def books(tmp_path):
    path = tmp_path / "books" / "store.db"
    trio.run(put_empty_books, path)
    return path


def test_it_has_what_is_committed_and_nothing_of_a_transaction_that_is_open(books, tmp_path):
    with closing(sqlite3.connect(books)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("PRAGMA wal_autocheckpoint=0")
        with writer:
            writer.execute("INSERT INTO denied (publisher) VALUES ('0xa')")
        writer.execute("INSERT INTO denied (publisher) VALUES ('0xb')")  # its transaction is open
        copy = tmp_path / "copy"
        snapshot.take(books, copy)
        writer.commit()  # and nobody is in its way
    with closing(sqlite3.connect(copy)) as found:
        assert found.execute("SELECT publisher FROM denied").fetchall() == [("0xa",)]
        assert found.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert S_IMODE(copy.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("copy")] == ["copy"]
    assert snapshot.examine(copy) == newest_schema()


def test_where_there_are_none_nothing_is_made(tmp_path):
    with pytest.raises(StoreFailure, match="there are no books here"):
        snapshot.take(tmp_path / "store.db", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []


def test_damaged_books_are_told(books):
    with books.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    with pytest.raises(StoreFailure) as caught:
        snapshot.examine(books)
    assert caught.value.rule == DAMAGED


def test_what_is_no_database_and_what_is_none_of_ours(tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"no database, and long enough for its header" * 100)
    with pytest.raises(StoreFailure) as caught:
        snapshot.examine(other)
    assert caught.value.rule == DAMAGED
    other.unlink()
    with closing(sqlite3.connect(other)) as made:
        made.execute("CREATE TABLE things (name TEXT)")
    with pytest.raises(StoreFailure, match="no books of a provider"):
        snapshot.examine(other)


def test_a_newer_schema_is_refused(books):
    with closing(sqlite3.connect(books)) as made, made:
        made.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreFailure) as caught:
        snapshot.examine(books)
    assert caught.value.rule == NEWER

# SPDX-License-Identifier: Apache-2.0
"""Books are copied before their schema changes, and change whole or not at all."""

import logging
import os
import sqlite3
from contextlib import closing

import pytest
from alembic import command, op
from sqlalchemy import create_engine, text

from trustedpods.protocol.errors import StoreFailure
from trustedpods.provider.store import Vault, open_store
from trustedpods.provider.store.engines import kept_copy
from trustedpods.provider.store.engines.migrating import migrate, newest_schema
from trustedpods.provider.store.engines.sqlite_file import SqliteFile
from trustedpods.provider.store.failures import FULL, NotCopied

OLD, OLDER = "0014", "0013"
PAYMENT = "INSERT INTO claims (root, signed, state, created, number) VALUES (x'01', x'', 'final', 5, 1)"


class Killed(Exception):
    """In the place of a kill."""


def books(path):
    return open_store(path, Vault(b"k" * 32))


@pytest.fixture
def old(tmp_path):
    """Books of an older daemon with one claim in them, of which the last write is still in the log."""
    path = tmp_path / "store.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrate(connection, OLD)
        connection.execute(text(PAYMENT))
    engine.dispose()
    return path


def schema_and_claims(path):
    with closing(sqlite3.connect(path)) as found:
        (schema,) = found.execute("SELECT version_num FROM alembic_version").fetchone()
        return schema, found.execute("SELECT count(*) FROM claims").fetchone()[0]


def columns(path):
    with closing(sqlite3.connect(path)) as found:
        return {row[1] for row in found.execute("PRAGMA table_info(pods)")}


async def test_books_of_an_older_schema_are_copied_as_they_were(old, caplog):
    caplog.set_level(logging.WARNING)
    before = columns(old)
    async with books(old):
        pass
    copy = kept_copy.place(old, OLD)
    assert kept_copy.copies(old) == [copy]
    assert (oct(copy.stat().st_mode & 0o777), columns(copy)) == ("0o600", before)
    assert (schema_and_claims(copy), schema_and_claims(old)) == ((OLD, 1), (newest_schema(), 1))
    assert f"schema {OLD}" in caplog.text
    assert str(copy) in caplog.text


async def test_new_books_and_those_of_this_schema_are_not_copied(tmp_path):
    path = tmp_path / "store.db"
    for _ in range(2):
        async with books(path):
            pass
    assert kept_copy.copies(path) == []


async def test_where_no_migration_is_due_no_script_runs(tmp_path, monkeypatch):
    path = tmp_path / "store.db"
    async with books(path):
        pass
    monkeypatch.setattr(command, "upgrade", None)
    async with books(path):
        assert schema_and_claims(path) == (newest_schema(), 0)


async def test_a_kill_within_a_migration_leaves_the_books_as_they_were(old, monkeypatch):
    """Between two statements of two scripts; SQLite's driver would have committed the first."""
    before = columns(old)

    def killed(*_args, **_options):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(op, "create_index", killed)
        with pytest.raises(Killed):
            async with books(old):
                pass
    assert (schema_and_claims(old), columns(old)) == ((OLD, 1), before)
    async with books(old):
        pass
    assert schema_and_claims(old) == (newest_schema(), 1)


async def test_one_copy_is_kept_that_of_the_last_migration(old):
    for stale in (
        kept_copy.place(old, OLDER),
        kept_copy.place(old, OLD),
        old.with_name(".store.db.schema-0014"),
    ):
        stale.write_bytes(b"an earlier one, or half of one")
    async with books(old):
        pass
    assert kept_copy.copies(old) == [kept_copy.place(old, OLD)]
    assert schema_and_claims(kept_copy.place(old, OLD)) == (OLD, 1)
    assert not old.with_name(".store.db.schema-0014").exists()


async def test_what_is_no_copy_of_ours_or_cannot_be_removed_stays_and_the_daemon_starts(old):
    theirs = [old.with_name(f"store.db.schema-{OLDER}{end}") for end in (".kept", "-wal")]
    for path in theirs:
        path.write_bytes(b"the operator's")
    stuck = kept_copy.place(old, OLDER)
    stuck.mkdir()
    async with books(old):
        pass
    assert schema_and_claims(old) == (newest_schema(), 1)
    assert kept_copy.copies(old) == [stuck, kept_copy.place(old, OLD)]
    assert [path.read_bytes() for path in theirs] == [b"the operator's"] * 2


async def test_books_that_cannot_be_copied_are_not_migrated(old):
    kept_copy.place(old, OLD).mkdir()
    with pytest.raises(StoreFailure, match="not migrated without a copy"):
        async with books(old):
            pass
    assert schema_and_claims(old) == (OLD, 1)
    assert {path.name for path in old.parent.iterdir() if path.name.startswith(".")} == set()


def nothing():
    pass


async def test_a_copy_that_would_take_the_last_of_the_disk_is_not_begun(old):
    found = os.statvfs(old.parent)
    with pytest.raises(NotCopied, match="are free beside the reserve") as caught:
        kept_copy.make(old, OLD, found.f_blocks * found.f_frsize, nothing)
    assert (caught.value.rule, caught.value.where) == (FULL, str(kept_copy.place(old, OLD)))
    assert kept_copy.copies(old) == []
    assert schema_and_claims(old) == (OLD, 1)


async def test_without_room_for_a_copy_it_is_said_what_helps(old):
    """The copy of an earlier migration is as large as the books, and goes only with the next."""
    found = os.statvfs(old.parent)
    kept_copy.place(old, OLDER).write_bytes(b"an earlier one")
    with pytest.raises(NotCopied) as caught:
        kept_copy.make(old, OLD, found.f_blocks * found.f_frsize, nothing)
    assert f"remove {kept_copy.place(old, OLDER)}" in caught.value.hint
    assert "install the version before" in caught.value.hint
    kept_copy.place(old, OLDER).unlink()
    with pytest.raises(NotCopied) as caught:
        kept_copy.make(old, OLD, found.f_blocks * found.f_frsize, nothing)
    assert caught.value.hint.startswith("make room on this disk")


async def test_a_copy_and_a_migration_say_that_they_go_on(old):
    """So that a start may take longer than systemd waits by itself."""
    steps, told = [], []
    kept_copy.make(old, OLD, 0, lambda: steps.append(1), pages=8)
    assert len(steps) > 3
    async with open_store(old, Vault(b"k" * 32), going_on=lambda: told.append(1)):
        pass
    assert told
    told.clear()
    async with open_store(old, Vault(b"k" * 32), going_on=lambda: told.append(1)):
        assert schema_and_claims(old) == (newest_schema(), 1)
    assert not told


async def test_a_migration_says_that_it_goes_on(old):
    """SQLite calls between its own steps; these scripts are too short for one call at the usual pace."""
    told = []
    book = SqliteFile(old, going_on=lambda: told.append(1), operations=50)
    book.open()
    book.engine.dispose()
    assert len(told) > 10
    assert schema_and_claims(old) == (newest_schema(), 1)


async def test_books_of_a_newer_schema_are_refused_with_both_and_with_the_copy_to_go_back_to(old):
    async with books(old):
        pass
    usable, newer = kept_copy.place(old, newest_schema()), kept_copy.place(old, "9998")
    with closing(sqlite3.connect(old)) as changed, changed:
        changed.execute("UPDATE alembic_version SET version_num = '9999'")
    for made in (usable, newer):
        made.write_bytes(b"")
    with pytest.raises(StoreFailure) as caught:
        async with books(old):
            pass
    error = caught.value
    assert error.rule == "store-newer"
    assert f"schema 9999, and this version knows up to {newest_schema()}" in error.what
    assert str(usable) in (error.hint or "")
    assert str(newer) not in (error.hint or "")
    assert kept_copy.copies(old) == [kept_copy.place(old, OLD), usable, newer]


async def test_without_a_copy_the_version_that_wrote_them_is_the_only_way(tmp_path):
    path = tmp_path / "store.db"
    async with books(path):
        pass
    with closing(sqlite3.connect(path)) as changed, changed:
        changed.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreFailure) as caught:
        async with books(path):
            pass
    assert caught.value.hint == "start the version that wrote it, or a newer one"

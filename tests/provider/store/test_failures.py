# SPDX-License-Identifier: Apache-2.0
"""Every trouble that SQLite or the disk can have is one error of ours; a bug is none."""

import errno
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from tests.fakes.provider.broken_disk import BrokenDisk
from tests.fakes.provider.records import pod_record
from trustedpods.protocol.errors import ExitCode, StoreFailure
from trustedpods.provider.core.disk import DiskSizes, DiskState
from trustedpods.provider.store import Vault, open_store, pods
from trustedpods.provider.store.failures import translated

RECORD = pod_record()
PATH = Path("books/store.db")
EXTENDED = 3 << 8
"""Extended codes have the primary one in their low byte."""

RULES = {
    sqlite3.SQLITE_FULL: "store-full",
    sqlite3.SQLITE_IOERR: "store-io",
    sqlite3.SQLITE_IOERR | EXTENDED: "store-io",
    sqlite3.SQLITE_CANTOPEN: "store-io",
    sqlite3.SQLITE_READONLY: "store-read-only",
    sqlite3.SQLITE_READONLY | EXTENDED: "store-read-only",
    sqlite3.SQLITE_CORRUPT: "store-damaged",
    sqlite3.SQLITE_NOTADB: "store-damaged",
    sqlite3.SQLITE_BUSY: "store-busy",
    sqlite3.SQLITE_LOCKED: "store-busy",
}


@pytest.mark.parametrize(("code", "rule"), RULES.items())
@pytest.mark.parametrize("wrapped", [False, True])
def test_sqlites_codes_have_rules(code, rule, wrapped):
    error = sqlite3.OperationalError("what it says")
    error.sqlite_errorcode = code
    with pytest.raises(StoreFailure, match="books: what it says") as caught, translated("books", PATH):
        raise OperationalError("INSERT", {}, error) if wrapped else error
    told = caught.value
    assert (told.rule, told.where, told.exit_code) == (rule, str(PATH), ExitCode.STORE)
    assert told.hint


@pytest.mark.parametrize(
    ("number", "rule"),
    [
        (errno.ENOSPC, "store-full"),
        (errno.EDQUOT, "store-full"),
        (errno.EROFS, "store-read-only"),
        (errno.EACCES, "store-read-only"),
        (errno.EIO, "store-io"),
        (errno.ENOTDIR, "store-io"),
        (None, "store-io"),
    ],
)
def test_the_systems_codes_have_rules(number, rule):
    with pytest.raises(StoreFailure) as caught, translated("the spool", PATH):
        raise OSError(number, "what it says") if number else OSError("what it says")
    assert caught.value.rule == rule


class ServerError(Exception):
    """As psycopg's errors: None where the server said nothing."""

    def __init__(self, sqlstate):
        super().__init__("what it says\nDETAIL: more")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("sqlstate", "rule"),
    [
        (None, "store-away"),
        ("08006", "store-away"),
        ("57P01", "store-away"),
        ("57P03", "store-away"),
        ("25P03", "store-away"),
        ("53300", "store-away"),
        ("3D000", "store-away"),
        ("53100", "store-full"),
        ("58030", "store-io"),
        ("25006", "store-away"),
        ("XX001", "store-damaged"),
        ("40001", "store-busy"),
        ("40P01", "store-busy"),
        ("55P03", "store-busy"),
        ("57014", "store-busy"),
        ("28P01", "store-denied"),
        ("42501", "store-denied"),
    ],
)
def test_what_a_server_says_is_one_error_of_ours(sqlstate, rule):
    said = OperationalError("INSERT", {}, ServerError(sqlstate))
    with pytest.raises(StoreFailure) as caught, translated("the books", "postgresql://u@h/d"):
        raise said
    assert (caught.value.rule, caught.value.where) == (rule, "postgresql://u@h/d")
    assert "\n" not in caught.value.what


def test_a_pool_without_a_free_connection_is_one_error_of_ours():
    with pytest.raises(StoreFailure, match="no connection came free") as caught, translated("books", PATH):
        raise NoConnectionFree("QueuePool limit of size 6 overflow 0 reached")
    assert caught.value.rule == "store-away"


@pytest.mark.parametrize("sqlstate", ["42P01", "23505", "22001", "XX000"])
def test_a_bug_that_a_server_tells_of_stays_one(sqlstate):
    with pytest.raises(OperationalError), translated("the books", "postgresql://u@h/d"):
        raise OperationalError("INSERT", {}, ServerError(sqlstate))


def test_a_bug_stays_a_bug():
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
        with pytest.raises(IntegrityError), translated("books", PATH):
            connection.execute(text("INSERT INTO t VALUES (1)"))
        with pytest.raises(OperationalError, match="no such table"), translated("books", PATH):
            connection.execute(text("INSERT INTO u VALUES (1)"))


async def test_a_store_says_what_fails_and_when_it_is_well_again(tmp_path):
    async with open_store(tmp_path / "store.db", Vault(b"k" * 32)) as store:
        disk = BrokenDisk()
        disk.put_under(store)
        await store.write(pods.save, RECORD)
        for code, rule in RULES.items():
            if code not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                continue
            with disk.failing(code), pytest.raises(StoreFailure):
                await store.write(pods.save, RECORD)
            assert (store.disk.state, store.disk.failure.rule) == (DiskState.FAILING, rule)
            assert await store.read(pods.load, RECORD.channel) == RECORD
        with disk.failing(sqlite3.SQLITE_IOERR, ("SELECT",)), pytest.raises(StoreFailure):
            await store.read(pods.load, RECORD.channel)
        assert store.disk.failures == {"store-full": 1, "store-io": 2}
        await store.write(pods.save, RECORD)
        assert (store.disk.state, store.disk.failure) == (DiskState.GOOD, None)


async def test_a_full_disk_costs_the_reserve_once_and_the_change_is_made(tmp_path):
    sizes = DiskSizes(reserve=1 << 16, least=0)
    async with open_store(tmp_path / "store.db", Vault(b"k" * 32), sizes) as store:
        reserve = tmp_path / "reserve"
        assert (reserve.stat().st_size, oct(reserve.stat().st_mode & 0o777)) == (1 << 16, "0o600")
        disk = FullUntil(reserve)
        disk.put_under(store)
        await store.write(pods.save, RECORD)
        assert await store.read(pods.load, RECORD.channel) == RECORD
        assert (disk.broken, reserve.exists(), store.disk.failure) == (1, False, None)
        store.disk.look()  # there is room here, so it is set aside again
        assert reserve.exists()


class FullUntil(BrokenDisk):
    """Full as long as the reserve takes its last room."""

    def __init__(self, reserve: Path) -> None:
        super().__init__()
        self._reserve = reserve

    def _judge(self, *statement) -> None:
        self.code = sqlite3.SQLITE_FULL if self._reserve.exists() else None
        super()._judge(*statement)


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
async def test_books_that_are_none_are_told_in_one_message(tmp_path, damage):
    path = tmp_path / "store.db"
    path.write_bytes(damage)
    with pytest.raises(StoreFailure) as caught:
        async with open_store(path, Vault(b"k" * 32)):
            pass
    assert caught.value.rule == "store-damaged"


async def test_books_of_a_newer_version_are_left_alone(tmp_path):
    path = tmp_path / "store.db"
    async with open_store(path, Vault(b"k" * 32)) as store:
        with store._engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreFailure) as caught:
        async with open_store(path, Vault(b"k" * 32)):
            pass
    assert caught.value.rule == "store-newer"


async def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailure, match="cannot be opened"):
        async with open_store(tmp_path / "file" / "store.db", Vault(b"k" * 32)):
            pass

# SPDX-License-Identifier: Apache-2.0
"""Books of an older daemon are opened by a newer one with what stood in them."""

import sqlite3
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.fakes.provider.records import pod_record
from tests.provider.store.conftest import TestBooks
from trustedpods.protocol.errors import StoreFailure
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.pod import ServiceExposure
from trustedpods.provider.core.settlement import Cut
from trustedpods.provider.store import Vault, claims, open_store, pods
from trustedpods.provider.store.engines.migrating import migrate
from trustedpods.provider.store.operator import earnings, rules
from trustedpods.provider.store.operator.rules import Rules
from trustedpods.provider.store.tables import METADATA

RECORD = pod_record(reason="as it was", statement=b"signed")
CUT = Cut(RECORD.channel, 100, 200, Usage(1, 2, 3, 4, 5), release=False)
OLD_CLAIM = "INSERT INTO claims (root, signed, state, created) VALUES (:root, :signed, :state, :created)"


def books(path):
    return open_store(path, Vault(b"k" * 32))


def made_at(engine, revision):
    """New books as the daemon of that revision made them."""
    with engine.begin() as connection:
        migrate(connection, revision)


async def test_a_pod_of_one_slot_becomes_a_pod_of_many_services(tmp_path):
    newer, older = tmp_path / "newer.db", tmp_path / "older.db"
    async with books(newer) as store:
        await store.write(pods.save, RECORD)
    engine = create_engine(f"sqlite:///{older}")
    made_at(engine, "0005")
    engine.dispose()
    with sqlite3.connect(newer) as source, sqlite3.connect(older) as target:
        source.row_factory = sqlite3.Row
        row = dict(source.execute("SELECT * FROM pods").fetchone())
        known = {column[1] for column in target.execute("PRAGMA table_info(pods)")}
        row = {name: value for name, value in row.items() if name in known} | {"slot": 7}
        marks = ", ".join("?" * len(row))
        target.execute(f"INSERT INTO pods ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
    source.close()
    target.close()
    async with books(older) as store:
        assert await store.read(pods.load, RECORD.channel) == replace(RECORD, version=1)
        exposures = {"web": ServiceExposure("http"), "raw": ServiceExposure("tcp", 20007)}
        published = replace(RECORD, exposures=exposures, parked_at=77)
        await store.write(pods.save, published)
        assert await store.read(pods.load_all) == [published]


@pytest.fixture
def fresh(postgres, tmp_path):
    """Both databases with nothing in them."""
    with postgres.database() as url:
        yield [TestBooks(tmp_path), TestBooks(tmp_path, url)]


async def test_the_migrations_make_the_tables_that_the_code_asks_for_in_both_databases(fresh):
    shapes = []
    for books_of in fresh:
        async with books_of() as store:
            await store.write(pods.save, RECORD)
        shapes.append(shape(books_of.engine()))
    for name, table in METADATA.tables.items():
        columns = {column.name: column.nullable for column in table.columns}
        assert shapes[0][name][0] == columns, name
    assert shapes[0] == shapes[1]


def shape(engine):
    """Of each table: its columns and whether they may be empty, its key, its indexes and references."""
    found = inspect(engine)
    tables = {
        table: (
            {column["name"]: column["nullable"] for column in found.get_columns(table)},
            found.get_pk_constraint(table)["constrained_columns"],
            {(i["name"], tuple(i["column_names"]), bool(i["unique"])) for i in found.get_indexes(table)},
            [key["referred_table"] for key in found.get_foreign_keys(table)],
        )
        for table in found.get_table_names()
    }
    engine.dispose()
    return tables


async def test_no_number_of_the_books_has_less_than_64_bits(fresh):
    async with fresh[1]():
        pass
    engine = fresh[1].engine()
    found = inspect(engine)
    kinds = {
        (table, column["name"]): str(column["type"])
        for table in METADATA.tables
        for column in found.get_columns(table)
    }
    engine.dispose()
    assert [place for place, kind in kinds.items() if kind in ("INTEGER", "SMALLINT")] == []


@pytest.mark.parametrize("old", [0, 1])
async def test_claims_keep_their_order_over_the_migration_that_numbers_them(fresh, old):
    """PostgreSQL had no daemon before it; SQLite's claims of one second go by their rows."""
    books_of = fresh[old]
    engine = books_of.engine()
    made_at(engine, "0010")
    roots = [bytes([9 - number]) * 32 for number in range(3)]
    if old == 0:
        with engine.begin() as connection:
            for root in roots:
                row = {"root": root, "signed": b"", "state": "final", "created": 5}
                connection.execute(text(OLD_CLAIM), row)
    engine.dispose()
    async with books_of() as store:
        assert await store.read(claims.last_root) == (roots[-1] if old == 0 else b"")
        for number in (1, 2):
            root = bytes([number]) * 32
            await store.write(claims.save_claim, root, b"{}", [CUT], [[]], {CUT.channel: "life"}, 5)
            assert await store.read(claims.last_root) == root


@pytest.mark.parametrize("old", [0, 1])
async def test_a_drain_and_a_claim_that_is_out_keep_their_rows_where_gas_is_bounded_later(fresh, old):
    """Of neither it is known until when, and how much."""
    books_of = fresh[old]
    engine = books_of.engine()
    made_at(engine, "0017")
    out = {"root": b"r" * 32, "signed": b"{}", "state": "sent", "created": 5, "tx": b"t" * 32}
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO draining (id, reason) VALUES (1, 'new disks')"))
        names = "root, signed, state, created, tx"
        marks = ":root, :signed, :state, :created, :tx"
        connection.execute(text(f"INSERT INTO claims ({names}) VALUES ({marks})"), out)
        connection.execute(text("INSERT INTO fees (tx, at, wei) VALUES (:tx, 7, '99')"), {"tx": b"f" * 32})
    engine.dispose()
    async with books_of() as store:
        assert await store.read(rules.load) == Rules("new disks")
        assert await store.read(claims.gas_out) == 0
        assert [one.root for one in await store.read(claims.open_claims)] == [b"r" * 32]
        assert (await store.read(earnings.spent_since, 7), await store.read(earnings.spent_since, 8)) == (
            99,
            0,
        )
        await store.write(rules.drain, "newer disks", 2**40)
        assert await store.read(rules.load) == Rules("newer disks", drain_at=2**40)


async def test_a_database_of_a_newer_version_is_left_alone(fresh):
    for books_of in fresh:
        async with books_of() as store:
            with store._engine.begin() as connection:
                connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(StoreFailure) as caught:
            async with books_of():
                pass
        assert caught.value.rule == "store-newer"

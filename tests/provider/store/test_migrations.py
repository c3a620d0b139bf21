# SPDX-License-Identifier: Apache-2.0
"""Books of an older daemon are opened by a newer one with what stood in them."""

import sqlite3
from dataclasses import replace

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect

from tests.fakes.provider.records import pod_record
from trustedpods.provider.core.pod import ServiceExposure
from trustedpods.provider.store import Vault, migrations, open_store, pods
from trustedpods.provider.store.tables import METADATA

RECORD = pod_record(reason="as it was", statement=b"signed")


def books(path):
    return open_store(path, Vault(b"k" * 32))


def made_at(path, revision):
    """New books as the daemon of that revision made them."""
    config = Config()
    config.set_main_option("script_location", str(next(iter(migrations.__path__))))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


async def test_a_pod_of_one_slot_becomes_a_pod_of_many_services(tmp_path):
    newer, older = tmp_path / "newer.db", tmp_path / "older.db"
    async with books(newer) as store:
        await store.write(pods.save, RECORD)
    made_at(older, "0005")
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
        published = replace(RECORD, exposures=exposures)
        await store.write(pods.save, published)
        assert await store.read(pods.load_all) == [published]


async def test_the_migrations_make_the_tables_that_the_code_asks_for(tmp_path):
    path = tmp_path / "books.db"
    async with books(path):
        pass
    engine = create_engine(f"sqlite:///{path}")
    found = inspect(engine)
    for table in METADATA.tables.values():
        columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        expected = {column.name: column.nullable for column in table.columns}
        assert columns == expected, table.name
    engine.dispose()

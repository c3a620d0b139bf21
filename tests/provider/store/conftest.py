# SPDX-License-Identifier: Apache-2.0
"""The books of each test, in a file of SQLite's and once more in a database of a real PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, select

from tests.provider.store.engines.server import PostgresServer
from trustedpods.provider.store import Vault, open_books, open_store
from trustedpods.provider.store.engines.belonging import Belonging
from trustedpods.provider.store.engines.migrating import migrate
from trustedpods.provider.store.engines.postgres import PostgresDatabase, parse
from trustedpods.provider.store.tables import METADATA

SECRET = b"k" * 32


MINE = Belonging(31337, "0x" + "a" * 40, "0x" + "b" * 40, 1, "11111111-2222-4333-8444-555555555555")


@dataclass(frozen=True)
class TestBooks:
    """Books that can be opened again and again; *url* is that of PostgreSQL, or none."""

    __test__ = False

    folder: Path
    url: str | None = None

    def __call__(self, secret: bytes = SECRET, holder: str = "node-1"):
        if self.url is None:
            return open_store(self.path, Vault(secret))
        return open_books(PostgresDatabase(parse(self.url), holder, MINE), self.folder, Vault(secret))

    @property
    def path(self) -> Path:
        return self.folder / "books" / "store.db"

    def engine(self) -> Engine:
        """A connection beside the store's own."""
        if self.url is None:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            return create_engine(f"sqlite:///{self.path}")
        return create_engine(parse(self.url).set(drivername="postgresql+psycopg"))

    def everything(self) -> bytes:
        """All that the database holds."""
        if self.url is None:
            return b"".join(file.read_bytes() for file in self.path.parent.iterdir())
        engine = self.engine()
        with engine.connect() as connection:
            rows = [row for table in METADATA.sorted_tables for row in connection.execute(select(table))]
        engine.dispose()
        values = [value for row in rows for value in row]
        return b" ".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


@pytest.fixture(scope="session")
def migrated(postgres: PostgresServer) -> Iterator[str]:
    """Name of a database whose migrations are done: a new one with the same takes a fifth of the time."""
    with postgres.database() as url:
        engine = create_engine(parse(url).set(drivername="postgresql+psycopg"))
        with engine.begin() as connection:
            migrate(connection)
        engine.dispose()
        name = parse(url).database
        assert name is not None
        yield name


@pytest.fixture(params=["sqlite", "postgresql"])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestBooks]:
    """Books in each of the two databases, empty."""
    if request.param == "sqlite":
        yield TestBooks(tmp_path)
        return
    yield request.getfixturevalue("postgres_book")


@pytest.fixture
def postgres_book(postgres: PostgresServer, migrated: str, tmp_path: Path) -> Iterator[TestBooks]:
    """Books in PostgreSQL, empty."""
    with postgres.database(migrated) as url:
        yield TestBooks(tmp_path, url)

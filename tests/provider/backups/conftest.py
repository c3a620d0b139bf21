# SPDX-License-Identifier: Apache-2.0
"""A provider's files in folders of the test's: settings, keys, an authority's, and books that hold a rule."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from tests.fakes.chain.chain import FakeChain
from tests.fakes.provider.world import config_of, put_empty_books
from trustedpods.provider.backups.backup import back_up
from trustedpods.provider.backups.restore import restore
from trustedpods.provider.config import load_config
from trustedpods.provider.setup.toml.commented import commented

NOW = 1_790_000_000
OWNER = "0x" + "b" * 40
VERSION = "1.2.3"


@dataclass
class ProviderFiles:
    """Everything of a provider below one folder."""

    folder: Path

    @property
    def settings(self):
        return self.folder / "etc" / "provider.toml"

    @property
    def books(self):
        return self.folder / "books" / "store.db"

    @property
    def config(self):
        return load_config(self.settings)

    def make(self, **identity):
        """A provider, with another *identity* perhaps."""
        (self.folder / "etc").mkdir(parents=True)
        config = config_of(self.folder, FakeChain(), OWNER)
        key = self.folder / "etc" / "operator.key"
        changed = {"operator_key_file": str(key), **identity}
        config = config.model_copy(update={"identity": config.identity.model_copy(update=changed)})
        self.settings.write_text(commented(config))
        self.write("etc/operator.key", "1" * 64, 0o600)
        self.write("etc/registry.yaml", "version: 0.1\n", 0o640)
        self.write("books/acme/account.key", "account of before", 0o600)
        self.write("books/acme/state.json", "{}", 0o600)
        trio.run(put_empty_books, self.books)
        self.books.chmod(0o600)
        return self

    def write(self, name, text, mode):
        path = self.folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def deny(self, publisher, *, checkpoint=True):
        """A change of the books. Without *checkpoint* it is in SQLite's log alone, as behind a kill."""
        log = self.books.with_name("store.db-wal")
        with closing(sqlite3.connect(self.books)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            with connection:
                connection.execute("INSERT INTO denied (publisher) VALUES (?)", (publisher,))
            killed = {path: path.read_bytes() for path in (self.books, log)}
        if not checkpoint:
            for path, data in killed.items():
                path.write_bytes(data)

    def denied(self, books=None):
        with closing(sqlite3.connect(books or self.books)) as connection:
            return sorted(row[0] for row in connection.execute("SELECT publisher FROM denied"))

    def back_up(self, target=None):
        target = target or self.folder / "day.backup"
        return back_up(self.config, self.settings, target, now=NOW, version=VERSION)

    def restore(self, backup=None, now=NOW + 60, **options):
        return restore(backup or self.folder / "day.backup", self.settings, now=now, **options)

    def everything(self):
        """Content and mode of every file but locks and backups, by its name."""
        return {
            str(path.relative_to(self.folder)): (path.stat().st_mode & 0o777, path.read_bytes())
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.suffix not in (".lock", ".backup")
        }


@pytest.fixture
def provider(tmp_path):
    return ProviderFiles(tmp_path / "one").make()

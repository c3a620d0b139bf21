# SPDX-License-Identifier: Apache-2.0
"""A backup has every file that a provider cannot make anew, of one moment, for its operator's eyes alone."""

import os
import shutil
import sqlite3
import threading
from contextlib import closing
from stat import S_IMODE
from types import SimpleNamespace

import pytest

from tests.provider.backups.conftest import NOW
from trustedpods.protocol.errors import BadInput, Refused, StoreFailure
from trustedpods.provider.backups import archive, backup
from trustedpods.provider.backups.contents import BOOKS
from trustedpods.provider.store.engines import replacing
from trustedpods.provider.store.engines.migrating import newest_schema
from trustedpods.provider.store.failures import FULL


def unpacked(path, folder):
    folder.mkdir()
    index = archive.unpack(path, folder)
    return index, {one.name: folder / str(number) for number, one in enumerate(index.files)}


def test_it_has_all_of_a_provider(provider, tmp_path):
    provider.deny("0xa", checkpoint=False)
    made = provider.back_up()
    index, files = unpacked(made.path, tmp_path / "into")
    assert sorted(files) == [
        "acme/account.key",
        "acme/state.json",
        "books/store.db",
        "keys/operator",
        "settings/provider.toml",
        "settings/registry.yaml",
    ]
    assert files["keys/operator"].read_text() == "1" * 64
    assert provider.denied(files[BOOKS]) == ["0xa"]
    assert index.schema_of_books == newest_schema()
    assert (index.made, index.version, index.provider.daemon) == (NOW, "1.2.3", 1)
    assert {one.name: one.mode for one in index.files}["settings/registry.yaml"] == 0o640
    assert made.left_out == ()


def test_only_its_owner_reads_it_and_nothing_else_is_left(provider):
    made = provider.back_up(provider.folder)
    assert made.path.name == "k1.test.localhost-1-20260921T141320Z.backup"
    assert S_IMODE(made.path.stat().st_mode) == 0o600
    assert made.size == made.path.stat().st_size
    assert sorted(path.name for path in provider.folder.iterdir()) == ["books", "etc", made.path.name]


def test_each_backup_of_a_daemon_that_writes_is_of_one_moment(provider, tmp_path):
    """A thread moves a pair of rows on, always both at once; in each backup both say the same."""
    over, began, rounds = threading.Event(), threading.Event(), []

    def write():
        with closing(sqlite3.connect(provider.books, timeout=10)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            while not over.is_set():
                number = len(rounds)
                with connection:
                    connection.execute("DELETE FROM denied")
                    connection.executemany(
                        "INSERT INTO denied (publisher) VALUES (?)", [(f"a{number}",), (f"b{number}",)]
                    )
                rounds.append(number)
                began.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert began.wait(30)
        seen = []
        for number in range(5):
            before = len(rounds)
            made = provider.back_up(tmp_path / f"{number}.backup")
            first, second = provider.denied(unpacked(made.path, tmp_path / str(number))[1][BOOKS])
            assert first[1:] == second[1:]
            seen.append((before, int(first[1:]), len(rounds)))
    finally:
        over.set()
        writer.join(30)
    assert all(before - 1 <= found <= after for before, found, after in seen)


def test_what_is_in_the_way_stays(provider):
    target = provider.folder / "day.backup"
    target.write_text("precious")
    with pytest.raises(BadInput, match="something is there already"):
        provider.back_up(target)
    assert target.read_text() == "precious"


def test_a_needed_file_that_is_missing_is_named(provider):
    (provider.folder / "etc" / "operator.key").unlink()
    with pytest.raises(BadInput) as caught:
        provider.back_up()
    assert caught.value.where == str(provider.folder / "etc" / "operator.key")
    assert not (provider.folder / "day.backup").exists()


def test_others_are_left_out_and_told(provider):
    (provider.folder / "etc" / "registry.yaml").unlink()
    made = provider.back_up()
    assert made.left_out == (provider.folder / "etc" / "registry.yaml",)


def test_damaged_books_make_no_backup(provider):
    with provider.books.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096))
    with pytest.raises(StoreFailure, match=r"damaged|malformed"):
        provider.back_up()
    assert not (provider.folder / "day.backup").exists()


def test_a_sealed_provider_has_none(provider):
    provider.settings.write_text(provider.settings.read_text().replace('trust = "open"', 'trust = "sealed"'))
    with pytest.raises(Refused, match="rollback") as caught:
        provider.back_up()
    assert caught.value.rule == "sealed-backup"


def test_books_on_a_server_are_for_its_own_backups(provider):
    text = provider.settings.read_text().replace("[store]", '[store]\ndatabase = "postgresql://tp@host/tp"')
    provider.settings.write_text("\n".join(line for line in text.split("\n") if line != "# database ="))
    with pytest.raises(BadInput, match="PostgreSQL") as caught:
        provider.back_up()
    assert "pg_dump" in caught.value.hint


def test_half_restored_books_make_none(provider):
    replacing.mark_of(provider.books).write_bytes(b"before-restore-1")
    with pytest.raises(StoreFailure, match="not finished"):
        provider.back_up()


def test_what_does_not_fit_is_not_begun(provider, monkeypatch):
    before = provider.everything()
    free = backup.COPIES * provider.books.stat().st_size - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(StoreFailure, match="MiB are needed") as caught:
        provider.back_up()
    assert caught.value.rule == FULL
    assert provider.everything() == before

# SPDX-License-Identifier: Apache-2.0
"""A restore puts everything back or changes nothing, and one that was killed is done again."""

import io
import os
import shutil
import sqlite3
import sys
from contextlib import closing

import pytest

from tests.examples import FEW
from tests.provider.backups.conftest import NOW, ProviderFiles
from trustedpods.protocol.errors import BadInput, Locked, Refused, StoreFailure
from trustedpods.provider.backups import archive
from trustedpods.provider.backups.contents import BOOKS, SETTINGS
from trustedpods.provider.store.engines.replacing import UNFINISHED, mark_of, refuse_unfinished
from trustedpods.provider.store.engines.sqlite_file import held
from trustedpods.provider.store.failures import NEWER

KILLED = 137
MOST_POINTS = 400
STEP = 11 if FEW else 2


def change(provider):
    """Everything differs from what it was, and the last write is still in SQLite's log."""
    provider.deny("0xafter", checkpoint=False)
    assert b"0xafter" in provider.books.with_name("store.db-wal").read_bytes()
    provider.write("etc/operator.key", "2" * 64, 0o600)
    provider.write("etc/registry.yaml", "version: 0.2\n", 0o644)
    provider.write("books/acme/account.key", "account of after", 0o600)
    provider.write("books/acme/order.key", "order of after", 0o600)
    provider.settings.write_text(provider.settings.read_text() + "\n# a comment\n")


@pytest.fixture
def changed(provider):
    """A provider of another day than its backup; what it was like then."""
    provider.deny("0xbefore")
    provider.back_up()
    before = files_of(provider)
    change(provider)
    return provider, before


def files_of(provider):
    """All but the books' bytes, whose pages SQLite may order as it likes, and what was set aside."""
    return {
        name: found
        for name, found in provider.everything().items()
        if not name.startswith(("books/store.db", "books/before-restore"))
    }


def test_everything_is_as_it_was_and_what_was_replaced_is_kept(changed):
    provider, before = changed
    done = provider.restore()
    assert files_of(provider) == before
    assert provider.denied() == ["0xbefore"]
    assert provider.books.stat().st_mode & 0o777 == 0o600
    aside = done.set_aside
    assert aside.name == "before-restore-20260921T141420Z"
    assert provider.denied(aside / "store.db") == ["0xafter", "0xbefore"]  # its log came with it
    assert (aside / "keys" / "operator").read_text() == "2" * 64
    assert (aside / "acme" / "order.key").read_text() == "order of after"
    assert (aside / "settings" / "provider.toml").read_text().endswith("# a comment\n")
    refuse_unfinished(provider.books)


def test_on_a_new_machine_all_is_made(changed):
    provider, before = changed
    for path in sorted(provider.folder.rglob("*"), reverse=True):
        if path.suffix != ".backup":
            path.unlink() if path.is_file() else path.rmdir()
    provider.restore()
    assert files_of(provider) == before
    assert provider.denied() == ["0xbefore"]


def test_a_look_changes_nothing(changed):
    provider, _ = changed
    before = provider.everything()
    done = provider.restore(look_only=True)
    assert provider.everything() == before
    assert done.set_aside is None
    assert provider.books in done.files


def refused(provider, kind, match, **options):
    """The error of a restore that changed nothing."""
    before = provider.everything()
    with pytest.raises(kind, match=match) as caught:
        provider.restore(**options)
    assert provider.everything() == before
    return caught.value


def test_a_daemon_that_runs_is_not_disturbed(changed):
    provider, _ = changed
    with held(provider.books):
        error = refused(provider, Locked, "the daemon runs")
    assert "systemctl stop" in error.hint


def test_another_provider_is_not_replaced_unless_that_is_said(changed):
    provider, before = changed
    provider.settings.write_text(provider.settings.read_text().replace("daemon = 1", "daemon = 2"))
    error = refused(provider, Refused, "here is daemon 2 of")
    assert error.rule == "other-provider"
    provider.restore(other_provider=True)
    assert files_of(provider) == before


def test_half_a_backup_is_none(changed):
    provider, _ = changed
    half = provider.folder / "half.backup"
    whole = (provider.folder / "day.backup").read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    refused(provider, BadInput, "it ends inside of|no whole backup", backup=half)


def test_a_missing_one_is_told(changed):
    refused(changed[0], BadInput, "there is no such file", backup=changed[0].folder / "other.backup")


def rewritten(backup, name, data, **changes):
    """The backup with other *data* in its file *name*, as a machine would have made it that has that."""
    folder, target = backup.with_suffix(".unpacked"), backup.with_name("rewritten.backup")
    folder.mkdir()
    index = archive.unpack(backup, folder)
    contents = {one.name: (folder / str(number)).read_bytes() for number, one in enumerate(index.files)}
    shutil.rmtree(folder)
    contents[name] = data
    files = [
        archive.indexed(one.name, io.BytesIO(contents[one.name]), one.mode, one.user, one.group)
        for one in index.files
    ]
    books = backup.with_name("books.backup")
    books.write_bytes(contents[BOOKS])
    with target.open("wb") as file:
        archive.write(file, index.model_copy(update={"files": files, **changes}), contents, books)
    return target


def test_a_newer_schema_is_for_a_newer_version(changed):
    provider, _ = changed
    newer = provider.folder / "books.backup"
    shutil.copy(provider.books, newer)
    with closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    backup = rewritten(provider.folder / "day.backup", BOOKS, newer.read_bytes(), schema_of_books="9999")
    error = refused(provider, StoreFailure, "schema 9999", backup=backup)
    assert error.rule == NEWER


def sealed(settings):
    return settings.replace('trust = "open"', 'trust = "sealed"')


def test_a_sealed_provider_takes_none(changed):
    provider, _ = changed
    provider.settings.write_text(sealed(provider.settings.read_text()))
    assert refused(provider, Refused, "rollback").rule == "sealed-backup"


def test_a_backup_of_a_sealed_provider_is_refused_everywhere(changed):
    provider, _ = changed
    settings = sealed(provider.settings.read_text()).encode()
    backup = rewritten(provider.folder / "day.backup", SETTINGS, settings)
    assert refused(provider, Refused, "rollback", backup=backup).rule == "sealed-backup"


def test_its_settings_and_its_index_name_one_provider(changed):
    provider, _ = changed
    settings = provider.settings.read_text().replace("daemon = 1", "daemon = 2").encode()
    backup = rewritten(provider.folder / "day.backup", SETTINGS, settings)
    refused(provider, BadInput, "not of the provider that its index names", backup=backup)


@pytest.mark.parametrize("name", ["acme", "acme/account.key", "store.db.lock"])
def test_links_where_the_daemon_may_write_are_not_followed(changed, name):
    provider, _ = changed
    path, elsewhere = provider.books.parent / name, provider.folder / "elsewhere"
    if path.is_dir():
        path.rename(elsewhere)
    else:
        path.unlink(missing_ok=True)
        elsewhere.write_text("of another user")
    path.symlink_to(elsewhere)
    refused(provider, BadInput, "a link is in the way")


# ---- killed at any point ----

FOLLOWED = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link"}


def in_a_process(work, stop_at):
    """Run *work* in a process that is killed before its step *stop_at*; whether it came to its end."""
    child = os.fork()
    if child == 0:
        left = stop_at

        def step(event, _arguments):
            nonlocal left
            if event in FOLLOWED:
                left -= 1
                if left < 0:
                    os._exit(KILLED)

        sys.addaudithook(step)
        try:
            work()
        except BaseException:  # noqa: BLE001 (a child of the test's process must not go on)
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == 0


def without_drafts(files):
    """A kill leaves hidden ones."""
    return {name: found for name, found in files.items() if "/." not in name}


def test_killed_anywhere_no_daemon_sees_a_half_and_a_second_try_ends_it(tmp_path):
    done, point, half = False, 0, 0
    while not done:
        provider = ProviderFiles(tmp_path / str(point))
        provider.make()
        provider.deny("0xbefore")
        provider.back_up()
        before = files_of(provider)
        change(provider)
        after = files_of(provider)
        done = in_a_process(provider.restore, point)
        if mark_of(provider.books).exists():
            half += 1
            with pytest.raises(StoreFailure) as caught:
                refuse_unfinished(provider.books)
            assert caught.value.rule == UNFINISHED
        elif not done and provider.denied() == ["0xafter", "0xbefore"]:
            assert without_drafts(files_of(provider)) == after
        provider.restore(now=NOW + 90)
        aside = next(provider.books.parent.glob("before-restore-*"))
        assert without_drafts(files_of(provider)) == before, f"killed at step {point}"
        assert provider.denied() == ["0xbefore"]
        if half and not done:
            assert (aside / "keys" / "operator").read_text() in ("2" * 64, "1" * 64)
        point += STEP
        assert point < MOST_POINTS
    assert half > (1 if FEW else 10)


def test_a_backup_that_was_killed_is_not_there_or_whole(provider):
    done, point = False, 0
    while not done:
        target = provider.folder / f"{point}.backup"
        done = in_a_process(lambda target=target: provider.back_up(target), point)
        if not target.exists():
            assert not done
            provider.back_up(target)
        assert provider.restore(target, look_only=True).files
        point += STEP
        assert point < MOST_POINTS

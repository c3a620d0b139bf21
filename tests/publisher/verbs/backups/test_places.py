# SPDX-License-Identifier: Apache-2.0
"""Where backups are found without being told, and what is said of a place that forgot the newest."""

import shutil

import pytest

from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import BadInput, Locked, Refused
from trustedpods.publisher.backups.places import open_store
from trustedpods.publisher.backups.pod_backups import PodBackups
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.backups.places import KnownBackups, held_alone, known_place, scope_of
from trustedpods.publisher.verbs.running.backup import BackupOptions, backup, listed, verified
from trustedpods.publisher.verbs.running.restore import RestoreOptions, restore

__all__ = ["cli"]


async def made(bench, place=None):
    wanted = BackupOptions(None if place is None else str(place))
    return (await backup(bench.account, "hello", wanted, VisitProgress(), bench.journal())).name


def known(bench, place):
    with held_alone(bench.account, "hello", str(place)) as backups:
        return KnownBackups(backups, bench.address)


async def test_the_place_of_the_last_backup_is_known(bench, served, place):
    with pytest.raises(BadInput, match="not known where backups of hello are kept"):
        await made(bench)
    await made(bench, place)
    assert known_place(scope_of(bench.account), "hello", None) == str(place)
    await made(bench)
    assert len(listed(known(bench, place)).backups) == 2


async def test_a_place_that_was_put_back_is_found_out(bench, served, place, cli):
    older = await made(bench, place)
    newer = await made(bench, place)
    (place / "hello" / "index" / newer).unlink()
    for ask in (
        lambda: verified(known(bench, place), None),
        lambda: known(bench, place).opened(None),
    ):
        with pytest.raises(Refused, match=f"backup {newer} of hello was there and is gone") as error:
            ask()
        assert error.value.rule == "backup-gone"
    with pytest.raises(Refused) as error:
        await restore(bench.account, "hello", RestoreOptions(wait_s=0.0), VisitProgress(), bench.journal())
    assert error.value.rule == "backup-gone"
    found = listed(known(bench, place))
    assert ([one.name for one in found.backups], [one.name for one in found.damaged]) == ([older], [newer])
    assert verified(known(bench, place), older).backups[0].name == older
    told = await cli("backup", "hello", "--list")
    assert f"{newer}: was there and is gone" in told.stdout
    newest = await made(bench)
    assert verified(known(bench, place), None).backups[0].name == newest


async def test_one_that_another_machine_made_is_the_newest_once_it_was_opened(
    bench, served, place, monkeypatch
):
    await made(bench, place)
    with monkeypatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(bench.folder / "empty"))
        assert verified(known(bench, place), None).verified
        newest = known(bench, place).newest()
    assert newest == known(bench, place).newest()


async def test_another_machine_that_made_newer_ones_may_have_removed_the_newest_of_this_one(
    bench, served, place, monkeypatch
):
    mine = await made(bench, place)
    with monkeypatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(bench.folder / "another"))
        shutil.copytree(bench.folder / "home/.local/state", bench.folder / "another", dirs_exist_ok=True)
        shutil.rmtree(bench.folder / "another/trustedpods/backups")
        wanted = BackupOptions(str(place), keep=1)
        theirs = (await backup(bench.account, "hello", wanted, VisitProgress(), bench.journal())).name
    assert PodBackups(open_store(str(place)), "hello", bench.account.publisher.secret).names() == [theirs]
    assert (mine < theirs, listed(known(bench, place)).damaged) == (True, ())
    assert verified(known(bench, place), None).backups[0].name == theirs
    (place / "hello" / "index" / theirs).unlink()
    (place / "hello" / "index" / "99991231T235959Z-0000000a").write_bytes(b"made up")
    with pytest.raises(Refused, match=f"{theirs} of hello was there and is gone"):
        verified(known(bench, place), None)


async def test_one_at_a_time_in_a_place(bench, served, place):
    with held_alone(bench.account, "hello", str(place)), pytest.raises(Locked):
        await made(bench, place)
    await made(bench, place)

# SPDX-License-Identifier: Apache-2.0
"""Freezes in the ledger: whatever dies, no second in which a replica was frozen costs CPU."""

from dataclasses import replace
from types import SimpleNamespace

import trio

from tests.fakes.provider.caller import until
from tests.provider.serving.warm.sleeping import asleep, ended, running, the_freezes, world
from trustedpods.provider.core.metering import Freeze
from trustedpods.provider.serving.warm.freeze_book import LAPSE_S, FreezeBook
from trustedpods.provider.store import Vault, ledger, open_store

__all__ = ["world"]


async def test_what_the_daemon_before_left_frozen_is_so_in_the_books_until_it_is_seen_thawed(
    world, virtual_time
):
    async with running(world) as (_, caller, pod_scaler):
        await asleep(world, pod_scaler)
    # no daemon beside this book: its own would end what only this one knows of
    async with open_store(world.tmp_path / "books" / "store.db", Vault(world.keys.hpke.to_bytes())) as store:
        parts = SimpleNamespace(doors=world._doors(world._config(), store))
        book = FreezeBook(parts.doors)
        await book.begin(caller.ref.channel, {"another": 3})
        await book.end_all_but(lambda: {"another"})
        (mine,) = [one for one in await the_freezes(parts, caller) if one.uid != "another"]
        await book.thawed([mine.uid])
        await book.end_all_but(lambda: {"another"})
        ends = {one.uid: one.ended for one in await the_freezes(parts, caller)}
        assert ends == {mine.uid: int(world.now), "another": None}


async def test_after_a_lease_what_the_daemon_before_left_waits_only_to_be_seen(world, virtual_time):
    async with running(world) as (parts, caller, _):

        async def left_open():
            freeze = Freeze("left", int(world.now), None, 1)
            await parts.doors.store.write(ledger.record_freeze, caller.ref.channel, freeze)

        await left_open()
        book = FreezeBook(parts.doors)
        await book.end_all_but(tuple)
        assert [one.ended for one in await the_freezes(parts, caller) if one.uid == "left"] == [None]
        assert not book.unseen
        await trio.sleep(LAPSE_S)
        await book.end_all_but(tuple)
        assert book.unseen == {"left"}
        await left_open()  # the daemon of this world knows nothing of it, and ends it
        await book.end_all_but(tuple)
        assert not await ended(parts, caller)
        await book.thawed(["left"])
        await book.end_all_but(tuple)
        assert await ended(parts, caller)


async def test_what_a_replica_holds_is_what_it_held_once_it_was_frozen(world, virtual_time, monkeypatch):
    real = world.freezer.size

    async def more_before(uids):
        return {
            uid: replace(view, memory_mib=view.memory_mib + 1) for uid, view in (await real(uids)).items()
        }

    monkeypatch.setattr(world.freezer, "size", more_before)
    async with running(world) as (parts, caller, pod_scaler):
        await asleep(world, pod_scaler)

        async def measured():
            return [one.memory_mib for one in await the_freezes(parts, caller)] == [world.freezer.memory_mib]

        await until(measured)

# SPDX-License-Identifier: Apache-2.0
"""Books that cannot be written: nothing new is taken, what must stop stops, and the daemon says why."""

import logging
import sqlite3

import pytest
import trio

from tests.examples import some
from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import ADMIN_SOCKET, ASK, Caller, in_phase, serving, until
from tests.fakes.provider.full_store import let_pass
from tests.fakes.provider.world import World
from trustedpods.contracts.terms import due
from trustedpods.protocol.errors import Refused, StoreFailure
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.bundle import Needs
from trustedpods.protocol.messages.pod import DeleteBody, LogLines, LogsBody, PodStatus, StatusBody
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.lifecycle.channels.arrival import CHANNEL_WITHIN_S
from trustedpods.provider.store import pods

CODES = some([sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY])


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture(autouse=True)
def no_traceback(caplog):
    """Whatever the disk does is one line of the log, never a traceback."""
    yield
    assert [record.message for record in caplog.records if record.exc_info] == []


def replicas(world):
    lives = world.cluster.lives.values()
    return [pod for life in lives for pod in life.pods.values() if pod.deleted_at is None]


@pytest.mark.parametrize("code", CODES)
async def test_every_verb_answers_or_says_why_not(world, code):
    async with serving(world) as (_, caller):
        stranger = Caller(world, caller.address)
        nonce = {"nonce": b"w" * 32}
        with world.disk.failing(code):
            status = await caller.ask("status", StatusBody(), PodStatus, **nonce)
            assert status.phase == "serving"
            with pytest.raises(Refused, match="seen before"):
                await caller.ask("status", StatusBody(), PodStatus, **nonce)
            await caller.ask("usage", UsageBody(), UsageReport)
            await caller.ask("logs", LogsBody(), LogLines)
            with pytest.raises(Refused, match="takes nothing new") as caught:
                await stranger.ask("admit", ASK, Admitted)
            assert caught.value.rule == "disk"
            for one in (stranger, caller):
                with pytest.raises(StoreFailure, match="cannot be written"):
                    await one.provision()
            with pytest.raises(StoreFailure, match="cannot be written"):
                await caller.send_blob(*caller.refs()[2])
        with pytest.raises(Refused, match="seen before"):
            await caller.ask("status", StatusBody(), PodStatus, **nonce)
        await stranger.provision()


@pytest.mark.parametrize("code", CODES)
async def test_a_pod_whose_money_ends_stops_and_a_kill_changes_nothing(world, code, virtual_time):
    world.terms = {"grace_s": 10_000}
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.pay(due(Usage(2000, 2000, 20_000), parts.doors.config.prices) + 5)
        await caller.provision()
        await until(lambda: replicas(world))
        with world.disk.failing(code):
            world.pass_time(30)
            await until(lambda: in_phase(parts, caller, Phase.STOPPED))
            await until(lambda: not replicas(world))
            stored = await parts.doors.store.read(pods.load, caller.ref.channel)
            assert stored.phase is Phase.SERVING
    async with world.run() as (parts, address):
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))

        async def written():
            return (await parts.doors.store.read(pods.load, caller.ref.channel)).phase is Phase.STOPPED

        await until(written)


async def test_books_that_cannot_be_read_let_a_pod_run_no_further_than_was_known(world, virtual_time):
    world.terms = {"grace_s": 10_000}
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.pay(due(Usage(2000, 2000, 20_000), parts.doors.config.prices) + 5)
        await caller.provision()
        await until(lambda: parts.reconciler.money(caller.ref.channel) is not None)
        with world.disk.failing(sqlite3.SQLITE_IOERR, ("INSERT", "UPDATE", "DELETE", "SELECT")):
            world.pass_time(300)
            await until(lambda: in_phase(parts, caller, Phase.STOPPED))


async def test_a_notice_stops_the_pod_and_is_claimed_once_there_is_room(world, virtual_time):
    async with serving(world) as (parts, caller):
        world.pass_time(30)
        with world.disk.failing():
            await world.chain.unlock(caller.key, world.owner, caller.ref.salt)
            await until(lambda: in_phase(parts, caller, Phase.STOPPED))
            await until(lambda: not replicas(world))
            assert await world.chain.owed(world.owner) == 0

        async def claimed():
            return await world.chain.owed(world.owner) > 0

        await until(claimed)


async def test_the_end_of_an_unpaid_bundle_ends_that_bundle_alone(world, tmp_path, virtual_time):
    async with serving(world) as (parts, caller):
        stranger = Caller(world, caller.address)
        private, request = stranger.signed("provision", stranger.bundle())
        async with stranger.talk(private, request) as (_, reply):
            await reply(Needs)
        with world.disk.failing():
            world.pass_time(CHANNEL_WITHIN_S + 5)
            await until(lambda: parts.pods.get(stranger.ref.channel).phase is Phase.REMOVING)
            await trio.sleep(5)
        world.pass_time(100)
        claimed = await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "claim"})
        assert claimed["items"] == 1
        assert await world.chain.owed(world.owner) > 0


async def test_a_delete_stops_the_pod_and_says_what_it_waits_for(world, virtual_time):
    async with serving(world) as (parts, caller):
        await until(lambda: replicas(world))
        with world.disk.failing():
            with pytest.raises(StoreFailure, match="stopped, and its end waits"):
                await caller.ask("delete", DeleteBody(), Done)
            await until(lambda: not replicas(world))
        await let_pass(world, 60)
        assert in_phase(parts, caller, Phase.GONE)
        assert await world.chain.channel(world.owner, caller.ref.channel) is None


async def test_the_operator_sees_it_once_and_in_numbers(world, tmp_path, caplog, virtual_time):
    async with serving(world):
        told = await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "store"})
        assert (told["state"], told["failure"]) == ("good", None)
        with world.disk.failing():
            await until(lambda: world.disk.broken)
            await trio.sleep(60)
            told = await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "store"})
            assert told["state"] == "failing"
            assert "disk is full [store-full]" in told["failure"]
            await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "overview"})
        await until(lambda: "written again" in caplog.text)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len([record for record in errors if "cannot be written" in record.message]) == 1


async def test_rules_that_cannot_be_kept_are_refused_in_words(world, tmp_path):
    async with world.run() as (parts, _):
        with world.disk.failing():
            with pytest.raises(StoreFailure, match="disk is full"):
                await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "drain", "reason": "a new disk"})
            assert parts.gate.rules.draining is None
        assert await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "drain", "reason": "x"}) == {"pods": []}

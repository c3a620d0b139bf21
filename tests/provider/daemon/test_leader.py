# SPDX-License-Identifier: Apache-2.0
"""One daemon per cluster: by the store's lock on a machine, by a Lease wherever else one may run."""

import os
import signal
import socket
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.fakes.cluster import FakeCluster
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import BadInput, Locked
from trustedpods.provider.daemon import leader, main

FOREVER = 10**12
OPENING = ["EXTEND_TIMEOUT_USEC=780000000", "STATUS=opening the books"]
STANDING_BY = ["READY=1", "STATUS=standing by"]
SERVING = ["READY=1", "STATUS=serving"]


async def run_until_locked(world, meanwhile=lambda: None):
    """Run a daemon that must find out that it is not alone; *meanwhile* happens when it serves."""
    with pytest.raises((Locked, BaseExceptionGroup)) as caught:
        await _serve(world, meanwhile)
    assert daemon_error(caught.value) is not None


async def _serve(world, meanwhile):
    with trio.fail_after(2 * leader.LEASE_S):
        async with world.run():
            meanwhile()
            await trio.sleep_forever()


def daemon_error(error):
    """The Locked in an exception or a group of them."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for one in error.exceptions if (found := daemon_error(one))), None)
    return error if isinstance(error, Locked) else None


async def test_a_second_daemon_of_the_same_store_does_not_start(tmp_path):
    world = World(tmp_path)
    async with world.run():
        await run_until_locked(World(tmp_path))


async def test_a_daemon_elsewhere_keeps_this_one_out(tmp_path):
    world = World(tmp_path)
    world.cluster.leases[leader.LEASE_NAME] = ("another machine", FOREVER)
    await run_until_locked(world)


async def test_a_daemon_whose_lease_was_taken_over_ends(tmp_path, virtual_time):
    """It was frozen for longer than the lease lasts, and another one began."""
    world = World(tmp_path)
    leases = world.cluster.leases
    await run_until_locked(world, lambda: leases.update({leader.LEASE_NAME: ("another machine", FOREVER)}))


async def test_an_api_server_that_does_not_answer_does_not_end_it(tmp_path, virtual_time):
    world = World(tmp_path)
    async with world.run():
        world.cluster.unreachable = True
        await trio.sleep(leader.LEASE_S * 1.5)
        world.cluster.unreachable = False
        renewed = world.cluster.leases[leader.LEASE_NAME]
    assert renewed[0].endswith("store.db")


@pytest.fixture
def database(postgres):
    with postgres.database() as url:
        yield url


def beside(world, tmp_path):
    """A daemon on another node: keys and folder of its own, and the same cluster, chain and books."""
    return World(
        tmp_path,
        owner_key=world.owner_key,
        chain=world.chain,
        cluster=world.cluster,
        facade=world.facade,
        registry=world.registry,
        now=world.now,
        database=world.database,
    )


def holder(world):
    return world.cluster.leases.get(leader.LEASE_NAME, ("",))[0]


def name_of(world):
    return leader.holder_of(Path(world._config().store.path), world.keys, shared=True)


async def test_with_shared_books_the_second_daemon_stands_by_until_the_first_gives_the_lease_back(
    tmp_path, database, virtual_time, caplog
):
    caplog.set_level("INFO")
    first = World(tmp_path / "1", database=database)
    second = beside(first, tmp_path / "2")
    async with first.run():
        assert holder(first) == name_of(first) != name_of(second)
        with trio.move_on_after(4 * leader.LEASE_S) as waited:
            async with second.run():
                pytest.fail("it serves beside another one")
        assert waited.cancelled_caught
        assert holder(first) == name_of(first)
        assert caplog.text.count(f"standing by: {name_of(first)} serves this cluster") == 1
    began = trio.current_time()
    async with second.run():
        assert trio.current_time() - began < 1  # a daemon that is told to stop keeps nobody waiting
        assert holder(second) == name_of(second)


async def test_a_standby_takes_over_a_durations_length_after_the_last_renewal(
    tmp_path, database, virtual_time
):
    """The daemon before it was killed: nobody gives anything back, and its clock does not matter."""
    first = World(tmp_path / "1", database=database)
    second = beside(first, tmp_path / "2")
    async with first.run():
        pass
    first.cluster.leases[leader.LEASE_NAME] = (name_of(first), FOREVER)
    began = trio.current_time()
    with trio.fail_after(leader.LEASE_S + 10):
        async with second.run():
            assert trio.current_time() - began >= leader.LEASE_S
            assert holder(second) == name_of(second)


async def test_a_daemon_that_cannot_renew_ends_before_a_standby_may_take_over(
    tmp_path, database, virtual_time
):
    first = World(tmp_path, database=database)
    began = trio.current_time()

    def cut_off():
        first.cluster.unreachable = True

    await run_until_locked(first, cut_off)
    assert leader.LEASE_S / 2 < trio.current_time() - began <= leader.LEASE_S


async def test_the_leases_time_begins_when_it_was_asked_for(virtual_time):
    """Its answer came late; then each attempt to renew fails at once."""
    cluster = FakeCluster()
    began = trio.current_time()
    cluster.take_lease = partial(late, cluster.take_lease)
    with pytest.raises((Locked, BaseExceptionGroup)) as caught:
        await _lead_cut_off(cluster)
    assert "could not be renewed" in str(daemon_error(caught.value))
    assert trio.current_time() - began <= leader.LEASE_S


async def late(take, *args):
    await take(*args)
    await trio.sleep(leader.LEASE_S / 4)


async def _lead_cut_off(cluster):
    with trio.fail_after(3 * leader.LEASE_S):
        async with leader.leading(cluster, "me"):
            cluster.unreachable = True
            await trio.sleep_forever()


async def test_while_the_books_are_opened_the_lease_is_renewed(virtual_time):
    cluster = FakeCluster()
    async with leader.leading(cluster, "me"):
        before = cluster.lease_writes[leader.LEASE_NAME]
        await trio.sleep(leader.LEASE_S + 1)
        assert cluster.lease_writes[leader.LEASE_NAME] >= before + 3
    assert leader.LEASE_NAME not in cluster.leases


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """What systemd hears of its service."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hears:
        hears.bind(str(tmp_path / "notify"))
        hears.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield partial(heard, hears)


def heard(hears):
    found = []
    with suppress(BlockingIOError):
        while True:
            found.append(hears.recv(4096).decode().splitlines())
    return found


async def test_systemd_does_not_start_a_standby_anew_and_waits_for_migrations(
    tmp_path, database, virtual_time, systemd
):
    first = World(tmp_path / "1", database=database)
    second = beside(first, tmp_path / "2")
    async with first.run():
        assert systemd()[-2:] == [OPENING, SERVING]
        with trio.move_on_after(10 * leader.LEASE_S):
            async with second.run():
                pytest.fail("it serves beside another one")
        assert systemd() == [OPENING, STANDING_BY]
    async with second.run():
        assert systemd()[-1] == SERVING


async def test_a_daemon_without_its_books_server_stands_by_for_systemd(
    tmp_path, postgres, database, virtual_time, systemd
):
    world = World(tmp_path, database=database.replace(str(postgres.folder), str(tmp_path / "nobody")))
    with trio.move_on_after(leader.LEASE_S):
        async with world.run():
            pytest.fail("it serves without books")
    assert STANDING_BY in systemd()


async def test_a_signal_while_the_books_are_opened_gives_the_lease_back(monkeypatch):
    cluster, led = FakeCluster(), []

    @asynccontextmanager
    async def opening(_config):
        async with leader.leading(cluster, "me"):
            led.append(cluster.leases[leader.LEASE_NAME][0])
            os.kill(os.getpid(), signal.SIGTERM)
            await trio.sleep_forever()
            yield

    monkeypatch.setattr(main, "open_doors", opening)
    with trio.fail_after(10):
        await main.serve(None)
    assert (led, cluster.leases) == (["me"], {})


async def test_a_daemon_whose_books_were_taken_over_ends(tmp_path, database, virtual_time):
    """It was frozen, or cut off, and its lease's end is not seen yet: its first write tells it."""
    first = World(tmp_path / "1", database=database)
    second = beside(first, tmp_path / "2")
    second.cluster = FakeCluster()  # as if the API server of each had forgotten the other
    with pytest.raises((Locked, BaseExceptionGroup)) as caught:
        await _write_after_take_over(first, second)
    assert daemon_error(caught.value).rule == "taken-over"


async def _write_after_take_over(first, second):
    async with first.run() as (parts, _address), second.run():
        with pytest.raises(Locked, match="took the books over"):
            await parts.doors.store.write(lambda tx: None)
        await trio.sleep(leader.LEASE_S)


async def test_a_daemon_of_another_cluster_does_not_open_these_books(tmp_path, database, virtual_time):
    """Its configuration was copied: it would take pods for gone that are none of its own."""
    first = World(tmp_path / "1", database=database)
    second = beside(first, tmp_path / "2")
    second.cluster = FakeCluster(uid="another")
    async with first.run() as (parts, _address):
        with pytest.raises((BadInput, BaseExceptionGroup)) as caught:
            async with second.run():
                pytest.fail("it serves with another one's books")
        assert caught.group_contains(BadInput, match="belong to cluster")
        assert second.cluster.leases == {}
        await parts.doors.store.write(lambda tx: None)


async def test_a_standby_waits_for_the_books_server_and_lets_others_try(
    tmp_path, postgres, database, virtual_time, caplog
):
    first = World(tmp_path, database=database)
    first.database = database.replace(str(postgres.folder), str(tmp_path / "nobody"))
    with trio.move_on_after(2 * leader.LEASE_S) as waited:
        async with first.run():
            pytest.fail("it serves without books")
    assert waited.cancelled_caught
    assert holder(first) == ""
    assert "another daemon may reach them meanwhile" in caplog.text
    first.database = database
    async with first.run():
        assert holder(first) == name_of(first)


async def test_books_on_a_server_are_refused_where_publishers_attest_one_machine(tmp_path):
    world = World(tmp_path, database="postgresql://u@/d", trust="sealed")
    with pytest.raises(BadInput, match="leave the machine that publishers attest") as caught:
        async with world.run():
            pass
    assert caught.value.where == "store.database"

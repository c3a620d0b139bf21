# SPDX-License-Identifier: Apache-2.0
"""This node's facade rests whenever another daemon leads, or may lead."""

import pytest
import trio

from tests.fakes.cluster import FakeCluster
from tests.fakes.facade import FakeFacade
from tests.fakes.provider.world import World
from tests.provider.daemon.test_leader import FOREVER, beside, daemon_error
from trustedpods.protocol.errors import Locked, NetworkFailure
from trustedpods.provider.daemon import leader
from trustedpods.provider.daemon.own_facade import OwnFacade


@pytest.fixture
def database(postgres):
    with postgres.database() as url:
        yield url


class RestingFacade:
    """Says when it was told to lead nowhere; *away* for so many calls, *others* if not its to empty."""

    def __init__(self, away=0, others=False):
        self.away, self.others, self.rested, self.refuses = away, others, [], False

    async def rest(self):
        await trio.lowlevel.checkpoint()
        if self.away:
            self.away -= 1
            raise NetworkFailure("HAProxy is just starting")
        self.rested.append(trio.current_time())
        return not self.others

    async def refuse(self):
        self.refuses = True
        try:
            await trio.sleep_forever()
        finally:
            self.refuses = False


@pytest.fixture
def cluster():
    return FakeCluster()


async def stands_by(cluster, facade, seconds):
    with trio.move_on_after(seconds):
        await leader.stand_by(cluster, "me", facade)


async def test_the_facade_of_a_standby_rests_once_though_haproxy_was_away(cluster, virtual_time):
    cluster.leases[leader.LEASE_NAME] = ("another node", FOREVER)
    facade = RestingFacade(away=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stands_by, cluster, facade, 2 * leader.LEASE_S)
        await trio.sleep(leader.LEASE_S / 2)
        assert facade.refuses  # whom the activator holds
        await trio.sleep(leader.LEASE_S)
        assert not facade.refuses  # it leads now, and wakes pods
    assert len(facade.rested) == 1


async def test_wakes_of_a_facade_that_another_daemon_filled_are_that_daemons(cluster, virtual_time):
    cluster.leases[leader.LEASE_NAME] = ("the same node's", FOREVER)
    facade = RestingFacade(others=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stands_by, cluster, facade, leader.LEASE_S / 2)
        await trio.sleep(leader.LEASE_S / 3)
        assert not facade.refuses
    assert len(facade.rested) == 1


async def test_a_daemon_that_is_started_again_in_its_lease_serves_on(cluster, virtual_time):
    facade = RestingFacade()
    async with leader.leading(cluster, "me", facade):
        pass
    cluster.leases[leader.LEASE_NAME] = ("me", FOREVER)
    async with leader.leading(cluster, "me", facade):
        pass
    assert facade.rested == []


async def test_where_nobody_can_say_the_facade_rests_when_another_could_have_begun(cluster, virtual_time):
    """Until then a restart in an outage of the API server cuts nothing."""
    cluster.unreachable, facade, began = True, RestingFacade(), trio.current_time()
    await stands_by(cluster, facade, 2 * leader.LEASE_S)
    (rested,) = facade.rested
    assert leader.LEASE_S <= rested - began <= leader.LEASE_S + 2 * leader.LOOK_EVERY_S


async def _lead_cut_off(cluster, facade, ends_in_s=0):
    with trio.fail_after(3 * leader.LEASE_S):
        async with leader.leading(cluster, "me", facade):
            cluster.unreachable = True
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(ends_in_s)


async def test_the_facade_of_a_daemon_that_lost_its_lease_rests_before_another_serves(cluster, virtual_time):
    """Not only when all that it does has come to its end; and then once more."""
    facade, began, ends_in_s = RestingFacade(), trio.current_time(), 20
    with pytest.raises((Locked, BaseExceptionGroup)) as caught:
        await _lead_cut_off(cluster, facade, ends_in_s)
    assert "could not be renewed" in str(daemon_error(caught.value))
    first, last = facade.rested
    assert first - began < leader.LEASE_S + 1  # a standby serves later than that
    assert last - first == pytest.approx(ends_in_s, abs=1)


async def test_a_haproxy_that_was_away_at_the_lost_lease_is_asked_again(cluster, virtual_time):
    facade = RestingFacade(away=1)
    with pytest.raises((Locked, BaseExceptionGroup)):
        await _lead_cut_off(cluster, facade)
    assert len(facade.rested) == 1


async def test_a_facade_that_hangs_keeps_nobody_from_standing_by(cluster, virtual_time):
    cluster.leases[leader.LEASE_NAME] = ("another node", FOREVER)
    began = trio.current_time()
    with trio.fail_after(3 * leader.LEASE_S):
        await leader.stand_by(cluster, "me", OwnFacade(trio.sleep_forever))
    assert trio.current_time() - began >= leader.LEASE_S


async def test_the_facade_of_its_own_node_rests_while_the_other_daemon_serves(
    tmp_path, database, virtual_time
):
    first = World(tmp_path / "1", database=database, own_facade=True)
    second = beside(first, tmp_path / "2")
    second.facade, second.own_facade = FakeFacade(), True
    async with first.run():
        with trio.move_on_after(leader.LEASE_S):
            async with second.run():
                pytest.fail("it serves beside another one")
        assert (first.facade.resting, second.facade.resting) == (False, True)
    async with second.run():
        assert not second.facade.resting


async def test_a_daemon_that_finds_no_api_server_rests_when_another_could_have_begun(
    tmp_path, database, virtual_time
):
    """It was started again, and has not even asked whose books these are."""
    world = World(tmp_path, database=database)
    world.facade, world.own_facade, world.cluster.unreachable = RestsInWorld(), True, True
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run_for, world, 3 * leader.LEASE_S)
        await trio.sleep(leader.LEASE_S / 2)
        assert not world.facade.resting
        await trio.sleep(leader.LEASE_S)
        assert leader.LEASE_S <= world.facade.rested_at - began <= leader.LEASE_S + 2 * leader.LOOK_EVERY_S
        world.cluster.unreachable = False
        await trio.sleep(leader.LEASE_S)
        assert not world.facade.resting


class RestsInWorld(FakeFacade):
    rested_at = None

    async def rest(self):
        self.rested_at = trio.current_time()
        return await super().rest()


async def _run_for(world, seconds):
    with trio.move_on_after(seconds):
        async with world.run():
            await trio.sleep_forever()

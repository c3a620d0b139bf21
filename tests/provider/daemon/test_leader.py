# SPDX-License-Identifier: Apache-2.0
"""One daemon per cluster: by the store's lock on a machine, by a Lease wherever else one may run."""

import pytest
import trio

from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Locked
from trustedpods.provider.daemon import leader

FOREVER = 10**12


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

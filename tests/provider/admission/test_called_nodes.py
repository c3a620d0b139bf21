# SPDX-License-Identifier: Apache-2.0
"""Nodes that a publisher's pods call: counted over all of them, also where several come at once."""

import pytest
import trio

from tests.fakes.provider.caller import ASK, Caller, manifest_of
from tests.fakes.provider.world import World
from tests.protocol.networks.books import a_book, entry
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.provider.admission.arrivals import AdmissionLimits

NAMES = {"listen": "127.0.0.1:0", "address": "127.0.0.1", "upstream": ["127.0.0.1:5353"]}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, names=NAMES)
    made.limits = AdmissionLimits(called_nodes=5)
    return made


def a_node(world, address, calls, key=None):
    caller = Caller(world, address, key)
    called = [f"n{number}" for number in range(calls)]
    caller.manifest = manifest_of(network={"nodes": called})
    caller.book = a_book(*map(entry, called))
    return caller


async def served(world, address, calls, key=None):
    caller = a_node(world, address, calls, key)
    await caller.pay(10**9)
    await caller.provision()
    return caller


def admits(caller, calls):
    return caller.ask("admit", ASK.model_copy(update={"calls": calls}), Admitted)


async def test_all_pods_of_a_publisher_count_together_and_no_other_ones(world, virtual_time):
    async with world.run() as (_, address):
        first = await served(world, address, 3)
        second = a_node(world, address, 3, first.key)
        await admits(second, 2)
        for refused in (admits(second, 3), second.provision()):
            with pytest.raises(
                Refused, match="calls 3 nodes of its network and the publisher's other pods here 3"
            ):
                await refused
        await admits(second, 0)
        await served(world, address, 5)
        first.manifest = first.manifest.model_copy(deep=True)
        await admits(first, 5)  # an update makes room for itself


async def test_of_several_that_come_at_once_the_last_is_refused(world, virtual_time):
    async with world.run() as (_, address):
        first = a_node(world, address, 3)
        callers, refused = [first, a_node(world, address, 3, first.key)], []
        for caller in callers:
            await caller.pay(10**9)

        async def come(caller):
            try:
                await caller.provision()
            except Refused as error:
                refused.append(error.rule)

        async with trio.open_nursery() as nursery:
            for caller in callers:
                nursery.start_soon(come, caller)
        assert refused == ["capacity-called-nodes"]

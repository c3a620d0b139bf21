# SPDX-License-Identifier: Apache-2.0
"""What a publisher is told of the usage of a pod."""

from dataclasses import replace

import pytest

from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import Caller, in_phase, until
from tests.fakes.provider.world import World
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.provider.core.pod import Phase


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def test_what_is_on_its_way_to_the_chain_is_not_open_too(world, virtual_time):
    """A client asks page by page; the last one has no leaves, and says what is open."""
    world.chain.operators.add((world.owner, address_of(world.operator_key)))
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        world.pass_time(100)
        await parts.meter.observe()
        await admin_json(world.tmp_path / "books/operator.sock", {"verb": "claim"})
        record = parts.pods.get(caller.ref.channel)
        await parts.pods.change(record.channel, chain=replace(record.chain, up_to=0))  # not final yet
        first = await caller.ask("usage", UsageBody(since=0), UsageReport)
        last = await caller.ask("usage", UsageBody(since=first.leaves[-1].up_to), UsageReport)
    assert first.leaves[0].usage[0] > 0
    assert (last.leaves, last.open_usage) == ([], first.open_usage)

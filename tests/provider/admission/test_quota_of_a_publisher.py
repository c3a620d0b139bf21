# SPDX-License-Identifier: Apache-2.0
"""A whole daemon refuses what is over a publisher's quota, to questions and bundles, before money moves."""

import pytest

from tests.fakes.provider.caller import ASK, Caller
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.protocol.messages.pod import PodStatus, PublisherRoom, StatusBody
from trustedpods.provider.core.quotas.settings import PublishersSection


class BoundedWorld(World):
    """One pod for each publisher."""

    def _config(self):
        return super()._config().model_copy(update={"publishers": PublishersSection(pods=1)})


async def test_the_second_pod_is_refused_before_it_is_paid_for(tmp_path, virtual_time):
    world = BoundedWorld(tmp_path)
    async with world.run() as (parts, address):
        first = Caller(world, address)
        await first.provision()
        second = Caller(world, address, first.key)
        for refused in (second.ask("admit", ASK, Admitted), second.provision(pay=False)):
            with pytest.raises(Refused, match=r"may take 1 pods here: .* have 1") as caught:
                await refused
            assert caught.value.rule == "capacity-publisher"
        assert [record.channel for record in parts.pods.standing] == [first.ref.channel]
        told = await first.ask("status", StatusBody(), PodStatus)
        assert told.room == PublisherRoom(pods=0, cpu_milli=None, memory_mib=None)
        await Caller(world, address).provision()  # another publisher's


async def test_without_a_quota_no_room_is_told(tmp_path, virtual_time):
    world = World(tmp_path)
    async with world.run() as (_, address):
        caller = Caller(world, address)
        await caller.provision()
        assert (await caller.ask("status", StatusBody(), PodStatus)).room is None

# SPDX-License-Identifier: Apache-2.0
"""A whole daemon refuses what is over a publisher's quota, to questions and bundles, before money moves."""

import pytest

from tests.fakes.provider.caller import ASK, Caller
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.provider.config import PublishersSection


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
        await Caller(world, address).provision()  # another publisher's

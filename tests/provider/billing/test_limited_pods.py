# SPDX-License-Identifier: Apache-2.0
"""The daemon tells the nodes' agents its limits, and publisher and operator which pods are held back."""

import pytest

from tests.fakes.provider.caller import serving, until
from tests.fakes.provider.world import World
from trustedpods.provider.admin.api import AdminApi, snapshot
from trustedpods.provider.admin.views import PodsRequest
from trustedpods.provider.store import history


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def told(parts):
    operator = AdminApi(parts, b"", "", lambda: 0)
    return (await operator.pods(PodsRequest())).pods


async def test_the_limits_of_the_settings_are_noted_in_the_cluster(world, tmp_path):
    world.egress = {"pod_mbit": 100, "pod_connections": 50}
    async with serving(world):
        await until(lambda: world.cluster.egress_limits == (100, 50))
    world.egress = {}
    async with world.run():
        await until(lambda: world.cluster.egress_limits == (None, None))


async def test_a_flood_is_told_to_publisher_and_operator_once(world, tmp_path):
    world.egress = {"pod_mbit": 100}
    async with serving(world) as (parts, caller):
        (life,) = world.cluster.lives.values()
        (running,) = life.pods.values()
        world.traffic.refused[running.uid] = (life.name, 0)
        await parts.meter.observe()
        for packets in (7, 9):
            world.traffic.refused[running.uid] = (life.name, packets)
            await parts.meter.observe()
        notes = await parts.doors.store.read(history.events, caller.ref.channel)
        (text,) = [note.text for note in notes if note.reason == "egress-limited"]
        assert "100 Mbit/s" in text
        (row,) = await told(parts)
        assert row.why is not None
        assert row.why.startswith("egress limited since 2")
        assert row.why.endswith(": 9 packets refused")
        found = await snapshot(parts, 0)
        assert (found.egress_limited, found.egress_refused) == (1, 9)
        world.pass_time(601)
        (row,) = await told(parts)
        assert row.why is None
        assert (await snapshot(parts, 0)).egress_limited == 0

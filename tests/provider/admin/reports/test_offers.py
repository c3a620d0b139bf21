# SPDX-License-Identifier: Apache-2.0
"""The whole daemon says what it advertises, and whether the registry and the cluster still agree with it."""

import pytest

from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import ADMIN_SOCKET
from tests.fakes.provider.world import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def ask(world):
    return admin_json(world.tmp_path / ADMIN_SOCKET, {"verb": "offers"})


async def test_what_is_advertised_and_why(world):
    async with world.run():
        told = await ask(world)
        rows = {(row["kind"], row["name"]): row for row in told["offers"]}
        growing = rows["storage class", "growing"]
        assert growing["state"] == "advertised"
        assert growing["why"].startswith("cluster.storage_classes allows it: ReadWriteOnce")
        assert rows["ingress class", "traefik"]["state"] in ("advertised", "closed")
        assert (told["rowCurrent"], "`register`" in told["row"]) == (False, True)


async def test_a_class_that_went_away_since_the_start_is_gone(world):
    async with world.run():
        world.cluster.classes = {"local-path": False, "new": True}
        rows = {row["name"]: row for row in (await ask(world))["offers"]}
        assert (rows["growing"]["state"], rows["new"]["state"]) == ("gone", "closed")


async def test_a_chain_that_is_silent_leaves_the_row_unknown(world):
    async with world.run():
        world.chain.broken = True
        told = await ask(world)
        assert told["rowCurrent"] is None
        assert "the chain node does not answer" in told["row"]
        assert told["offers"]

# SPDX-License-Identifier: Apache-2.0
"""How the key that pays gas stands, as the daemon's books and the chain say it."""

import pytest

from tests.fakes.chain.state import address_of
from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import ADMIN_SOCKET
from tests.fakes.provider.world import World
from trustedpods.provider.store.operator.transactions import save_unfinished


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def ask(world):
    return await admin_json(world.tmp_path / ADMIN_SOCKET, {"verb": "operator-key"})


async def test_a_key_that_the_owner_has_not_named_is_said_to_be_none(world):
    mine = address_of(world.operator_key)
    async with world.run():
        world.chain.gas[mine] = 7
        world.chain.operators.discard((world.owner, mine))
        told = await ask(world)
        world.chain.operators.add((world.owner, mine))
        named = await ask(world)
    assert told == {
        "address": mine,
        "balance": "7",
        "named": False,
        "unfinished": 0,
        "claimsOut": 0,
        "trouble": None,
    }
    assert named["named"] is True


async def test_its_own_unfinished_transactions_on_this_chain_are_counted(world):
    mine, other = address_of(world.operator_key), address_of(b"\x07" * 32)
    chain_id = world.chain.market.chain_id
    pieces = [f"{chain_id}-aa-{mine}-01", f"{chain_id}-aa-{mine}-02", f"{chain_id}-aa-{mine}"]
    pieces += [f"{chain_id}-aa-{other}-03", f"9{chain_id}-aa-{mine}-04"]
    async with world.run() as (parts, _):
        await parts.doors.store.write(save_unfinished, dict.fromkeys(pieces, b"{}"))
        assert (await ask(world))["unfinished"] == 2


async def test_without_the_chain_the_books_are_told(world):
    async with world.run():
        world.chain.broken = True
        told = await ask(world)
    assert (told["balance"], told["named"], told["unfinished"]) == (None, None, 0)
    assert "does not answer" in told["trouble"]

# SPDX-License-Identifier: Apache-2.0
"""How the key that pays gas stands, as the daemon's books and the chain say it."""

import os

import pytest

from tests.fakes.chain.state import address_of
from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import ADMIN_SOCKET
from tests.fakes.provider.world import World
from trustedpods.provider.keys.file import make_key, read_key
from trustedpods.provider.keys.operator_files import make_following, switch
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
        "formerUnfinished": 0,
        "claimsOut": 0,
        "change": None,
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


async def test_a_change_of_keys_is_told_with_what_is_next(world, tmp_path, monkeypatch):
    path = tmp_path / "operator.key"
    make_key(path, os.geteuid(), os.getegid())
    world.operator_key = read_key(path)
    world.chain.give(address_of(world.operator_key), 0)
    make_following(path, os.geteuid(), os.getegid())
    config = world._config()
    identity = config.identity.model_copy(update={"operator_key_file": str(path)})
    monkeypatch.setattr(world, "_config", lambda: config.model_copy(update={"identity": identity}))
    async with world.run():
        named = await ask(world)
        health = await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "health"})
        switch(path, None)
        switched = await ask(world)
    following = address_of(read_key(path))
    assert (named["change"]["step"], named["change"]["following"]) == ("name", following)
    assert following in named["change"]["told"]
    assert health["keyChange"] == "made"
    assert (switched["change"]["step"], switched["change"]["former"]) == ("restart", switched["address"])

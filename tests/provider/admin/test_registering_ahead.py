# SPDX-License-Identifier: Apache-2.0
"""A row that is written before the daemon's first start: the daemon adds who and where it is, by itself."""

from dataclasses import replace

import pytest

from tests.fakes.chain.state import address_of
from tests.fakes.provider.world import World
from trustedpods.protocol.attestation.chip import NO_CHIP
from trustedpods.protocol.errors import BadInput, NoContext, Refused
from trustedpods.provider.admin import registration
from trustedpods.provider.admin.registration import NOT_YET, register_ahead, row_of
from trustedpods.provider.daemon.registry_row import mend_registry_row


@pytest.mark.parametrize("trust", ["open", "sealed"])
async def test_it_leads_nowhere_and_names_no_machine(tmp_path, trust):
    world = World(tmp_path)
    async with world.run() as (parts, _):
        identity = parts.doors.config.identity.model_copy(update={"trust": trust})
        row = row_of(parts.doors.config.model_copy(update={"identity": identity}), NOT_YET)
    assert (row.trust, row.endpoint, row.tee, row.chip_digest) == (trust, "", [], NO_CHIP)


async def test_the_daemon_adds_its_endpoint_and_profile_by_the_operators_key(tmp_path):
    world = World(tmp_path)
    async with world.run() as (parts, address):
        row = row_of(parts.doors.config, NOT_YET)
        where = row.owner, row.daemon
        world.chain.rows[where] = replace(row, updated_at=world.chain.now)
        world.chain.operators.add((row.owner, address_of(world.operator_key)))
        assert await mend_registry_row(parts.doors, b"profile", address)
        assert world.chain.rows[where].endpoint == address
        assert world.chain.rows[where].prices == row.prices
        assert not await mend_registry_row(parts.doors, b"profile", address)


@pytest.fixture
def owner(tmp_path, monkeypatch):
    """A world whose owner's key is at hand; its settings, before any daemon runs."""
    world = World(tmp_path)
    monkeypatch.setattr(registration, "Chain", lambda *_, **__: world.chain)
    config = world._config()
    keys = {"owner_key_file": world.owner_key, "operator_key_file": world.operator_key}
    for name, key in keys.items():
        (tmp_path / name).write_text(key.hex())
        (tmp_path / name).chmod(0o600)
    world.chain.gas[config.identity.owner] = 10**18
    identity = config.identity.model_copy(update={name: str(tmp_path / name) for name in keys})
    return world, config.model_copy(update={"identity": identity})


async def test_the_owner_writes_it_and_lets_the_operators_key_keep_it(owner):
    world, config = owner
    done = await register_ahead(config)
    row = world.chain.rows[config.identity.owner, config.identity.daemon]
    assert (done.endpoint, row.endpoint, row.prices) == ("", "", config.prices)
    assert (row.owner, address_of(world.operator_key)) in world.chain.operators


async def test_a_row_that_leads_nowhere_is_written_again(owner):
    """A kill between the two transactions, or other prices before the first boot."""
    world, config = owner
    await register_ahead(config)
    world.chain.operators.clear()
    await register_ahead(config)
    assert (config.identity.owner, address_of(world.operator_key)) in world.chain.operators


async def test_a_row_that_leads_to_a_daemon_is_not_taken_away_from_it(owner):
    world, config = owner
    await register_ahead(config)
    where = config.identity.owner, config.identity.daemon
    led = replace(world.chain.rows[where], endpoint="/ip4/192.0.2.1/tcp/4001/p2p/x")
    world.chain.rows[where] = led
    with pytest.raises(Refused, match=r"is there and leads to /ip4/192\.0\.2\.1") as refused:
        await register_ahead(config)
    assert refused.value.rule == "registered"
    assert "prices --publish" in refused.value.hint
    assert world.chain.rows[where] == led


async def test_it_needs_the_owners_own_key(owner):
    world, config = owner
    without = config.model_copy(
        update={"identity": config.identity.model_copy(update={"owner_key_file": None})}
    )
    with pytest.raises(NoContext, match="owner_key_file is not set"):
        await register_ahead(without)
    wrong = config.identity.model_copy(update={"owner_key_file": config.identity.operator_key_file})
    with pytest.raises(BadInput, match="not the owner's"):
        await register_ahead(config.model_copy(update={"identity": wrong}))
    assert world.chain.rows == {}

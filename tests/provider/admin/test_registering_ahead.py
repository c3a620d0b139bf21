# SPDX-License-Identifier: Apache-2.0
"""A row that is written before the daemon's first start: the daemon adds who and where it is, by itself."""

from dataclasses import replace

import pytest

from tests.fakes.chain.state import address_of
from tests.fakes.provider.world import World
from trustedpods.protocol.attestation.chip import NO_CHIP
from trustedpods.provider.admin.registration import NOT_YET, row_of
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

# SPDX-License-Identifier: Apache-2.0
"""Two whole daemons over one chain, each with a cluster of its own."""

import pytest

from tests.fakes.provider.caller import ADMIN_SOCKET
from tests.fakes.provider.world import World
from trustedpods.provider.admin.registration import row_of
from trustedpods.provider.admin.socket import ask_daemon
from trustedpods.provider.admin.views import DaemonIdentity, IdentityRequest


@pytest.fixture
async def daemons(bench, tmp_path):
    """The worlds of k1 and k2, whose daemons run and have their rows in the bench's registry."""
    worlds = []
    for number in (1, 2):
        folder = tmp_path / f"k{number}"
        folder.mkdir()
        worlds.append(World(folder, chain=bench.chain))
    first, second = worlds
    async with first.run() as (one, _), second.run() as (other, _):
        for world, parts in ((first, one), (second, other)):
            identity = await ask_daemon(world.tmp_path / ADMIN_SOCKET, IdentityRequest(), DaemonIdentity)
            row = row_of(parts.doors.config, identity)
            bench.chain.rows[row.owner, row.daemon] = row
        yield worlds

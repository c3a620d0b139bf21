# SPDX-License-Identifier: Apache-2.0
"""The whole daemon, and channels that change under it."""

from dataclasses import replace

import pytest
import trio

from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import ADMIN_SOCKET, Caller, in_phase, serving, until
from tests.fakes.provider.world import World
from trustedpods.contracts.terms import due
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.pod import Phase


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def test_a_period_that_a_dry_channel_cannot_pay_waits_for_enough(world, tmp_path, virtual_time):
    """A stranger's unit must not have the period paid with it, and the rest lost."""
    world.terms = {"grace_s": 10_000}
    async with serving(world) as (parts, caller):
        life = world.chain.lives[world.owner, caller.ref.channel]
        left, life.channel = life.channel.left, replace(life.channel, left=0)
        world.pass_time(100)
        await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "claim"})
        stranger = Caller(world, caller.address)
        await world.chain.top_up(stranger.key, world.owner, caller.ref.channel, 1)
        began = life.channel.up_to
        assert (await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "claim"}))["items"] == 0
        assert (life.channel.up_to, life.channel.left) == (began, 1)
        await world.chain.top_up(caller.key, world.owner, caller.ref.channel, left)
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "claim"})
        await until(lambda: life.channel.up_to > began)
        assert world.chain.credit[world.owner] == left + 1 - life.channel.left
        assert world.chain.credit[world.owner] >= due(Usage(10_000), life.channel.terms.prices)


async def reopened(world, caller, **terms):
    """Close the pod's channel and open it again with other *terms*, between two looks of the daemon."""
    life = world.chain.lives[world.owner, caller.ref.channel]
    world.pass_time(1)
    life.channel = replace(
        life.channel,
        up_to=int(world.now),
        left=10**9,
        terms=replace(life.channel.terms, **terms),
    )


@pytest.mark.parametrize("away", [False, True], ids=["while it looks", "while it is away"])
async def test_a_channel_that_was_opened_anew_for_nothing_stops_the_pod(world, virtual_time, away):
    free = Prices(cpu_core_ms=0, memory_mib_s=0, storage_mib_s=0, egress_kib=0, ingress_kib=0, scale=64)
    async with serving(world) as (parts, caller):
        if not away:
            await reopened(world, caller, prices=free)
            await until(lambda: in_phase(parts, caller, Phase.STOPPED))
    if away:
        await reopened(world, caller, prices=free)
    async with world.run() as (parts, caller.address):
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))
        await trio.sleep(10)
        assert in_phase(parts, caller, Phase.STOPPED)
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert "channel-changed" in [event.reason for event in status.events]
        assert world.chain.lives[world.owner, caller.ref.channel].channel.terms.prices == free


async def test_a_channel_that_was_opened_anew_and_is_as_good_goes_on_once_it_was_checked(world, virtual_time):
    async with serving(world) as (parts, caller):
        await reopened(world, caller)
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        status = await caller.ask("status", StatusBody(), PodStatus)
        reasons = [event.reason for event in status.events]
        assert reasons.index("channel-changed") < reasons.index("channel-checked") < reasons.index("funded")

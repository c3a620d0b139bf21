# SPDX-License-Identifier: Apache-2.0
"""A serving pod of which nothing changed is passed over; whatever changes then is acted upon as ever."""

from dataclasses import replace

import pytest

from tests.fakes.provider.caller import in_phase, serving, until
from tests.fakes.provider.full_store import let_pass
from tests.fakes.provider.world import World
from trustedpods.protocol.messages.provider import Prices
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import Phase

QUIET_S = 30
"""Many looks at the pods, and some at the list of namespaces."""

FREE = Prices(cpu_core_ms=0, memory_mib_s=0, storage_mib_s=0, egress_kib=0, ingress_kib=0, scale=64)


async def notice(world, caller):
    await world.chain.unlock(caller.key, world.owner, caller.ref.salt)


async def other_terms(world, caller):
    life = world.chain.lives[world.owner, caller.ref.channel]
    life.channel = replace(life.channel, terms=replace(life.channel.terms, prices=FREE))


async def no_money(world, caller):
    life = world.chain.lives[world.owner, caller.ref.channel]
    life.channel = replace(life.channel, left=0)


async def no_namespace(world, caller):
    (space,) = await world.cluster.namespaces()
    await world.cluster.delete_namespace(space.name)


@pytest.mark.parametrize(
    ("change", "event"),
    [
        (notice, LifecycleEvent.UNLOCK_ANNOUNCED),
        (other_terms, LifecycleEvent.CHANNEL_CHANGED),
        (no_money, LifecycleEvent.FUNDS_OUT),
        (no_namespace, LifecycleEvent.NAMESPACE_LOST),
    ],
)
async def test_what_changes_after_a_quiet_while_is_acted_upon(tmp_path, virtual_time, change, event):
    world = World(tmp_path)
    async with serving(world) as (parts, caller):
        await let_pass(world, QUIET_S)
        quiet = parts.pods.get(caller.ref.channel)
        await let_pass(world, QUIET_S)
        assert parts.pods.get(caller.ref.channel) is quiet, "nothing was learnt of it, and nothing written"
        assert in_phase(parts, caller, Phase.SERVING)
        events, tell = [], parts.pods.told

        def told(channel, told_event, reason):
            events.append(told_event)
            tell(channel, told_event, reason)

        parts.pods.told = told
        await change(world, caller)
        await until(lambda: event in events)
        assert events[0] == event


async def test_a_chain_that_is_read_again_finds_what_changed_meanwhile(tmp_path, virtual_time):
    world = World(tmp_path)
    async with serving(world) as (parts, caller):
        await let_pass(world, QUIET_S)
        world.chain.broken = True
        await other_terms(world, caller)
        await let_pass(world, QUIET_S)
        assert in_phase(parts, caller, Phase.SERVING)
        world.chain.broken = False
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))

# SPDX-License-Identifier: Apache-2.0
"""A version of a pod with a fixed number of replicas is believed when all of them serve, and no sooner."""

import pytest
import trio

from tests.fakes.provider.caller import Caller, manifest_of
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.provider.core.pod import Phase

KINDS = ["replicated", "stateful"]


def fixed(kind, **parts):
    """The scale that `manifest_of` brings is one of pods that sleep."""
    return manifest_of(workload=kind, replicas=2, **{"scale": {}} | parts)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def ready(world):
    return [pod for life in world.cluster.lives.values() for pod in life.pods.values() if pod.ready]


@pytest.mark.parametrize("kind", KINDS)
async def test_all_serve_when_a_deploy_has_ended_and_go_on(world, virtual_time, kind):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = fixed(kind)
        await caller.provision()
        assert len(ready(world)) == 2
        await trio.sleep(600)  # ten times `idleAfter`
        assert len(ready(world)) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_one_that_does_not_get_ready_is_said(world, virtual_time, kind):
    world.cluster.most_ready = 1
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = fixed(kind)
        with pytest.raises(Refused, match="1 of 2 replicas ready within") as refused:
            await caller.provision()
        assert refused.value.rule in ("start", "removed")


async def test_an_update_of_which_one_does_not_get_ready_touches_nothing(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = fixed("replicated")
        await caller.provision()
        before = {pod.uid for pod in ready(world)}
        world.cluster.most_ready = 1
        caller.manifest = fixed("replicated", scale={"idleConnection": "20m"})
        with pytest.raises(Refused, match="1 of 2 replicas ready within"):
            await caller.provision(pay=False)
        assert {pod.uid for pod in ready(world)} == before
        assert parts.pods.get(caller.ref.channel).phase is Phase.SERVING

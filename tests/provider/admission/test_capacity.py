# SPDX-License-Identifier: Apache-2.0
"""What a newer bundle may take: what is free, and what the pod has, not what it once asked for."""

import pytest
from pydantic import ValidationError

from tests.fakes.provider.caller import ASK, Caller, manifest_of, volume_ask
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.limits import MAX_REPLICAS
from trustedpods.protocol.messages.admission import AdmitBody, Admitted
from trustedpods.protocol.messages.bundle import Needs
from trustedpods.protocol.units import Resources

FREE_MIB = 3000


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.cluster.allocatable = Resources(1000, 4096, FREE_MIB)
    return made


def asks(mib):
    """A pod with one volume of so many MiB."""
    volume = volume_ask(None).model_copy(update={"mib": mib})
    return ASK.model_copy(update={"scratch_mib": 0, "storage_mib": mib, "volumes": [volume]})


def with_volume(world, address, mib):
    caller = Caller(world, address)
    keys = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}
    data = {"name": "data", "persistent": {"size": f"{mib}Mi"}}
    caller.manifest = manifest_of(volumes=[keys, data], scale={"max": 1})
    return caller


async def test_a_bundle_that_was_never_applied_makes_no_room_for_the_next(world):
    async with world.run() as (parts, address):
        caller = with_volume(world, address, 2000)
        private, request = caller.signed("provision", caller.bundle())
        async with caller.talk(private, request) as (_, reply):
            await reply(Needs)
        assert parts.pods.get(caller.ref.channel).size.volume_mib == 2000
        await caller.ask("admit", asks(2500), Admitted)
        with pytest.raises(Refused) as caught:
            await caller.ask("admit", asks(FREE_MIB + 500), Admitted)
    assert caught.value.rule == "capacity-storage"


async def test_what_the_pod_has_counts_for_its_newer_version(world):
    async with world.run() as (_, address):
        caller = with_volume(world, address, 2000)
        await caller.provision()
        await caller.ask("admit", asks(2000), Admitted)
        other = Caller(world, address)
        with pytest.raises(Refused) as caught:
            await other.ask("admit", asks(2000), Admitted)
    assert caught.value.rule == "capacity-storage"


@pytest.mark.parametrize("replicas", [MAX_REPLICAS + 1, 2**32 - 1, 2**32, -1])
def test_no_question_asks_for_more_replicas_than_a_manifest_has(replicas):
    """What follows counts volumes by replica."""
    tree = ASK.model_dump() | {"max_replicas": replicas}
    with pytest.raises(ValidationError, match="max_replicas"):
        AdmitBody.model_validate(tree)
    assert AdmitBody.model_validate(tree | {"max_replicas": MAX_REPLICAS}).max_replicas == MAX_REPLICAS


async def test_a_volume_of_no_class_needs_a_default_one_before_it_is_paid_for(world):
    world.cluster.default_class = ""
    async with world.run() as (_, address):
        caller = Caller(world, address)
        with pytest.raises(Refused, match="the cluster has no default one") as caught:
            await caller.ask("admit", asks(100), Admitted)
        assert caught.value.rule == "storage-class"
        world.cluster.default_class = "growing"
        await caller.ask("admit", asks(100), Admitted)


async def test_a_version_with_one_more_volume_needs_it_too(world):
    """What the pod has already asks for no class again."""
    async with world.run() as (_, address):
        caller = with_volume(world, address, 100)
        await caller.provision()
        world.cluster.default_class = ""
        await caller.ask("admit", asks(100), Admitted)
        more = volume_ask(None).model_copy(update={"name": "more", "mib": 10})
        larger = asks(100)
        with pytest.raises(Refused, match="the volume more names no storage class"):
            await caller.ask(
                "admit", larger.model_copy(update={"volumes": [*larger.volumes, more]}), Admitted
            )

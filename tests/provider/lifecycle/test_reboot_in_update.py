# SPDX-License-Identifier: Apache-2.0
"""A machine restarts in the middle of an update that will not serve: nothing of it is in the pod's way."""

from contextlib import suppress

import pytest
import trio

from tests.examples import some
from tests.fakes.provider.caller import Caller, image_of, in_phase, manifest_of, until
from tests.fakes.provider.reboots import DOWN_S, SERVED_S, rotate, world
from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.provider.cluster.applying import OPTIONAL
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.keys.boot import BootKeys

__all__ = ["world"]

KEYS = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}
CRASH = Diagnosis("container web ended: exit code 7", hopeless=True)


def disk(name):
    return {"name": name, "persistent": {"size": "16Mi"}}


SERVED = {"volumes": [KEYS, disk("data")], "scale": {"max": 1}}
TRIED = {
    "volumes": [KEYS, disk("data"), disk("more")],
    "scale": {"max": 1},
    "network": {"egress": [{"to": [{"ipBlock": {"cidr": "203.0.113.7/32"}}]}]},
}
"""What of an update can linger in the cluster: a volume, a policy, an image, a size."""


def left_in(world):
    (life,) = world.cluster.lives.values()
    return {key for key in life.objects if key[0] in OPTIONAL}


async def try_to_update(caller):
    with suppress(TrustedPodsError):
        await caller.provision()


async def rebooted_after(world, calls):
    """A pod that served; an update of it that crashes, and a reboot after so many *calls* of the cluster."""
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(**SERVED)
        images = caller.blobs
        await caller.provision()
        world.old_meter = world.keys.meter_address
        world.pass_time(SERVED_S)
        (life,) = world.cluster.lives.values()
        before = (left_in(world), parts.pods.get(caller.ref.channel).size)
        world.cluster.failing[life.name] = CRASH
        caller.manifest, caller.blobs = manifest_of(**TRIED), image_of(b"tried")
        last = len(world.cluster.calls) + calls
        async with trio.open_nursery() as nursery:
            nursery.start_soon(try_to_update, caller)
            await until(lambda: len(world.cluster.calls) >= last)
            nursery.cancel_scope.cancel()
    world.pass_time(DOWN_S)
    world.cluster.failing.clear()
    caller.manifest, caller.blobs = manifest_of(**SERVED), images
    world.keys = BootKeys.generate()
    return caller, before


@pytest.mark.parametrize("calls", some(list(range(1, 40, 3))))
async def test_what_served_is_released_again(world, virtual_time, calls):
    caller, before = await rebooted_after(world, calls)
    async with world.run() as (parts, caller.address):
        await until(lambda: in_phase(parts, caller, Phase.AWAITING_KEY))
        await rotate(world, caller)
        await caller.provision()
        assert (left_in(world), parts.pods.get(caller.ref.channel).size) == before


async def test_what_served_keeps_its_data_all_the_same(world, virtual_time):
    caller, _ = await rebooted_after(world, 20)
    caller.manifest = manifest_of(scale={"max": 1})
    async with world.run() as (parts, caller.address):
        await until(lambda: in_phase(parts, caller, Phase.AWAITING_KEY))
        await rotate(world, caller)
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "volumes"
        assert ("PersistentVolumeClaim", "data") in left_in(world)


async def test_a_release_that_fails_is_what_serves_and_its_data_stays(world, virtual_time):
    """Its next wake-up may work, and write into the volume that came with it."""
    caller, _ = await rebooted_after(world, 1)
    (life,) = world.cluster.lives
    async with world.run() as (parts, caller.address):
        await until(lambda: in_phase(parts, caller, Phase.AWAITING_KEY))
        await rotate(world, caller)
        caller.manifest, caller.blobs = manifest_of(**TRIED), image_of(b"tried")
        world.cluster.failing[life] = CRASH
        with pytest.raises(Refused):
            await caller.provision()
        assert in_phase(parts, caller, Phase.SERVING)
    assert {claim.name for claim in await world.cluster.volume_claims() if claim.proven} == {"data", "more"}

# SPDX-License-Identifier: Apache-2.0
"""A pod is let in only when each of its services will find a slot of its kind."""

import pytest
import trio

from tests.fakes.facade import FakeFacade
from tests.fakes.provider.caller import ASK, PORTS, Caller, manifest_of
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.bundle import Needs
from trustedpods.protocol.messages.pod import DeleteBody
from trustedpods.provider.facade.pools import Pools

WEB = {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}
RPC = {
    "name": "rpc",
    "expose": "http",
    "ports": [{"port": 80, "targetPort": 9090, "appProtocol": "kubernetes.io/h2c"}],
}
RAW = {"name": "raw", "expose": "tcp", "ports": [{"port": 7000}]}
KINDS = {"http": WEB, "h2": RPC, "tcp": RAW}


@pytest.fixture
def world(tmp_path):
    """A provider with few slots."""
    return World(tmp_path, facade=FakeFacade(Pools(http=2, h2=1, tcp=1)))


def caller_of(world, address, *services):
    """A publisher whose pod has these services."""
    caller = Caller(world, address)
    (container,) = caller.manifest.model_dump(mode="json", by_alias=True)["spec"]["containers"]
    caller.manifest = manifest_of(containers=[container | {"ports": PORTS}], services=list(services))
    return caller


async def hand_in(caller):
    """Send the bundle, and neither money nor images: what follows it takes its time."""
    private, request = caller.signed("provision", caller.bundle())
    async with caller.talk(private, request) as (_, reply):
        return (await reply(Needs))[0]


async def deleted(world, caller):
    """Remove the pod; it settles first, so time must go on."""

    async def pass_time():
        while True:
            await trio.sleep(0.05)
            world.pass_time(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pass_time)
        await caller.ask("delete", DeleteBody(), Done)
        nursery.cancel_scope.cancel()


async def refusal(call, *args):
    with pytest.raises(Refused) as caught:
        await call(*args)
    assert caught.value.rule == "capacity-services"
    return caught.value.what


@pytest.mark.parametrize("kind", ["h2", "tcp"])
async def test_a_slot_is_promised_once_from_the_bundle_on(world, kind, virtual_time):
    ask = ASK.model_copy(update={"services": {"one": kind}})
    async with world.run() as (parts, address):
        first = caller_of(world, address, KINDS[kind])
        await first.ask("admit", ask, Admitted)
        await hand_in(first)
        assert not parts.doors.facade.slots_of(parts.pods.get(first.ref.channel).label)
        late = caller_of(world, address, WEB, KINDS[kind])
        said = f"services: 1 of {kind} wanted, 0 free"
        assert await refusal(late.ask, "admit", ask, Admitted) == said
        assert await refusal(hand_in, late) == said
        assert parts.pods.get(late.ref.channel) is None
        await first.ask("admit", ask, Admitted)  # its own promise does not stand in its way
        await hand_in(first)
        await first.provision()
        assert await refusal(hand_in, late) == said
        await deleted(world, first)
        await late.provision()


async def test_what_is_left_is_counted_without_promises(world):
    async with world.run() as (_, address):
        await hand_in(caller_of(world, address, WEB))
        left = await Caller(world, address).ask("admit", ASK, Admitted)
        assert left.capacity.services["http"] == 0
        await hand_in(caller_of(world, address, WEB))
        await refusal(Caller(world, address).ask, "admit", ASK, Admitted)
        await hand_in(caller_of(world, address, RPC))


async def test_promises_outlive_a_kill(world):
    async with world.run() as (_, address):
        first = caller_of(world, address, RAW)
        await hand_in(first)
    async with world.run() as (_, address):
        await refusal(hand_in, caller_of(world, address, RAW))
        first.address = address
        await first.provision()


async def test_of_two_at_once_one_gets_it(world):
    got, refused = [], []

    async def one(caller):
        try:
            got.append(await hand_in(caller))
        except Refused as error:
            refused.append(error.rule)

    async with world.run() as (_, address):
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(one, caller_of(world, address, RAW))
        assert (len(got), refused) == (1, ["capacity-services"] * 3)


async def test_an_update_keeps_its_slots_and_asks_for_what_is_new(world):
    async with world.run() as (_, address):
        pod = caller_of(world, address, WEB, RAW)
        await pod.provision()
        pod.manifest = caller_of(world, address, WEB, RAW, RPC).manifest
        await pod.provision()
        pod.manifest = caller_of(world, address, WEB, RAW, RPC, RAW | {"name": "second"}).manifest
        assert await refusal(hand_in, pod) == "services: 1 of tcp wanted, 0 free"

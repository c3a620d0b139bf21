# SPDX-License-Identifier: Apache-2.0
"""Every container is told of its pod, and keeps what it says itself."""

import httpx
import pytest

from tests.fakes.provider.caller import Caller, manifest_of, serving
from tests.fakes.provider.world import World
from tests.provider.facade.parts import free_port
from trustedpods.manifests.check.references import TOLD
from trustedpods.manifests.spec.scale import SLEEP_PATH, SLEEP_URL
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import channel_hex

OURS = TOLD


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def template_of(world):
    (life,) = world.cluster.lives.values()
    (workload,) = [one for (kind, _), one in life.objects.items() if kind == "Deployment"]
    return workload["spec"]["template"]["spec"]


def variables(container):
    return {one["name"]: one.get("value") for one in container["env"]}


async def test_a_container_knows_its_pod_and_where_it_is_reached(world):
    async with serving(world) as (parts, caller):
        record = parts.pods.get(caller.ref.channel)
        [container] = template_of(world)["containers"]
        told = variables(container)
        assert {name for name in told if name.startswith("TRUSTEDPODS_")} == set(TOLD)
        assert told["TRUSTEDPODS_POD"] == "web"
        assert told["TRUSTEDPODS_CHANNEL"] == channel_hex(caller.ref.channel)
        assert told["TRUSTEDPODS_PROVIDER"] == world.owner
        assert told["TRUSTEDPODS_URLS"].startswith(f"http://{record.label}.")


async def test_a_pod_that_may_ask_for_its_sleep_is_told_where_and_heard(world):
    sleep_port = free_port()
    world.names = {"listen": "127.0.0.1:0", "address": "127.0.0.1", "sleep_port": sleep_port}
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(scale={"ownSleep": True})
        await caller.provision()
        [container] = template_of(world)["containers"]
        assert variables(container)[SLEEP_URL] == f"http://127.0.0.1:{sleep_port}{SLEEP_PATH}"
        async with httpx.AsyncClient() as anybody:
            with pytest.raises(httpx.RemoteProtocolError):  # an address of no pod takes nobody's place
                await anybody.post(variables(container)[SLEEP_URL])


async def test_where_nobody_listens_a_pod_that_would_ask_is_refused(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(scale={"ownSleep": True})
        with pytest.raises(Refused) as caught:
            await caller.provision()
    assert caught.value.rule == "own-sleep"


async def test_its_own_value_goes_before_ours(world):
    first = manifest_of().spec.containers[0].model_dump(by_alias=True, exclude_none=True)
    own = [{"name": name, "value": "mine"} for name in OURS]
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(containers=[first | {"env": own}])
        await caller.provision()
        [container] = template_of(world)["containers"]
        assert {variables(container)[name] for name in OURS} == {"mine"}
        assert len(variables(container)) == len(container["env"])

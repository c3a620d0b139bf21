# SPDX-License-Identifier: Apache-2.0
"""Every container is told of its pod, and keeps what it says itself."""

import pytest

from tests.fakes.provider.caller import Caller, manifest_of, serving
from tests.fakes.provider.world import World
from trustedpods.manifests.check.references import TOLD
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

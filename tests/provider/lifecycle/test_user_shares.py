# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.fakes.provider.caller import ASK, Caller, manifest_of
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.protocol.messages.pod import DeleteBody, PodStatus
from trustedpods.provider.core.admission import PIDS_PER_POD
from trustedpods.provider.core.pod import Phase


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def limited(parts, replicas):
    """A provider whose pods of one user id share processes enough for so many replicas."""
    object.__setattr__(parts.doors.config.cluster, "processes_per_user", replicas * PIDS_PER_POD)


async def refused(caller):
    with pytest.raises(Refused) as caught:
        await caller.provision()
    return caught.value.rule


async def test_one_user_id_has_a_share_that_no_tenant_can_take_from_another(world):
    """Each replica is counted with its own bound, also after a restart; who was refused counts nothing."""
    async with world.run() as (parts, address):
        limited(parts, 3)
        first, second = Caller(world, address), Caller(world, address)
        await first.provision()  # two replicas at most
        assert await refused(second) == "capacity-users"
        third = Caller(world, address)
        third.manifest = manifest_of(scale={"max": 1})
        await third.provision()
    async with world.run() as (parts, address):
        limited(parts, 3)
        fourth = Caller(world, address)
        fourth.manifest = manifest_of(scale={"max": 1})
        assert await refused(fourth) == "capacity-users"
        limited(parts, 4)
        fifth = Caller(world, address)
        fifth.manifest = manifest_of(scale={"max": 1})
        await fifth.provision()


async def test_an_update_counts_once(world):
    async with world.run() as (parts, address):
        limited(parts, 2)
        caller = Caller(world, address)
        await caller.provision()
        caller.manifest = manifest_of(scale={"max": 1})
        await caller.provision()
        caller.manifest = manifest_of(scale={"max": 2})
        await caller.provision()
        caller.manifest = manifest_of(scale={"max": 3})
        assert await refused(caller) == "capacity-users"
        assert parts.pods.get(caller.ref.channel).phase is Phase.SERVING


async def test_without_a_bound_nothing_is_counted(world):
    async with world.run() as (_, address):
        for _ in range(3):
            await Caller(world, address).provision()


def run_as(user, **spec):
    containers = manifest_of().model_dump(by_alias=True, exclude_none=True)["spec"]["containers"]
    containers[0]["securityContext"] = {"runAsUser": user}
    return manifest_of(containers=containers, **spec)


async def test_the_manifests_user_is_the_one_that_counts(world):
    """Else two pods that name one user in their manifests, over images of different ones, had no bound."""
    async with world.run() as (parts, address):
        limited(parts, 3)
        first, second, third = (Caller(world, address) for _ in range(3))
        first.manifest = run_as(4711)  # two replicas at most
        await first.provision()
        second.manifest = run_as(4711)
        assert await refused(second) == "capacity-users"
        await third.provision()


async def test_volumes_of_a_deleted_pod_take_no_share(world, virtual_time):
    async with world.run() as (parts, address):
        limited(parts, 2)
        first, second, third = (Caller(world, address) for _ in range(3))
        keys = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}
        data = {"name": "data", "persistent": {"size": "8Mi", "retain": True}}
        first.manifest = run_as(4711, volumes=[keys, data], scale={"max": 1})
        await first.provision()
        second.manifest = third.manifest = run_as(4711)
        assert await refused(second) == "capacity-users"
        await first.ask("delete", DeleteBody(), PodStatus)
        await third.provision()


async def test_a_client_that_says_its_users_is_refused_before_it_pays(world):
    async with world.run() as (parts, address):
        limited(parts, 3)
        first, second = Caller(world, address), Caller(world, address)
        first.manifest = run_as(4711)
        await first.provision()
        ask = ASK.model_copy(update={"users": [5000, 4711]})
        with pytest.raises(Refused) as caught:
            await second.ask("admit", ask, Admitted)
        assert caught.value.rule == "capacity-users"
        assert "user 4711: 2 replicas wanted, room for 1 is left" in caught.value.what
        assert (world.owner, second.ref.channel) not in world.chain.lives
        await second.ask("admit", ask.model_copy(update={"max_replicas": 1}), Admitted)
        await first.ask(
            "admit", ask.model_copy(update={"max_replicas": 3}), Admitted
        )  # an update counts once


async def test_pods_with_user_ids_of_their_own_share_no_processes(world):
    async with world.run() as (parts, address):
        limited(parts, 3)
        object.__setattr__(parts.doors.config.cluster, "user_namespaces", True)
        for _ in range(2):
            await Caller(world, address).provision()  # two replicas at most, each

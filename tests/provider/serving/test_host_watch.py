# SPDX-License-Identifier: Apache-2.0
import pytest

from tests.fakes.provider.caller import Caller, manifest_of
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.provider.core.admission import LOST_LOOKS
from trustedpods.provider.core.lifecycle import LifecycleCommand
from trustedpods.provider.daemon.assembly import Runner
from trustedpods.provider.serving.host_watch import PROVE_EVERY_S, HostWatch

HOST = "www.example.org"
WEB = {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}], "hosts": [HOST]}


class Names:
    """A resolver that says yes, no, or nothing."""

    says: bool | None = True

    async def check_control(self, host, proofs):
        if self.says is None:
            raise NetworkFailure("DNS does not say")
        if not self.says:
            raise Refused(f"no proof that you control {host}", rule="hosts")


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def watch_of(parts):
    """The task that asks for proofs, to be run by hand."""
    turns = parts.provisioning_steps.turns
    return HostWatch(parts.doors, parts.pods, parts.bundles, parts.autoscaler, turns)


def served(world):
    return HOST in {host for want in world.facade.wants.values() for host in want.hosts}


async def looks(world, watch, count):
    """So many, a period apart; whether the host was served after each."""
    found = []
    for _ in range(count):
        await watch.look()
        found.append(served(world))
        world.pass_time(int(PROVE_EVERY_S))
    return found


async def test_a_host_goes_with_its_proof_and_comes_back_with_it(world):
    names = Names()
    async with world.run() as (parts, address):
        object.__setattr__(parts.doors, "resolver", names)
        caller = Caller(world, address)
        caller.manifest = manifest_of(services=[WEB])
        await caller.provision()
        watch = watch_of(parts)
        names.says = None
        assert all(await looks(world, watch, 3 * LOST_LOOKS))
        names.says = False
        assert await looks(world, watch, LOST_LOOKS + 1) == [True] * LOST_LOOKS + [False]
        own = f"{parts.pods.get(caller.ref.channel).label}.k1.test.localhost"
        assert own in {host for want in world.facade.wants.values() for host in want.hosts}
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert f"not served under {HOST}" in status.reason
        names.says = None
        assert not any(await looks(world, watch, 2))
        names.says = True
        assert all(await looks(world, watch, 2))
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert [one.reason for one in status.events if one.reason.startswith("host-")] == [
            "host-unproven",
            "host-unproven",
            "host-proven",
        ]
        assert HOST not in status.reason


async def test_a_deploy_with_the_proof_is_served_at_once(world):
    names = Names()
    async with world.run() as (parts, address):
        object.__setattr__(parts.doors, "resolver", names)
        caller = Caller(world, address)
        caller.manifest = manifest_of(services=[WEB])
        await caller.provision()
        watch = watch_of(parts)
        names.says = False
        await looks(world, watch, LOST_LOOKS + 1)
        assert not served(world)
        names.says = True
        caller.manifest = manifest_of(services=[WEB], scale={"max": 1})
        await caller.provision()
        assert served(world)


async def test_a_deploys_proof_is_not_undone_by_a_look_that_learns_nothing(world):
    names = Names()
    async with world.run() as (parts, address):
        object.__setattr__(parts.doors, "resolver", names)
        caller = Caller(world, address)
        caller.manifest = manifest_of(services=[WEB])
        await caller.provision()
        watch = watch_of(parts)
        names.says = False
        await looks(world, watch, LOST_LOOKS + 1)
        names.says = True
        caller.manifest = manifest_of(services=[WEB], scale={"max": 1})
        await caller.provision()
        names.says = None
        assert all(await looks(world, watch, 2))


async def test_a_refused_deploy_without_the_host_does_not_bring_it_back(world):
    """Its proofs are asked for before it is known whether there is room: they are of other hosts."""
    names = Names()
    async with world.run() as (parts, address):
        object.__setattr__(parts.doors, "resolver", names)
        caller = Caller(world, address)
        caller.manifest = manifest_of(services=[WEB])
        await caller.provision()
        watch = watch_of(parts)
        names.says = False
        await looks(world, watch, LOST_LOOKS + 1)
        huge = manifest_of().model_dump(by_alias=True, exclude_none=True)["spec"]["containers"]
        huge[0]["resources"] = {"limits": {"cpu": "64", "memory": "256Gi"}}
        caller.manifest = manifest_of(containers=huge)
        with pytest.raises(Refused):
            await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        await parts.autoscaler.publish(record, parts.bundles.open(record))
        assert not served(world)


async def test_a_pod_that_is_published_anew_has_no_way_under_a_lost_host_in_the_books(world):
    """Another node's daemon would lead there after a take-over."""
    names = Names()
    async with world.run() as (parts, address):
        object.__setattr__(parts.doors, "resolver", names)
        caller = Caller(world, address)
        caller.manifest = manifest_of(services=[WEB])
        await caller.provision()
        names.says = False
        await looks(world, watch_of(parts), LOST_LOOKS + 1)
        await Runner(parts).run(parts.pods.get(caller.ref.channel), LifecycleCommand.PUBLISH)
        record = parts.pods.get(caller.ref.channel)
        assert record.exposures["web"].way.routes == (f"{record.label}.k1.test.localhost",)

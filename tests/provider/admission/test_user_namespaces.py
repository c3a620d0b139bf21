# SPDX-License-Identifier: Apache-2.0
"""Who cannot do without user ids of its own is refused where there are none, and gets them where they are."""

import pytest

from tests.fakes.provider.caller import ASK, Caller, in_phase, manifest_of
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.provider.core.pod import Phase

RULE = "user-namespaces"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def asking(caller):
    caller.manifest = manifest_of(hostUsers=False, scale={"max": 1})
    return caller


def pod_spec(world, parts, caller):
    namespace = parts.pods.get(caller.ref.channel).namespace
    objects = world.cluster.lives[namespace].objects
    (workload,) = (made for (kind, _), made in objects.items() if kind == "Deployment")
    return workload["spec"]["template"]["spec"]


async def refused(asked):
    with pytest.raises(Refused) as caught:
        await asked
    return caught.value.rule


async def test_it_is_refused_before_money_moves_also_where_the_question_hid_it(world, virtual_time):
    async with world.run() as (_, address):
        caller = asking(Caller(world, address))
        question = ASK.model_copy(update={"user_namespaces": True})
        assert await refused(caller.ask("admit", question, Admitted)) == RULE
        assert await refused(caller.provision(pay=False)) == RULE


async def test_every_pod_has_them_where_they_are_chosen_and_keeps_what_it_asked_for(world, virtual_time):
    world.user_namespaces = True
    async with world.run() as (parts, address):
        wanting, other = asking(Caller(world, address)), Caller(world, address)
        for caller in (wanting, other):
            await caller.provision()
            assert pod_spec(world, parts, caller)["hostUsers"] is False
    world.user_namespaces = False
    async with world.run() as (parts, address):
        assert in_phase(parts, wanting, Phase.SERVING)
        new = Caller(world, address)
        await new.provision()
        assert "hostUsers" not in pod_spec(world, parts, new)


async def test_while_a_probe_pod_had_none_no_new_pod_comes_and_those_that_are_here_stay(world, virtual_time):
    world.user_namespaces = True
    async with world.run() as (parts, address):
        here, new = Caller(world, address), Caller(world, address)
        await here.provision()
        parts.tenancy.users_doubt = "no such runtime"
        assert await refused(new.ask("admit", ASK, Admitted)) == RULE
        assert await refused(new.provision(pay=False)) == RULE
        assert in_phase(parts, here, Phase.SERVING)
        parts.tenancy.users_doubt = None
        await new.provision()


async def test_the_bundle_that_serves_is_met_again_while_a_probe_pod_had_none(world, virtual_time):
    world.user_namespaces = True
    async with world.run() as (parts, address):
        here = Caller(world, address)
        await here.provision()
        parts.tenancy.users_doubt = "no such runtime"
        await here.provision()
        assert in_phase(parts, here, Phase.SERVING)
        here.manifest = manifest_of(scale={"max": 3})
        assert await refused(here.provision()) == RULE, "another version is none that is here"


async def test_until_it_is_shown_only_a_pod_that_is_here_may_need_it(world, virtual_time):
    world.user_namespaces = True
    async with world.run() as (parts, address):
        here = asking(Caller(world, address))
        await here.provision()
        parts.tenancy.begin(parts.doors)
        question = ASK.model_copy(update={"user_namespaces": True})
        await here.ask("admit", question, Admitted)
        await parts.pods.change(here.ref.channel, phase=Phase.GONE)
        assert await refused(here.ask("admit", question, Admitted)) == RULE

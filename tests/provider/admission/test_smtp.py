# SPDX-License-Identifier: Apache-2.0
"""Who names a port of mail is refused before money moves, and stays where the operator closes mail later."""

import pytest

from tests.fakes.provider.caller import ASK, Caller, in_phase, manifest_of, until
from tests.fakes.provider.full_store import let_pass
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.provider.core.pod import Phase

MAIL = {"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}], "ports": [{"port": 587}]}
LOOKED_S = 60
"""Longer than it takes until a lost namespace is seen to be lost."""


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def mailing():
    return manifest_of(network={"egress": [MAIL]}, scale={"max": 1})


async def test_mail_is_refused_before_money_moves_also_where_the_question_hid_it(world, virtual_time):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        with pytest.raises(Refused, match="no mail is sent from here") as caught:
            await caller.ask("admit", ASK.model_copy(update={"smtp": True}), Admitted)
        assert caught.value.rule == "egress"
        caller.manifest = mailing()
        with pytest.raises(Refused, match="egress to port 587: no mail") as caught:
            await caller.provision(pay=False)
        assert caught.value.rule == "egress"


async def test_a_pod_that_was_let_send_mail_comes_back_after_mail_was_closed(world, virtual_time):
    world.smtp = True
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = mailing()
        await caller.provision()
        namespace = parts.pods.get(caller.ref.channel).namespace
        assert ("NetworkPolicy", "egress") in world.cluster.lives[namespace].objects
    world.smtp = False
    async with world.run() as (parts, address):
        await let_pass(world, LOOKED_S)
        assert in_phase(parts, caller, Phase.SERVING)
        assert ("NetworkPolicy", "egress") in world.cluster.lives[namespace].objects, (
            "a restart closes nothing"
        )
        await world.cluster.delete_namespace(namespace)
        await until(lambda: namespace not in world.cluster.lives)
        await until(lambda: made_anew(world, parts, caller), limit=600)
        objects = world.cluster.lives[parts.pods.get(caller.ref.channel).namespace].objects
        assert ("NetworkPolicy", "deny") in objects
        assert ("NetworkPolicy", "egress") not in objects


def made_anew(world, parts, caller):
    record = in_phase(parts, caller, Phase.SERVING)
    return record is not None and record.namespace in world.cluster.lives

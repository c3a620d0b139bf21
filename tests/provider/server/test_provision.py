# SPDX-License-Identifier: Apache-2.0
"""Two requests for one pod at once, with one key: who has the provider's word.

The rest of `provision` is in `tests/provider/daemon/test_main.py`.
"""

from dataclasses import replace

import pytest
import trio

from tests.fakes.provider.caller import Caller, image_of, in_phase, serving, until
from tests.fakes.provider.pods import DIGEST, a_life
from tests.fakes.provider.world import World
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import MAX_RENDERED
from trustedpods.protocol.messages.pod import PodStatus, Statement, StatusBody
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.server.provision import _rendered

OLDER, NEWER = 1_000_001, 1_000_002


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.mark.parametrize("same", [True, False], ids=["the-same-bundle", "another-bundle"])
async def test_of_two_requests_the_newer_has_the_word(world, same):
    """The older one is told so, though the same bundle serves in the end."""
    world.cluster.hold_starts = True
    answers = {}
    async with world.run() as (parts, address):
        caller = Caller(world, address)

        async def ask(generation):
            try:
                _, _, answers[generation] = await caller.provision(generation=generation)
            except Refused as error:
                answers[generation] = error

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, OLDER)
            await until(lambda: in_phase(parts, caller, Phase.STARTING) and world.cluster.lives)
            if not same:
                caller.blobs = image_of(b"newer")
            nursery.start_soon(ask, NEWER)
            await until(lambda: parts.pods.get(caller.ref.channel).generation == NEWER)
            await until(lambda: in_phase(parts, caller, Phase.STARTING))
            world.cluster.release_starts()
        record = parts.pods.get(caller.ref.channel)
        assert (record.phase, record.generation) == (Phase.SERVING, NEWER)
        assert decode(answers[NEWER].statement, Statement).generation == NEWER
        assert answers[OLDER].rule == "generation"


def test_objects_that_no_reply_has_room_for_are_refused_by_their_size():
    life = a_life()
    assert len(_rendered(life)) < MAX_RENDERED
    with pytest.raises(Refused) as caught:
        _rendered(replace(life, images={"c": "x" * MAX_RENDERED + f"@{DIGEST}"}))
    assert caught.value.rule == "render-size"


async def test_a_publisher_who_forgot_a_pods_name_is_told_it_while_this_boot_can_read_it(world):
    async with serving(world) as (_, caller):
        assert (await caller.ask("status", StatusBody(), PodStatus)).name == "web"
    world.keys = BootKeys.generate()
    async with world.run() as (_, caller.address):
        assert (await caller.ask("status", StatusBody(), PodStatus)).name == ""

# SPDX-License-Identifier: Apache-2.0
"""What an operator can tell of a pod: what the books have of money and time, nothing of what is in it."""

import pytest

from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import ADMIN_SOCKET, Caller
from tests.fakes.provider.world import MARKER, World
from tests.provider.admin.test_eviction import ask as operate
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import channel_hex


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def ask(world, target):
    return await admin_json(world.tmp_path / ADMIN_SOCKET, {"verb": "disclose", "target": target})


FIELDS = (
    "label channel publisher commanders owner chainId payments token claimed phase changedAt stoppedAt events"
    " hosts cpuMilli memoryMib volumeMib imageMib scratchMib denied"
)


async def test_a_pod_is_told_by_whoever_pays_and_never_by_what_is_in_it(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        told = await ask(world, record.label.upper())
        assert list(told) == FIELDS.split()
        assert (told["publisher"], told["owner"]) == (caller.ref.publisher, caller.ref.owner)
        assert told["channel"] == channel_hex(caller.ref.channel)
        assert (told["phase"], told["stoppedAt"], told["denied"]) == ("serving", None, False)
        assert told["hosts"][0].startswith(record.label)
        assert told["cpuMilli"] == record.size.cpu_milli
        assert {frozenset(one) for one in told["events"]} == {frozenset({"at", "word"})}
        assert MARKER not in str(told)
        for other in (told["hosts"][0], told["channel"], f"0x{told['channel']}"):
            assert await ask(world, other) == told
        for unknown in ("", "p", "10.9.9.9", "other.k1.test.localhost"):
            with pytest.raises(Refused) as caught:
                await ask(world, unknown)
            assert caught.value.rule == "unknown-pod"


async def test_an_ended_pod_is_told_too_and_that_its_publisher_is_kept_out(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        label = parts.pods.get(caller.ref.channel).label
        await operate(world, verb="evict", target=label, reason="a notice", deny=True)
        told = await ask(world, label)
        assert (told["phase"], told["denied"]) == ("gone", True)
        assert "evicted" in [one["word"] for one in told["events"]]
        assert "a notice" not in str(told)

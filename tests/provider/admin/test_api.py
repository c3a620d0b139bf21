# SPDX-License-Identifier: Apache-2.0
"""The verbs of the whole daemon: the JSON that operators' programs read, and numbers for Prometheus."""

import pytest
import trio

from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import ADMIN_SOCKET, serving
from tests.fakes.provider.world import MARKER, World
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import DeleteBody
from trustedpods.provider.admin.api import AdminApi, snapshot
from trustedpods.provider.admin.views import PodsRequest

ROW = [
    "label",
    "channel",
    "namespace",
    "phase",
    "scale",
    "replicas",
    "ready",
    "services",
    "left",
    "claimed",
    "runwaySeconds",
    "why",
]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def ask(world, verb, **fields):
    return admin_json(world.tmp_path / ADMIN_SOCKET, {"verb": verb, **fields})


async def test_identity_is_what_the_row_needs(world):
    async with world.run() as (parts, address):
        told = await ask(world, "identity")
        assert list(told) == ["profile", "endpoint", "meter", "tee", "chip"]
        assert (told["endpoint"], told["tee"], told["chip"]) == (address, "none", "00" * 32)
        assert told["meter"] == parts.doors.meter
        assert bytes.fromhex(told["profile"])


async def test_a_pod_is_told_in_numbers_by_these_names(world):
    async with serving(world) as (parts, caller):
        record = parts.pods.get(caller.ref.channel)
        [pod] = (await ask(world, "pods"))["pods"]
        assert list(pod) == ROW
        assert (pod["label"], pod["namespace"], pod["phase"]) == (record.label, record.namespace, "serving")
        assert pod["channel"] == channel_hex(caller.ref.channel)
        assert (pod["left"], pod["claimed"]) == (str(10**9), "0")
        assert MARKER not in str(pod)
        assert caller.ref.publisher not in str(pod)


async def _pass_time(world):
    while True:
        await trio.sleep(0.05)
        world.pass_time(1)


async def test_ended_pods_are_told_only_when_asked_for(world, virtual_time):
    async with serving(world) as (_, caller), trio.open_nursery() as nursery:
        nursery.start_soon(_pass_time, world)
        await caller.ask("delete", DeleteBody(), Done)
        assert (await ask(world, "pods"))["pods"] == []
        [pod] = (await ask(world, "pods", all=True))["pods"]
        assert (pod["phase"], pod["replicas"], pod["scale"]) == ("gone", 0, None)
        nursery.cancel_scope.cancel()


async def test_a_claim_is_told_by_these_names(world):
    async with serving(world) as (_, _caller):
        empty = await ask(world, "claim", prepare=True)
        assert list(empty) == ["items", "root", "transaction", "withdrawn"]
        world.pass_time(100)
        sent = await ask(world, "claim", withdraw=True)
        assert len(bytes.fromhex(sent["root"])) == 32
        assert sent["transaction"].startswith("0x")
        assert int(sent["withdrawn"]) > 0
        [pod] = (await ask(world, "pods"))["pods"]
        assert pod["claimed"] == sent["withdrawn"]


async def test_an_overview_is_told_by_these_names(world):
    async with serving(world) as (parts, _):
        told = await ask(world, "overview")
        [pod] = told.pop("pods")
        assert list(pod) == [*ROW, "inFlight", "requests", "proxy", "size", "tcp"]
        assert list(told) == [
            "replicas",
            "conversations",
            "freeSlots",
            "spoolBytes",
            "spoolQuotaBytes",
            "gasWei",
            "gasToday",
            "certificateDays",
            "total",
        ]
        assert told["freeSlots"] == parts.doors.facade.free_slots
        assert told["spoolQuotaBytes"] == parts.doors.config.store.spool_quota_mib * 1024 * 1024


async def test_a_chain_that_does_not_answer_leaves_only_the_gas_unknown(world):
    async with serving(world) as (parts, _):
        world.chain.broken = True
        assert (await ask(world, "overview"))["gasWei"] == -1
        now = await snapshot(parts, 3)
        assert (now.gas_wei, now.conversations, now.pods_by_phase) == (-1, 3, {"serving": 1})


async def test_an_empty_daemon_makes_up_no_numbers(world):
    async with world.run() as (parts, _):
        now = await snapshot(parts, 0)
        assert (now.replicas, now.ready, now.waking) == (0, 0, 0)
        assert (now.oldest_claim, now.shortest_runway_s) == (None, None)
        assert (await AdminApi(parts, b"", "", lambda: 0).pods(PodsRequest())).pods == []


async def test_a_drain_of_nobody_and_its_undoing_answer_alike(world):
    async with world.run():
        for fields in ({"reason": "a new disk"}, {"undo": True}):
            assert await ask(world, "drain", **fields) == {"pods": []}


@pytest.mark.parametrize(
    ("verb", "fields"),
    [
        ("pods", {"everything": True}),
        ("pods", {"all": "yes"}),
        ("evict", {"target": 7, "reason": "x"}),
        ("claim", {"withdraw": 1}),
        ("overview", {"inside": True}),
        ("snapshot", {}),
        ("verbs", {}),
        ("__init__", {}),
    ],
)
async def test_the_daemon_refuses_what_it_does_not_know_and_goes_on(world, verb, fields):
    async with world.run():
        with pytest.raises(BadInput):
            await ask(world, verb, **fields)
        assert (await ask(world, "pods"))["pods"] == []


async def test_every_verb_is_asked_by_the_name_in_its_question(world):
    async with world.run() as (parts, _):
        verbs = AdminApi(parts, b"", "", lambda: 0).verbs()
    told = ["identity", "pods", "claim", "evict", "drain", "overview", "earnings", "offers", "store"]
    assert list(verbs) == [*told, "health", "evidence", "operator-key", "disclose"]

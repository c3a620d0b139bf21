# SPDX-License-Identifier: Apache-2.0
"""What never had a channel leaves nothing behind, and no stranger makes the provider work without end."""

import secrets

import pytest
from sqlalchemy import select, text

from tests.fakes.provider.caller import ASK, Caller, image_of, manifest_of, serving, until, volume_ask
from tests.fakes.provider.full_store import let_pass
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.limits import BLOB_CHUNK
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.bundle import BlobAck, BlobBody, Needs
from trustedpods.protocol.messages.capabilities import Placement
from trustedpods.protocol.messages.pod import DeleteBody, PodStatus, StatusBody
from trustedpods.protocol.sealing.blobs import chunk_count, seal_chunk
from trustedpods.provider.admission.arrivals import AdmissionLimits, Allowance
from trustedpods.provider.core.admission import UPLOAD_PAUSE_S
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.keys.generations import FILE_NAME
from trustedpods.provider.lifecycle.channels.arrival import CHANNEL_WITHIN_S
from trustedpods.provider.lifecycle.removal import CHANNEL_MAY_COME_S
from trustedpods.provider.store.tables import METADATA

STRANGERS = 6


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def bundle_of(world, address):
    """A stranger with a key of its own, whose bundle was accepted and who does not pay."""
    stranger = Caller(world, address)
    private, request = stranger.signed("provision", stranger.bundle())
    async with stranger.talk(private, request) as (_, reply):
        await reply(Needs)
    return stranger


def rows(tx):
    """How many rows each table has but of the daemon's own; nonces go by themselves within five minutes."""
    counts = {
        name: len(tx.connection.execute(select(table)).all())
        for name, table in METADATA.tables.items()
        if name not in ("nonces", "boots", "writers", "service_days", "alembic_version")
    }
    return {name: count for name, count in counts.items() if count}


async def assert_nothing_is_left(world, parts, strangers):
    assert await parts.pods.every() == []
    assert await parts.doors.store.read(rows) == {}
    marks = world.tmpfs() / FILE_NAME
    assert not marks.exists() or marks.stat().st_size == 0
    assert not [call for call in world.cluster.calls if call.startswith(("apply", "scale", "delete"))]
    assert not world.cluster.lives
    assert not world.registry.blobs
    assert not world.facade.labels
    for stranger in strangers:
        label, channel = parts.pods.of_label, stranger.ref.channel
        assert (parts.pods.get(channel), label(channel), parts.reconciler.money(channel)) == (
            None,
            None,
            None,
        )
        assert parts.autoscaler.pod_scaler(channel) is None


async def test_bundles_that_are_never_paid_leave_nothing(world, virtual_time):
    async with world.run() as (parts, address):
        strangers = [await bundle_of(world, address) for _ in range(STRANGERS)]
        assert len(await parts.pods.every()) == STRANGERS
        await let_pass(world, CHANNEL_WITHIN_S + CHANNEL_MAY_COME_S + 40)
        await assert_nothing_is_left(world, parts, strangers)
        with pytest.raises(Refused) as caught:
            await strangers[0].ask("status", StatusBody(), PodStatus)
        assert caught.value.rule == "unknown-pod"


async def test_bundles_that_are_deleted_unpaid_leave_nothing(world, virtual_time):
    async with world.run() as (parts, address):
        strangers = []
        for _ in range(STRANGERS):
            stranger = await bundle_of(world, address)
            private, request = stranger.signed("delete", DeleteBody())
            async with stranger.talk(private, request):  # it does not wait for the answer
                await until(lambda: parts.pods.get(stranger.ref.channel).phase is Phase.REMOVING)  # noqa: B023
            strangers.append(stranger)
        await let_pass(world, CHANNEL_MAY_COME_S + 20)
        await assert_nothing_is_left(world, parts, strangers)


async def test_a_restart_forgets_what_an_earlier_daemon_kept(world, virtual_time):
    async with world.run() as (parts, address):
        stranger = await bundle_of(world, address)
        world.pass_time(CHANNEL_WITHIN_S + 5)
        await until(lambda: parts.pods.get(stranger.ref.channel).phase is Phase.REMOVING)
        statement = text("UPDATE pods SET phase = 'failed'")
        await parts.doors.store.write(lambda tx: tx.connection.execute(statement).rowcount)
    async with world.run() as (parts, _):
        assert await parts.pods.every() == []

        async def erased():
            return not await parts.doors.store.read(rows)

        await until(erased)


async def test_an_unpaid_delete_is_answered_at_once(world, virtual_time):
    async with world.run() as (_, address):
        stranger = await bundle_of(world, address)
        done = await stranger.ask("delete", DeleteBody(), Done)
        assert (done.text.split(";")[0], done.transaction) == ("removed", None)


async def test_a_channel_that_comes_late_goes_back_whole(world, virtual_time):
    async with world.run() as (parts, address):
        stranger = await bundle_of(world, address)
        world.pass_time(CHANNEL_WITHIN_S + 5)
        await until(lambda: parts.pods.get(stranger.ref.channel).phase is Phase.REMOVING)
        await stranger.pay()
        await let_pass(world, 60)
        closed = await world.chain.closed(world.owner, stranger.ref.channel)
        assert closed.refund == 10**9
        assert (
            parts.pods.get(stranger.ref.channel).phase is Phase.FAILED
        )  # it was paid for: the books know it


async def test_an_address_has_a_pace_and_whoever_pays_has_none(world, virtual_time):
    world.limits = AdmissionLimits(new_pods=Allowance(2, 60.0), questions=Allowance(2, 60.0))
    async with world.run() as (_, address):
        for _ in range(2):
            await bundle_of(world, address)
        stranger = Caller(world, address)
        with pytest.raises(Refused) as caught:
            await stranger.provision(pay=False)
        assert caught.value.rule == "rate"
        await stranger.pay()
        await stranger.provision()
        for _ in range(2):
            await stranger.ask("admit", ASK, Admitted)
        with pytest.raises(Refused) as caught:
            await stranger.ask("admit", ASK, Admitted)
        assert caught.value.rule == "rate"


async def update_of(stranger, number, size=1):
    """A newer bundle of a pod that nobody has paid for, another one each time."""
    fields = {f"K{at}": "x" * 30_000 for at in range(size)} | {"NUMBER": str(number)}
    web = stranger.manifest.model_dump(by_alias=True)["spec"]["containers"][0]
    stranger.manifest = manifest_of(
        containers=[web | {"env": [{"name": name, "value": value} for name, value in fields.items()]}]
    )
    private, request = stranger.signed("provision", stranger.bundle())
    async with stranger.talk(private, request) as (_, reply):
        await reply(Needs)


async def test_updates_that_nobody_pays_for_win_no_time(world, virtual_time):
    """A place for what is unpaid lasts three minutes, however often its bundle is replaced."""
    async with world.run() as (parts, address):
        stranger = await bundle_of(world, address)
        begun, refused = world.now, None
        for number in range(20):
            await let_pass(world, 30)
            try:
                await update_of(stranger, number)
            except Refused as error:
                refused = error.rule
                break
        assert refused in ("channel-missing", "removing")
        assert world.now - begun <= CHANNEL_WITHIN_S + 60
        await let_pass(world, 2 * CHANNEL_WITHIN_S + CHANNEL_MAY_COME_S)
        assert parts.pods.get(stranger.ref.channel) is None


async def test_updates_that_nobody_pays_for_have_the_same_room_and_pace(world, virtual_time):
    world.limits = AdmissionLimits(new_pods=Allowance(4, 3600.0), waiting_bytes=64 * 1024)
    async with world.run() as (parts, address):
        stranger = await bundle_of(world, address)
        with pytest.raises(Refused) as caught:
            await update_of(stranger, 0, size=4)
        assert caught.value.rule == "waiting"
        for number in range(3):
            await update_of(stranger, number)
        with pytest.raises(Refused) as caught:
            await update_of(stranger, 3)
        assert caught.value.rule == "rate"
        await stranger.pay()
        await stranger.provision()
        assert parts.pods.get(stranger.ref.channel).phase is Phase.SERVING


async def test_an_upload_ends_with_its_pod(world, virtual_time):
    """What nobody will use takes no room, and no stream keeps announcing it."""
    async with world.run() as (parts, address):
        stranger = Caller(world, address)
        stranger.blobs = image_of(secrets.token_bytes(3 * BLOB_CHUNK))
        private, request = stranger.signed("provision", stranger.bundle())
        async with stranger.talk(private, request) as (_, reply):
            await reply(Needs)
        ref, data = stranger.refs()[2]
        private, request = stranger.signed("blob", BlobBody(blob=ref))
        async with stranger.talk(private, request) as (stream, reply):
            await reply(BlobAck)
            await stream.send(seal_chunk(ref.key, 0, chunk_count(ref.size), data[:BLOB_CHUNK]))
            world.pass_time(CHANNEL_WITHIN_S + 5)
            await until(lambda: parts.pods.get(stranger.ref.channel).phase is Phase.REMOVING)
            part = data[BLOB_CHUNK : 2 * BLOB_CHUNK]
            await stream.send(seal_chunk(ref.key, 1, chunk_count(ref.size), part))
            with pytest.raises(Refused) as caught:
                await reply(BlobAck)
            assert caught.value.rule == "phase"


async def test_a_fleet_that_pays_comes_as_fast_as_it_pays(world):
    world.limits = AdmissionLimits(new_pods=Allowance(1, 3600.0))
    async with world.run() as (parts, address):
        for _ in range(3):
            await Caller(world, address).provision()  # its bundle comes first, its channel behind it
        assert len(parts.pods.standing) == 3


def nonces(tx):
    return len(tx.connection.execute(select(METADATA.tables["nonces"])).all())


async def test_what_is_refused_for_its_rights_or_its_pace_costs_no_write(world):
    """Neither a stranger's word on a pod, nor an older generation, nor one bundle too many is remembered."""
    world.limits = AdmissionLimits(bundles=Allowance(1, 3600.0), questions=Allowance(0, 3600.0))
    async with serving(world) as (parts, caller):
        stranger = Caller(world, caller.address)
        before = await parts.doors.store.read(nonces)
        for refused, rule in (
            (lambda: stranger.ask("status", StatusBody(), PodStatus), "unknown-pod"),
            (lambda: stranger.ask("admit", ASK, Admitted), "rate"),
            (lambda: stranger.provision(pay=False), "rate"),
            (lambda: caller.provision(generation=0), "generation"),
        ):
            with pytest.raises(Refused) as caught:
                await refused()
            assert caught.value.rule == rule
        assert await parts.doors.store.read(nonces) == before
        await caller.ask("status", StatusBody(), PodStatus)
        assert await parts.doors.store.read(nonces) == before + 1


async def test_bundles_beyond_the_pace_do_not_ask_the_chain(world):
    world.limits = AdmissionLimits(new_pods=Allowance(0, 3600.0), bundles=Allowance(2, 3600.0))
    async with world.run() as (parts, address):
        asked, channel = [], world.chain.channel

        async def counted(owner, key):
            asked.append(key)
            return await channel(owner, key)

        parts.doors.chain.channel = counted
        for _ in range(5):
            with pytest.raises(Refused) as caught:
                await Caller(world, address).provision(pay=False)
            assert caught.value.rule == "rate"
        assert len(asked) == 2


async def test_updates_of_a_pod_that_pays_have_a_pace_of_their_own(world):
    world.limits = AdmissionLimits(updates=Allowance(2, 3600.0))
    async with serving(world) as (_, caller):
        await caller.provision()
        await caller.provision()
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert (caught.value.rule, "updates of this pod" in caught.value.what) == ("rate", True)
        await Caller(world, caller.address).provision()  # another pod is not held back


async def test_a_storage_class_is_refused_before_money_moves(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        with pytest.raises(Refused) as caught:
            await caller.ask("admit", ASK.model_copy(update={"volumes": [volume_ask("fast")]}), Admitted)
        assert caught.value.rule == "storage-class"
        keys = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}
        data = {"name": "data", "persistent": {"size": "1Gi", "storageClassName": "fast"}}
        caller.manifest = manifest_of(volumes=[keys, data], scale={"max": 1})
        with pytest.raises(Refused) as caught:
            await caller.provision(pay=False)
        assert caught.value.rule == "storage-class"


async def test_a_node_that_is_not_there_is_refused_before_money_moves(world):
    world.cluster.labels = {"zone": "a", "secret": "x"}
    async with world.run() as (_, address):
        caller = Caller(world, address)
        wanted = ASK.model_copy(update={"placement": Placement(selector={"zone": "b"})})
        with pytest.raises(Refused, match="no node with zone=b; advertised: zone=a") as caught:
            await caller.ask("admit", wanted, Admitted)
        assert caught.value.rule == "placement"
        for selector in ({"secret": "x"}, {"zone": "b"}):
            caller.manifest = manifest_of(nodeSelector=selector, scale={"max": 1})
            with pytest.raises(Refused, match="advertised: zone=a") as caught:
                await caller.provision(pay=False)
            assert caught.value.rule == "placement"
        caller.manifest = manifest_of(nodeSelector={"zone": "a"}, scale={"max": 1})
        await caller.provision()


async def test_room_is_not_held_for_images_that_do_not_come(world, virtual_time):
    """A channel with a little in it is no reason to hold room for a day."""
    async with world.run() as (parts, address):
        stranger = await bundle_of(world, address)
        await stranger.pay()
        await let_pass(world, UPLOAD_PAUSE_S - 60)
        assert parts.pods.get(stranger.ref.channel).phase is Phase.RECEIVED
        await let_pass(world, 120)
        record = parts.pods.get(stranger.ref.channel)
        assert (record.phase in (Phase.REMOVING, Phase.FAILED), "did not come in time" in record.reason) == (
            True,
            True,
        )


async def test_hosts_by_name_are_refused_before_money_moves_where_nobody_answers_them(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        with pytest.raises(Refused, match="no resolver for pods") as caught:
            await caller.ask("admit", ASK.model_copy(update={"names": True}), Admitted)
        assert caught.value.rule == "egress"
        rule = {"to": [{"host": "api.example.org"}], "ports": [{"port": 443}]}
        caller.manifest = manifest_of(network={"egress": [rule]}, scale={"max": 1})
        with pytest.raises(Refused, match="no resolver for pods"):
            await caller.provision(pay=False)

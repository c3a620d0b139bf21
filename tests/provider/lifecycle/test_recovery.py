# SPDX-License-Identifier: Apache-2.0
"""A machine restarts: its memory-only keys are others, its store, cluster and registry are as they were."""

import hashlib
import shutil

import pytest

from tests.examples import some
from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import Caller, in_phase, manifest_of, until
from tests.fakes.provider.reboots import DOWN_S, SERVED_S, channel_of, rebooted, rotate, world
from trustedpods.contracts.records import meter_tag
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import due
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.bundle import Needs
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.protocol.units import Usage
from trustedpods.provider.core import metering
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.daemon.registry_row import mend_registry_row
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.store import ledger

__all__ = ["world"]

ADMIN_SOCKET = "books/operator.sock"
WAITING_S, AGAIN_S = 200, 30


def empty_spool(world):
    for blob in (world.tmp_path / "spool").glob("*/*.sealed"):
        blob.unlink()


async def book_of(parts, caller):
    return await parts.doors.store.read(ledger.load_ledger, caller.ref.channel, 0)


async def test_released_again_with_nothing_billed_between(world):
    async with rebooted(world) as (parts, caller):
        namespaces = list(world.cluster.lives)
        world.pass_time(WAITING_S)
        await parts.meter.observe()
        assert (await rotate(world, caller)).transaction is not None
        assert channel_of(world, caller).meter_tag == meter_tag(world.keys.meter_address)
        needs, _, _ = await caller.provision()
        assert needs.blobs == []
        assert in_phase(parts, caller, Phase.SERVING)
        assert list(world.cluster.lives) == namespaces  # and so the volumes
        back = int(world.now)
        world.pass_time(AGAIN_S)
        await parts.meter.observe()
        book = await book_of(parts, caller)
        between = metering.usage(book, world.last_counted, back)
        assert between.quantities == (0, 0, 0, 0, 0)
        before, after = (
            metering.usage(book, 0, world.last_counted),
            metering.usage(book, back, int(world.now)),
        )
        assert before.cpu_core_ms == 100 * SERVED_S
        assert after.cpu_core_ms == 100 * AGAIN_S
        assert after.storage_mib_s == (1 + 256) * AGAIN_S  # the image, and scratch while it runs


async def test_what_the_dead_meter_never_claimed_is_claimed_by_the_next(world):
    async with rebooted(world) as (_, caller):
        await rotate(world, caller)
        await caller.provision()
        claimed = await admin_json(world.tmp_path / ADMIN_SOCKET, {"verb": "claim"})
        assert claimed["items"] == 1
        report = await caller.ask("usage", UsageBody(), UsageReport)
        (leaf,) = report.leaves
        assert leaf.usage[0] == 100 * SERVED_S


async def test_blobs_that_are_gone_are_not_asked_for_again(world):
    async with rebooted(world) as (_, caller):
        empty_spool(world)
        await rotate(world, caller)
        needs, _, _ = await caller.provision()
        assert needs.blobs == []


async def test_images_that_are_gone_are(world):
    async with rebooted(world) as (_, caller):
        empty_spool(world)
        world.registry.manifests.clear()
        world.registry.blobs.clear()
        await rotate(world, caller)
        needs, _, _ = await caller.provision()
        assert len(needs.blobs) == 3


async def test_a_bundle_without_a_rotation_is_refused(world):
    async with rebooted(world) as (parts, caller):
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "awaiting-key"
        assert in_phase(parts, caller, Phase.AWAITING_KEY)


async def test_the_dead_meters_signed_claim_goes_out_before_the_move(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        await caller.provision()
        world.old_meter = world.keys.meter_address
        world.pass_time(SERVED_S)
        await admin_json(world.tmp_path / ADMIN_SOCKET, {"verb": "claim", "prepare": True})
    up_to, world.keys = channel_of(world, caller).up_to, BootKeys.generate()
    async with world.run() as (_, caller.address):
        await rotate(world, caller)
        assert channel_of(world, caller).up_to > up_to
        verbs = [verb for verb, _ in world.chain.log]
        assert verbs.index("submit") < verbs.index("rotate")


@pytest.mark.parametrize(
    "phase", some([Phase.RECEIVED, Phase.WAITING_CHANNEL, Phase.IMPORTING, Phase.STARTING])
)
async def test_a_reboot_in_the_middle_of_a_deploy_removes_nothing(world, phase, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        await parts.pods.change(caller.ref.channel, phase=phase)
    world.keys = BootKeys.generate()
    async with world.run() as (parts, _):
        await until(lambda: in_phase(parts, caller, Phase.AWAITING_KEY))
        assert world.cluster.lives


async def test_a_kill_after_the_rotation(world, virtual_time):
    async with rebooted(world) as (_, caller):
        await rotate(world, caller)
    async with world.run() as (parts, caller.address):
        await caller.provision()
        assert in_phase(parts, caller, Phase.SERVING)


async def test_a_kill_in_the_middle_of_the_release(world, virtual_time):
    async with rebooted(world) as (parts, caller):
        await rotate(world, caller)
        world.cluster.hold_starts = True
        async with caller.talk(*caller.signed("provision", caller.bundle())) as (_, reply):
            await reply(Needs)
            await until(lambda: in_phase(parts, caller, Phase.STARTING))
    async with world.run() as (parts, caller.address):
        world.cluster.release_starts()
        world.cluster.hold_starts = False
        await until(lambda: in_phase(parts, caller, Phase.SERVING))


async def test_a_failing_release_keeps_the_volumes(world, virtual_time):
    async with rebooted(world) as (parts, caller):
        await rotate(world, caller)
        world.ready = False
        with pytest.raises(Refused):
            await caller.provision()
        assert in_phase(parts, caller, Phase.SERVING)  # its next wake-up may work
        assert world.cluster.lives


async def test_a_release_keeps_the_volumes_whatever_size_they_were_given(world, virtual_time):
    volume = {"name": "data", "persistent": {"size": "16Mi"}}
    keys = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = kept = manifest_of(volumes=[keys, volume], scale={"max": 1})
        await caller.provision()
        world.old_meter = world.keys.meter_address
    world.pass_time(DOWN_S)
    (life,) = world.cluster.lives.values()
    life.given["data"] = 1024  # as classes round up
    world.keys = BootKeys.generate()
    async with world.run() as (parts, caller.address):
        await until(lambda: in_phase(parts, caller, Phase.AWAITING_KEY))
        await rotate(world, caller)
        caller.manifest = manifest_of(scale={"max": 1})
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "volumes"
        caller.manifest = kept
        await caller.provision()
        assert in_phase(parts, caller, Phase.SERVING)
        assert parts.pods.get(caller.ref.channel).size.volume_mib == 16, (
            "no more is billed than was asked for"
        )


async def test_prices_that_went_up_do_not_lock_a_pod_out(world, virtual_time):
    async with rebooted(world) as (parts, caller):
        record = parts.pods.get(caller.ref.channel)
        assert record.terms is not None
        life = world.chain.lives[world.owner, caller.ref.channel]
        object.__setattr__(life.channel, "left", 1)  # under the provider's least deposit
        parts.doors.config.terms.__dict__["min_deposit"] = 10**6
        await rotate(world, caller)
        await parts.provisioning_steps.channels.accept(record, channel_of(world, caller))


async def test_a_stopped_pods_grace_goes_on(world, virtual_time):
    world.terms = {"grace_s": 60}
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        await world.chain.unlock(caller.key, world.owner, caller.ref.salt)
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))
    world.keys = BootKeys.generate()
    async with world.run() as (parts, caller.address):
        await until(lambda: in_phase(parts, caller, Phase.AWAITING_KEY))
        world.pass_time(61)
        await until(lambda: in_phase(parts, caller, Phase.GONE))
        assert not world.cluster.lives


async def test_status_while_it_waits(world, virtual_time):
    async with rebooted(world) as (_, caller):
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert (status.phase, status.statement) == ("awaiting-key", None)
        assert status.accrued > 0


def row_of(parts, address):
    """What the owner registers, by hand."""
    config = parts.doors.config
    return RegistryRow(
        owner=parts.doors.owner,
        daemon=config.identity.daemon,
        updated_at=0,
        trust="open",
        region="",
        tee=[],
        chip_digest=bytes(32),
        token=config.market.token,
        prices=config.prices,
        least=config.least,
        profile_digest=hashlib.sha256(b"profile").digest(),
        endpoint=address,
    )


async def test_the_row_follows_the_new_peer_id(world):
    async with world.run() as (parts, address):
        world.chain.give(world.owner, 0)
        await world.chain.register(world.owner_key, row_of(parts, address))
        assert not await mend_registry_row(parts.doors, b"profile", address)
    world.keys = BootKeys.generate()
    async with world.run() as (_, address):
        await until(lambda: world.chain.rows[world.owner, 1].endpoint == address)
    assert world.chain.rows[world.owner, 1].prices == parts.doors.config.prices


# ---- old books -------------------------------------------------------------------------------


async def test_restored_books_are_seen_and_nothing_is_billed_twice(world, virtual_time):
    books = world.tmp_path / "books"
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        await parts.meter.observe()
    sockets = shutil.ignore_patterns("*.sock")
    shutil.copytree(books, world.tmp_path / "copy", ignore=sockets)
    async with world.run() as (parts, caller.address):
        world.pass_time(SERVED_S)
        await admin_json(world.tmp_path / ADMIN_SOCKET, {"verb": "claim"})
        await until(lambda: channel_of(world, caller).up_to > world.now - SERVED_S)
        (life,) = world.cluster.lives.values()
        await world.cluster.scale(life.name, 0)
        await parts.meter.observe()
    old = channel_of(world, caller)
    up_to = old.up_to
    shutil.rmtree(books)
    shutil.copytree(world.tmp_path / "copy", books)
    world.pass_time(WAITING_S)
    async with world.run() as (parts, caller.address):
        await until(lambda: parts.pods.get(caller.ref.channel).generation >= up_to * 1000)
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert "books-behind" in [event.reason for event in status.events]
        await parts.meter.observe()
        book = await book_of(parts, caller)
        assert metering.usage(book, up_to, int(world.now)).cpu_core_ms == 0
        with pytest.raises(Refused) as caught:
            await caller.provision(generation=up_to * 1000 - 1)  # from before the books' end
        assert caught.value.rule == "generation"
        await admin_json(world.tmp_path / ADMIN_SOCKET, {"verb": "claim"})
        await until(lambda: channel_of(world, caller).up_to >= up_to + WAITING_S)
        paid = channel_of(world, caller)
        kept = Usage(0, 0, paid.up_to - up_to, 0, 0)  # its image of 1 MiB, and nothing else
        assert metering.usage(book, up_to, paid.up_to) == kept
        assert old.left - paid.left == due(kept, paid.terms.prices)

# SPDX-License-Identifier: Apache-2.0
"""The whole daemon, spoken to over real libp2p, with chain, cluster and facade in memory."""

import os

import pytest
import trio

from tests.fakes.provider.caller import ASK, Caller, image_of, in_phase, manifest_of, serving, until
from tests.fakes.provider.world import MARKER, World
from trustedpods.protocol import limits
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.bundle import Needs
from trustedpods.protocol.messages.pod import DeleteBody, PodStatus, StatusBody
from trustedpods.protocol.sealing.replies import verify_statement
from trustedpods.protocol.units import Resources, Usage
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.core.pod import Phase


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def test_attestation_is_fresh(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        first, second = await caller.attest(b"a" * 32), await caller.attest(b"b" * 32)
        assert (first.nonce, second.nonce) == (b"a" * 32, b"b" * 32)
        assert first.profile_signature != second.profile_signature
        assert first.binding.boot_id == world.keys.boot_id


async def test_a_pod_from_nothing_to_serving(world):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        needs, steps, signed = await caller.provision()
        assert len(needs.blobs) == 3
        assert steps.index("blobs") < steps.index("import") < steps.index("apply") < steps.index("serving")
        public = world.keys.reply.public_key().public_bytes_raw()
        statement = verify_statement(signed, public)
        (life,) = world.cluster.lives
        record = parts.pods.get(caller.ref.channel)
        assert (statement.namespace, record.phase) == (life, Phase.SERVING)
        assert statement.endpoints[0].url == f"http://{record.label}.k1.test.localhost/"
        assert world.cluster.lives[life].objects["Secret", "keys"]


async def test_nothing_of_a_tenant_is_written(world, tmp_path):
    async with serving(world) as (_, caller):
        await caller.ask("status", StatusBody(), PodStatus)
    layer = caller.blobs[2]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert MARKER.encode() not in data, path
            assert layer not in data, path


async def test_a_second_deploy_of_the_same_changes_nothing(world):
    async with serving(world) as (_parts, caller):
        before = list(world.cluster.calls)
        needs, steps, _ = await caller.provision()
        assert (needs.blobs, steps) == ([], [])
        assert "apply" not in world.cluster.calls[len(before) :]
        assert len(world.cluster.lives) == 1


async def test_an_update_replaces_the_pod_and_keeps_its_channel(world):
    async with serving(world) as (parts, caller):
        (namespace,) = world.cluster.lives
        caller.blobs = image_of(b"second version")
        needs, _, _ = await caller.provision()
        assert len(needs.blobs) == 3
        record = parts.pods.get(caller.ref.channel)
        await until(lambda: list(world.cluster.lives) == [record.namespace])
        assert (record.life, record.previous, record.other) == (namespace, None, None)


async def test_an_update_that_fails_goes_back(world):
    async with serving(world) as (parts, caller):
        (namespace,) = world.cluster.lives
        await until(lambda: world.cluster.lives[namespace].pods)
        old = caller.bundle()
        caller.blobs = image_of(b"broken version")
        world.ready = False
        with pytest.raises(Refused, match="status 500"):
            await caller.provision()
        world.ready = True
        record = await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert parts.bundles.open(record).bundle == old


def scaled(world, since):
    """What was asked of the cluster that a replica feels."""
    return [call for call in world.cluster.calls[since:] if call.startswith(("apply", "scale", "delete"))]


def broken_image(caller):
    """An image whose manifest names other blobs than come with it."""
    blobs = image_of(b"broken version")
    return [blobs[0].replace(b"layers", b"layerz"), *blobs[1:]]


@pytest.mark.parametrize("cause", ["image", "cap", "capacity"])
async def test_an_update_that_fails_before_its_start_touches_nothing(world, cause):
    """Version, scaling and replicas stay as they are, whatever it is that is refused."""
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.pay(peak=Usage(300, 300, 300))
        await caller.provision()
        before = parts.pods.get(caller.ref.channel)
        (life,) = world.cluster.lives.values()
        replicas, since = dict(life.pods), len(world.cluster.calls)
        if cause == "image":
            caller.blobs = broken_image(caller)
        elif cause == "cap":
            caller.manifest = manifest_of(scale={"min": 5, "max": 5})
        else:
            world.cluster.allocatable = Resources(100, 64, 65_536)
            caller.manifest = manifest_of(scale={"min": 9, "max": 9})
        with pytest.raises(Refused):
            await caller.provision()
        record = await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert (record.request, record.size, record.scaling, record.version) == (
            before.request,
            before.size,
            before.scaling,
            1,
        )
        assert scaled(world, since) == []
        assert life.pods == replicas
        assert (await caller.ask("status", StatusBody(), PodStatus)).version == 1


async def test_versions_count_what_was_proven(world):
    async with serving(world) as (parts, caller):
        for marker, good, version in ((b"2", True, 2), (b"3", False, 2), (b"4", False, 2), (b"5", True, 3)):
            caller.blobs = image_of(b"version" + marker)
            world.ready = good
            if good:
                await caller.provision()
            else:
                with pytest.raises(Refused, match="status 500"):
                    await caller.provision()
            world.ready = True
            await until(lambda: in_phase(parts, caller, Phase.SERVING))
            assert (await caller.ask("status", StatusBody(), PodStatus)).version == version


async def test_a_daemon_killed_in_an_update_goes_on_serving_what_was_proven(world):
    """What the facade serves after the start is of the bundle whose replicas run."""
    async with serving(world) as (_, caller):
        proven = caller.bundle()
        caller.manifest = manifest_of(
            services=[{"name": "other", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}]
        )
        caller.blobs = image_of(b"never sent")
        private, request = caller.signed("provision", caller.bundle())
        async with caller.talk(private, request) as (_, reply):
            await reply(Needs)
    async with world.run() as (parts, _):
        record = parts.pods.get(caller.ref.channel)
        assert record.phase is Phase.RECEIVED
        assert parts.bundles.open_stored(record.proven).bundle == proven
        pod_scaler = parts.autoscaler.pod_scaler(caller.ref.channel)
        assert [service.service for service in pod_scaler.published.services.values()] == ["web"]


async def test_an_older_generation_loses(world):
    async with serving(world) as (_, caller):
        caller.blobs = image_of(b"older")
        with pytest.raises(Refused) as caught:
            await caller.provision(generation=0)
        assert caught.value.rule == "generation"


async def test_a_replayed_request_is_refused(world):
    async with serving(world) as (_, caller):
        how = {"nonce": b"x" * 32}
        await caller.ask("status", StatusBody(), PodStatus, **how)
        with pytest.raises(Refused) as caught:
            await caller.ask("status", StatusBody(), PodStatus, **how)
        assert caught.value.rule == "replay"


async def test_a_stranger_sees_and_commands_nothing(world):
    async with serving(world) as (_, caller):
        stranger = Caller(world, caller.address)
        with pytest.raises(Refused) as caught:
            await stranger.ask("status", StatusBody(), PodStatus)
        assert caught.value.rule == "unknown-pod"
        with pytest.raises(Refused) as caught:
            await stranger.ask("delete", DeleteBody(), Done)
        assert caught.value.rule == "unknown-pod"


async def test_a_request_for_another_boot_is_refused_unsealed(world):
    async with serving(world) as (_, caller):
        private, request = caller.signed("status", StatusBody())
        forged = request.model_copy(update={"boot_id": b"z" * 32})
        async with caller.talk(private, forged) as (_, reply):
            with pytest.raises(Refused):
                await reply(PodStatus)


async def test_rubbish_ends_only_its_own_conversation(world):
    async with serving(world) as (_, caller):
        async with caller._stream() as stream:
            await stream.send(b"\xc1 rubbish")
            with pytest.raises(NetworkFailure):
                await stream.receive(timeout=5)
        await caller.ask("status", StatusBody(), PodStatus)


async def test_admission_says_what_is_left_or_why_not(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        left = await caller.ask("admit", ASK, Admitted)
        assert left.capacity.cpu_milli == 7900
        with pytest.raises(Refused, match="9000m wanted, 8000m free"):
            await caller.ask("admit", ASK.model_copy(update={"cpu_milli": 9000}), Admitted)


async def test_a_sealed_pod_is_not_taken_by_an_open_provider(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(trust="sealed")
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "trust"
        assert not world.cluster.lives


async def test_an_interrupted_upload_goes_on_after_a_kill(world):
    chunk = limits.BLOB_CHUNK
    big = os.urandom(20 * chunk)
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.blobs = image_of(big)
        private, request = caller.signed("provision", caller.bundle())
        async with caller.talk(private, request) as (_, reply):
            await reply(Needs)
            ref, data = caller.refs()[2]
            await caller.send_blob(ref, data, stop_after=17)
            await until(lambda: parts.doors.spool.chunks(caller.ref.publisher, ref) >= 16)
    async with world.run() as (parts, address):
        caller.address = address
        needs, _, _ = await caller.provision()
        resumed = {need.blob_id: need.chunks for need in needs.blobs}
        assert resumed[ref.blob_id] >= 16
        assert len(world.cluster.lives) == 1


async def test_a_blob_outside_the_bundle_is_refused(world):
    async with serving(world) as (_, caller):
        caller.blobs = image_of(b"not announced")
        with pytest.raises(Refused) as caught:
            await caller.send_blob(*caller.refs()[2])
        assert caught.value.rule == "blob-unknown"


async def test_a_restart_changes_nothing(world):
    async with serving(world) as (parts, caller):
        await until(lambda: world.facade.pods.get(0))
        record = parts.pods.get(caller.ref.channel)
    before = [call for call in world.cluster.calls if call.startswith(("apply", "scale", "delete"))]
    async with world.run() as (parts, address):
        caller.address = address
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert status.phase == "serving"
        assert parts.pods.get(caller.ref.channel) == record
        await until(lambda: parts.autoscaler.pod_scaler(caller.ref.channel))
    after = [call for call in world.cluster.calls if call.startswith(("apply", "scale", "delete"))]
    assert after == before


async def test_killed_before_the_channel_came(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        private, request = caller.signed("provision", caller.bundle())
        async with caller.talk(private, request) as (_, reply):
            await reply(Needs)
    await caller.pay()
    async with world.run() as (_parts, address):
        caller.address = address
        await caller.provision()
        assert len(world.cluster.lives) == 1


async def test_a_pod_that_crashes_is_removed_and_its_deposit_goes_back(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.world.cluster.failing = _Everything(Diagnosis("CrashLoopBackOff: exit code 1", hopeless=True))
        task = trio.Event()

        async def deploy(errors):
            try:
                await caller.provision()
            except Refused as error:
                errors.append(error)
            task.set()

        errors = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deploy, errors)
            await task.wait()
        assert "CrashLoopBackOff: exit code 1" in errors[0].what
        world.pass_time(10)
        await until(lambda: in_phase(parts, caller, Phase.FAILED))
        assert not world.cluster.lives
        assert not world.registry.manifests
        assert not world.registry.blobs
        assert await world.chain.channel(world.owner, caller.ref.channel) is None
        closed = await world.chain.closed(world.owner, caller.ref.channel)
        assert closed.refund == 10**9
        assert await world.chain.owed(world.owner) == 0


class _Everything(dict):
    """A mapping that holds the same for every key."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def __contains__(self, key):
        return True

    def __getitem__(self, key):
        return self.value

    def get(self, key, default=None):
        return self.value

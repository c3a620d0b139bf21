# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""Requests that were recorded, bent or invented: none commands a pod, and its publisher is served."""

import secrets
import shutil

import pytest
import trio
from eth_account import Account

from tests.fakes.chain.chain import FakeChain
from tests.fakes.provider.caller import Caller, image_of, until
from tests.fakes.provider.world import World
from trustedpods.protocol import limits
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import ErrorReply, SealedReply
from trustedpods.protocol.errors import Refused, RemoteProtocolError
from trustedpods.protocol.ids import PodRef, address_bytes
from trustedpods.protocol.messages.base import Done, Progress
from trustedpods.protocol.messages.bundle import Needs
from trustedpods.protocol.messages.pod import DeleteBody, PodStatus, SignedStatement, StatusBody
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.requests import _typed
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.keys.boot import BootKeys

pytestmark = pytest.mark.live


class Recorded:
    """A request as it passed on the wire, with what only its publisher knows of it."""

    def __init__(self, caller, private, request):
        self.caller, self.private, self.request = caller, private, request

    async def replay(self, *models):
        """Send it again, from another peer."""
        async with self.caller.talk(self.private, self.request) as (_, reply):
            return await reply(*models)


async def recorded_provision(caller):
    """A deploy that succeeded, and its request."""
    private, request = caller.signed("provision", caller.bundle())
    async with caller.talk(private, request) as (_, reply):
        needs, _ = await reply(Needs)
        if await caller.world.chain.channel(caller.world.owner, caller.ref.channel) is None:
            await caller.pay()
        contents = {ref.blob_id: (ref, data) for ref, data in caller.refs()}
        for need in needs.blobs:
            await caller.send_blob(*contents[need.blob_id])
        final = False
        while not final:
            _, final = await reply(SignedStatement, Progress)
    return Recorded(caller, private, request)


async def honest(caller):
    """The publisher of the pod that is attacked is served."""
    status = await caller.ask("status", StatusBody(), PodStatus)
    assert status.phase == "serving"
    return status


async def test_replayed_provision_request(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        recorded = await recorded_provision(caller)
        before = await honest(caller)
        with pytest.raises(Refused) as caught:
            await recorded.replay(Needs)
        assert caught.value.rule == "generation", "not newer than what the pod has: nothing is written for it"
        world.pass_time(limits.REQUEST_LIFETIME_S + limits.CLOCK_SKEW_S + 1)
        with pytest.raises(Refused) as caught:
            await recorded.replay(Needs)
        assert caught.value.rule == "expired"
        assert (await honest(caller)).generation == before.generation


async def test_who_replays_reads_nothing(world):
    """The answer to a replay is sealed to the key of whoever asked first."""
    async with world.run() as (_, address):
        caller = Caller(world, address)
        recorded = await recorded_provision(caller)
        async with caller._stream() as stream:
            await stream.send(encode(recorded.request))
            answer = decode(await stream.receive(timeout=60), SealedReply, ErrorReply)
        assert isinstance(answer, SealedReply)
        with pytest.raises(RemoteProtocolError):
            hpke.PrivateKey.generate().open(answer.sealed, b"")


def _other_channel(request, _attacker):
    return request.model_copy(update={"salt": secrets.token_bytes(32)})


def _other_publisher(request, attacker):
    return request.model_copy(update={"publisher": address_bytes(attacker.ref.publisher)})


def _other_verb(request, _attacker):
    return request.model_copy(update={"verb": "delete"})


def _newer(request, _attacker):
    return request.model_copy(update={"generation": request.generation + 1000})


def _longer(request, _attacker):
    return request.model_copy(update={"expiry": request.expiry + 1, "nonce": secrets.token_bytes(32)})


def _other_reply_key(request, _attacker):
    return request.model_copy(update={"reply_to": hpke.PrivateKey.generate().public_bytes})


def _fresh_nonce(request, _attacker):
    return request.model_copy(update={"nonce": secrets.token_bytes(32)})


BENDS = [_other_channel, _other_publisher, _other_verb, _newer, _longer, _other_reply_key, _fresh_nonce]


async def test_bundle_bent_to_another_channel_verb_or_time(world):
    """Without the publisher's key nothing of a request can be changed."""
    async with world.run() as (_, address):
        caller, attacker = Caller(world, address), Caller(world, address)
        recorded = await recorded_provision(caller)
        for bend in BENDS:
            bent = Recorded(caller, recorded.private, bend(recorded.request, attacker))
            with pytest.raises(Refused) as caught:
                await bent.replay(Needs)
            assert caught.value.rule in ("signer", "signature"), bend.__name__
        await honest(caller)


@pytest.mark.parametrize("to", ["own-channel", "own-name-same-salt"])
async def test_bundle_bent_to_another_publisher(world, to):
    """A thief signs somebody else's sealed bundle for a channel of his own: it does not open as that."""
    async with world.run() as (_, address):
        caller, thief = Caller(world, address), Caller(world, address)
        recorded = await recorded_provision(caller)
        salt = caller.ref.salt if to == "own-name-same-salt" else thief.ref.salt
        thief.ref = PodRef(world.owner, thief.ref.publisher, salt)
        private, own = thief.signed("provision", thief.bundle(), generation=recorded.request.generation)
        stolen = _signed_again(thief, own, recorded.request)
        async with thief.talk(private, stolen) as (_, reply):
            with pytest.raises(Refused) as caught:
                await reply(Needs)
        assert caught.value.rule == "sealed"
        await honest(caller)


def _signed_again(thief, own, victim):
    """The thief's own request with the victim's sealed part in it, signed as it must be."""
    unsigned = own.model_copy(update={"sealed": victim.sealed, "expiry": victim.expiry})
    signed = Account.sign_message(_typed(unsigned, thief.chain_context), thief.key)
    return unsigned.model_copy(update={"signature": bytes(signed.signature)})


class LyingChain(FakeChain):
    """A node that says yes to everything: every channel is open, full, and of whoever asks."""

    invented = None

    async def channels(self, owner, ids):
        found = await super().channels(owner, ids)
        if self.invented is None:
            return found
        return [self.invented if one is None else one for one in found]


async def test_an_invented_owner_on_a_lying_rpc(tmp_path):
    """Who may command a pod is in its first sealed bundle; what a chain node says adds nobody."""
    world = World(tmp_path, chain=LyingChain())
    async with world.run() as (parts, address):
        caller, liar = Caller(world, address), Caller(world, address)
        await caller.provision()
        world.chain.invented = await world.chain.channel(world.owner, caller.ref.channel)
        for verb, body, model in (("delete", DeleteBody(), Done), ("status", StatusBody(), PodStatus)):
            with pytest.raises(Refused) as caught:
                await liar.ask(verb, body, model)
            assert caught.value.rule == "unknown-pod"
            private, request = liar.signed(verb, body)
            claimed = request.model_copy(
                update={"publisher": address_bytes(caller.ref.publisher), "salt": caller.ref.salt}
            )
            async with liar.talk(private, claimed) as (_, reply):
                with pytest.raises(Refused) as caught:
                    await reply(model)
            assert caught.value.rule in ("signer", "signature")
        assert parts.pods.get(caller.ref.channel).commanders == (caller.ref.publisher,)
        await honest(caller)


async def test_commanders_are_pinned_by_the_first_bundle(world):
    """A later bundle that names others changes nobody's rights."""
    async with world.run() as (parts, address):
        caller, other = Caller(world, address), Caller(world, address)
        await caller.provision()
        caller.blobs = image_of(b"second version")
        named = caller.bundle().model_copy(update={"commanders": [address_bytes(other.ref.publisher)]})
        caller.bundle = lambda: named
        await caller.provision()
        assert parts.pods.get(caller.ref.channel).commanders == (caller.ref.publisher,)
        await honest(caller)


def keep(world, saved):
    """The host copies the disk."""
    shutil.copytree(world.tmp_path / "books", saved, ignore=shutil.ignore_patterns("*.sock"))


def set_back(world, saved):
    """The host puts an old disk under the daemon; memory-only storage is as it was."""
    shutil.rmtree(world.tmp_path / "books")
    shutil.copytree(saved, world.tmp_path / "books")


async def test_an_old_bundle_replayed_onto_a_restored_store(world, tmp_path):
    """The old bundle neither runs by itself nor when its request is sent again, within its five minutes."""
    async with world.run() as (_, address):
        caller = Caller(world, address)
        old = await recorded_provision(caller)
    keep(world, tmp_path / "saved")
    async with world.run() as (parts, address):
        caller.address = address
        caller.blobs = image_of(b"the version without the hole")
        await caller.provision()
        newest = parts.pods.get(caller.ref.channel).generation
    set_back(world, tmp_path / "saved")
    async with world.run() as (parts, address):
        caller.address = old.caller.address = address
        record = parts.pods.get(caller.ref.channel)
        assert record.generation < newest
        assert not parts.bundles.held(record)
        await until(lambda: parts.pods.get(caller.ref.channel).phase is Phase.AWAITING_KEY)
        with pytest.raises(Refused) as caught:
            await old.replay(Needs)
        assert caught.value.rule in ("replay", "generation")
        other_nonce = Recorded(caller, *caller.signed("provision", caller.bundle(), generation=newest))
        with pytest.raises(Refused) as caught:
            await other_nonce.replay(Needs)
        assert caught.value.rule == "generation"
        # what ran beside the books that were kept is a life that they do not know: it goes at the next look
        await until(lambda: not any(life.wanted for life in world.cluster.lives.values()))
        await caller.provision(generation=newest + 1)
        await honest(caller)


async def test_an_old_bundle_replayed_onto_an_empty_store(world, tmp_path):
    """Nonces and generations are all forgotten on disk; the marks in memory are not."""
    async with world.run() as (_, address):
        caller = Caller(world, address)
        old = await recorded_provision(caller)
    shutil.rmtree(tmp_path / "books")
    async with world.run() as (parts, address):
        old.caller.address = address
        with pytest.raises(Refused) as caught:
            await old.replay(Needs)
        assert caught.value.rule == "generation"
        assert not await parts.pods.every()


async def test_a_deleted_pod_does_not_come_back_with_an_old_store(world, tmp_path):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        await caller.provision()
    keep(world, tmp_path / "saved")
    async with world.run() as (_, address):
        caller.address = address
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_tick_clock, world)
            await caller.ask("delete", DeleteBody(), Done)
            nursery.cancel_scope.cancel()
    set_back(world, tmp_path / "saved")
    async with world.run() as (parts, _):
        await until(lambda: parts.pods.get(caller.ref.channel).phase is not Phase.SERVING)
        assert not any(world.facade.pods.values())
        assert not any(life.wanted for life in world.cluster.lives.values())


async def _tick_clock(world):
    while True:
        await trio.sleep(0.1)
        world.pass_time(1)


async def test_a_request_for_another_boot(world):
    """After a reboot everything that was recorded is for keys that are gone."""
    async with world.run() as (_, address):
        caller = Caller(world, address)
        old = await recorded_provision(caller)
    world.keys = BootKeys.generate()
    async with world.run() as (_, address):
        old.caller.address = address
        with pytest.raises(Refused) as caught:
            await old.replay(Needs)
        assert caught.value.rule == "boot-id"

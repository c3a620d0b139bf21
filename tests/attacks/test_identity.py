# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""Somebody else answers, or stands in between: he is given a nonce, and nothing of his is believed."""

import secrets

import pytest
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.security.insecure import transport as insecure
from libp2p.security.noise import patterns

from tests.attacks.front import front_of
from tests.attacks.sealed_market import sealed_market
from tests.fakes.provider.caller import ASK
from tests.fakes.provider.world import MARKER
from tests.protocol.net import peers
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import ErrorReply, SealedReply, SignedRequest
from trustedpods.protocol.errors import (
    EvidenceRefused,
    NetworkFailure,
    Refused,
    RemoteProtocolError,
    TrustedPodsError,
)
from trustedpods.protocol.evidence import Attested
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.protocol.sealing import hpke
from trustedpods.publisher.market.session import next_generation

pytestmark = pytest.mark.live


@pytest.fixture
async def market(tmp_path):
    async with sealed_market(tmp_path) as made:
        yield made


async def ask_honestly(market, endpoint=None):
    """An honest publisher attests and is answered."""
    async with market.session(endpoint) as session:
        return await session.ask("admit", session.ref("web"), ASK, next_generation(), Admitted)


def pretending(monkeypatch, real):
    """A plaintext host that shows the public key of *real*, whose private key it does not have."""
    attacker, honest = create_new_key_pair(), insecure.make_exchange_message
    monkeypatch.setattr(insecure, "make_exchange_message", lambda _key: honest(real.public_key))
    security = {insecure.PLAINTEXT_PROTOCOL_ID: insecure.InsecureTransport(attacker)}
    return peers.bare_host(security=security, keys=attacker, listen=True)


async def test_plaintext_downgrade(market, monkeypatch):
    """A fake provider offers plaintext only; py-libp2p's defaults would believe whatever id it shows."""
    real = create_new_key_pair(market.world.keys.libp2p_seed)
    bare = pretending(monkeypatch, real)
    async with bare.run(listen_addrs=[peers.ANY]):
        fake = f"{bare.get_transport_addrs()[0]}/p2p/{ID.from_pubkey(real.public_key)}"
        with pytest.raises(RemoteProtocolError) as caught:
            await ask_honestly(market, fake)
    assert caught.value.rule == "peer-id"
    assert await ask_honestly(market)


async def test_forged_identity(market, monkeypatch):
    """A peer with a Noise key of its own and the provider's public key in its handshake."""
    real, attacker = create_new_key_pair(market.world.keys.libp2p_seed), create_new_key_pair()
    honest = patterns.BasePattern.make_handshake_payload

    def lie(self, *args, **kwargs):
        payload = honest(self, *args, **kwargs)
        if self.local_peer == ID.from_pubkey(attacker.public_key):
            payload.id_pubkey = real.public_key
        return payload

    monkeypatch.setattr(patterns.BasePattern, "make_handshake_payload", lie)
    bare = peers.bare_host(keys=attacker, listen=True)
    async with bare.run(listen_addrs=[peers.ANY]):
        fake = f"{bare.get_transport_addrs()[0]}/p2p/{ID.from_pubkey(real.public_key)}"
        with pytest.raises((RemoteProtocolError, NetworkFailure)):
            await ask_honestly(market, fake)
    assert await ask_honestly(market)


async def test_relay_of_fresh_evidence_under_an_own_identity(market):
    """The front asks the real machine for evidence over the client's own nonce: it binds another peer id."""
    async with front_of(market.address, secrets.token_bytes(32)) as front:
        with pytest.raises(EvidenceRefused) as caught:
            await ask_honestly(market, front.address)
    assert caught.value.rule == "peer-id"
    assert len(front.asked) == 1, "nothing but the nonce was sent"


async def test_relay_by_a_front_that_owns_the_libp2p_key(market):
    """It passes attestation, since it is the attested peer; and then it reads nothing and forges nothing."""
    async with front_of(market.address, market.world.keys.libp2p_seed) as front:
        caller = market.caller()
        caller.address = front.address
        _, _, signed = await caller.provision()
        assert signed.statement not in front.seen, "replies are sealed to the request's own key"
        for secret in (MARKER.encode(), caller.blobs[2][:64], caller.manifest.metadata.name.encode() * 4):
            assert secret not in front.seen
        assert await ask_honestly(market, front.address)


def _resealed(frame):
    """The front answers itself: sealed to the request's public key as it should be, signed by nobody."""
    reply = decode(frame, SealedReply, Attested)
    if isinstance(reply, Attested):
        return frame
    return encode(reply.model_copy(update={"sealed": hpke.seal(_resealed.reply_to, b"forged", b"any")}))


def _unfinished(frame):
    reply = decode(frame, SealedReply, Attested)
    return frame if isinstance(reply, Attested) else encode(reply.model_copy(update={"final": False}))


def _unsealed(frame):
    reply = decode(frame, SealedReply, Attested)
    forged = Admitted(capacity={"cpu_milli": 1, "memory_mib": 1, "storage_mib": 1, "services": {"http": 1}})
    return frame if isinstance(reply, Attested) else encode(forged)


@pytest.mark.parametrize("forge", [_resealed, _unfinished, _unsealed])
async def test_replies_forged_by_a_front_that_owns_the_libp2p_key(market, forge):
    def remember(frame):
        if b"reply_to" in frame:
            _resealed.reply_to = decode(frame, SignedRequest).reply_to
        return frame

    async with front_of(market.address, market.world.keys.libp2p_seed) as front:
        front.bend_asked, front.bend_answered = remember, forge
        with pytest.raises(RemoteProtocolError):
            await ask_honestly(market, front.address)
    assert await ask_honestly(market)


@pytest.mark.parametrize("code", ["evidence", "locked", "funds", "no-context", "store", "refused"])
async def test_an_error_that_nobody_signed_is_a_refusal_and_no_more(market, code):
    """Whatever the front calls it: a client gives notice, or lets money go, on what was signed only."""

    def forge(frame):
        reply = decode(frame, SealedReply, Attested)
        forged = ErrorReply(code=code, what="the front's own words", rule="newer")
        return frame if isinstance(reply, Attested) else encode(forged)

    async with front_of(market.address, market.world.keys.libp2p_seed) as front:
        front.bend_answered = forge
        with pytest.raises(TrustedPodsError, match="the front's own words") as caught:
            await ask_honestly(market, front.address)
    assert type(caught.value) is Refused


async def test_an_answer_to_another_request(market):
    """Replies are bound to their request: the first one's answer is no answer to the second."""
    async with front_of(market.address, market.world.keys.libp2p_seed) as front:
        assert await ask_honestly(market, front.address)
        first = front.answered[-1]
        front.bend_answered = lambda frame: first if b"sequence" in frame else frame
        with pytest.raises(RemoteProtocolError) as caught:
            await ask_honestly(market, front.address)
    assert caught.value.rule == "reply-signature"


@pytest.mark.parametrize(("claims_new_nonce", "rule"), [(False, "nonce"), (True, "profile-signature")])
async def test_replayed_nonce(market, claims_new_nonce, rule):
    """Evidence that was fresh once, to a client with another nonce."""
    async with front_of(market.address, market.world.keys.libp2p_seed) as front:
        assert await ask_honestly(market, front.address)
        old = decode(front.answered[0], Attested)

        def replay(frame):
            fresh = decode(frame, Attested, ErrorReply)
            return encode(old.model_copy(update={"nonce": fresh.nonce}) if claims_new_nonce else old)

        front.bend_answered = replay
        with pytest.raises(EvidenceRefused) as caught:
            await ask_honestly(market, front.address)
    assert caught.value.rule == rule


def _other_key(name, made):
    return lambda frame: _bend_binding(frame, name, made())


def _bend_binding(frame, name, value):
    attested = decode(frame, Attested)
    binding = attested.binding.model_copy(update={name: value})
    return encode(attested.model_copy(update={"binding": binding}))


async def test_swapped_hpke_key(market):
    """The front puts a sealing key of its own where the machine's is: the hardware did not sign that."""
    async with front_of(market.address, market.world.keys.libp2p_seed) as front:
        front.bend_answered = _other_key("hpke_key", lambda: hpke.PrivateKey.generate().public_bytes)
        with pytest.raises(EvidenceRefused) as caught:
            await ask_honestly(market, front.address)
    assert caught.value.rule == "report-data"
    assert len(front.asked) == 1


@pytest.mark.parametrize("name", ["reply_key", "meter", "boot_id", "config_digest", "tls_key_digest"])
async def test_any_other_key_swapped(market, name):
    size = 20 if name == "meter" else 32
    async with front_of(market.address, market.world.keys.libp2p_seed) as front:
        front.bend_answered = _other_key(name, lambda: secrets.token_bytes(size))
        with pytest.raises(EvidenceRefused) as caught:
            await ask_honestly(market, front.address)
    assert caught.value.rule == ("profile-signature" if name == "reply_key" else "report-data")
    assert len(front.asked) == 1

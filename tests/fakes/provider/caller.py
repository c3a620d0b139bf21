# SPDX-License-Identifier: Apache-2.0
"""A publisher who talks to the daemon of `provider_world` over real libp2p, by hand."""

import itertools
import secrets
from contextlib import asynccontextmanager

import trio

from tests.fakes.images.oci_images import CONFIG, LAYER, MANIFEST, ImageFiles
from tests.fakes.provider.world import MARKER, config_of, digest_of
from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.terms import Terms
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol import limits
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import ErrorReply, SealedReply
from trustedpods.protocol.errors import BadInput, error_from_wire
from trustedpods.protocol.evidence import Attested, AttestRequest
from trustedpods.protocol.ids import PodRef, address_bytes
from trustedpods.protocol.images.layers import LayerReader
from trustedpods.protocol.messages.admission import AdmitBody, VolumeAsk
from trustedpods.protocol.messages.base import Progress
from trustedpods.protocol.messages.bundle import (
    BlobAck,
    BlobBody,
    BlobRef,
    Bundle,
    ImageRef,
    LayerRef,
    Needs,
    SecretValue,
)
from trustedpods.protocol.messages.pod import SignedStatement
from trustedpods.protocol.net import open_host
from trustedpods.protocol.protocol_ids import PROVIDER
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.blobs import chunk_count, derive, seal_chunk
from trustedpods.protocol.sealing.outputs import OutputOpener
from trustedpods.protocol.sealing.replies import open_reply
from trustedpods.protocol.sealing.requests import publisher_secret, request_digest, sign_request
from trustedpods.protocol.units import Usage

_numbers = itertools.count(1)

ADMIN_SOCKET = "books/operator.sock"
"""The admin socket, in the folder of a `World`."""


def volume_ask(storage_class, access_mode="ReadWriteOnce"):
    """What is asked for a volume of that class."""
    return VolumeAsk(name="data", mib=1, storage_class=storage_class, access_mode=access_mode, ordinals=False)


ASK = AdmitBody(
    cpu_milli=100,
    memory_mib=64,
    storage_mib=0,
    image_mib=1,
    scratch_mib=256,
    max_replicas=2,
    services={"web": "http"},
    hosts=[],
    volumes=[],
    names=False,
)
"""May such a pod come?"""


PEAK = Usage(1000, 1000, 1000)
"""What a channel's cap is made for, a second."""

PORTS = [{"containerPort": port} for port in (8080, 9090, 7000)]
"""Ports of a container with three services."""


def image_of(marker=b"layer"):
    """Blobs of a small image: manifest, configuration, one layer."""
    files = ImageFiles(layers=(marker + b"." * 100,))
    return [files.manifest, files.config, *files.layers]


def unpacked_bytes(layer):
    """What a node takes for a layer; 0 for what is none."""
    try:
        reader = LayerReader("")
        reader.feed(layer)
        return reader.finish().unpacked
    except BadInput:
        return 0


def manifest_of(**spec):
    """A small manifest of class open; *spec* replaces parts of its spec."""
    made = {
        "containers": [
            {
                "name": "web",
                "image": "oci-archive:x.tar",
                "env": [{"name": "GREETING", "value": MARKER}],
                "ports": [{"containerPort": 8080}],
                "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}},
            }
        ],
        "volumes": [{"name": "keys", "secret": {"files": {"token": "token.txt"}}}],
        "services": [{"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}],
        "scale": {"max": 2, "idleAfter": "5s"},
        "trust": "open",
    }
    return PodManifest.model_validate(
        {"apiVersion": "trustedpods/v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": made | spec}
    )


class Caller:
    """A publisher with one pod: signs, seals, and checks what is answered."""

    def __init__(self, world, address, key=None):
        self.world = world
        self.address = address
        self.key = secrets.token_bytes(32) if key is None else key
        self.secret = publisher_secret(self.key)
        self.ref = PodRef(world.owner, address_of(self.key), secrets.token_bytes(32))
        self.blobs = image_of(b"layer of " + self.key)
        self.manifest = manifest_of()
        self.token = MARKER.encode()
        self.book = None
        world.chain.give(address_of(self.key), 10**12)

    def refs(self):
        """The bundle's blobs, with their contents by id."""
        made = []
        for data in self.blobs:
            blob_id, key = derive(self.secret, digest_of(data))
            kind = (MANIFEST, CONFIG, LAYER)[min(len(made), 2)]
            ref = BlobRef(blob_id=blob_id, key=key, digest=digest_of(data), size=len(data), media_type=kind)
            made.append((ref, data))
        return made

    def layers(self):
        """Of the bundle's image, with what they take on a node."""
        return [LayerRef(digest=digest_of(one), unpacked=unpacked_bytes(one)) for one in self.blobs[2:]]

    def bundle(self):
        return Bundle(
            name="web",
            manifest=self.manifest.model_dump_json(by_alias=True).encode(),
            images=[ImageRef(name="web", blobs=[ref for ref, _ in self.refs()], layers=self.layers())],
            secrets=[SecretValue(name="keys", files={"token": self.token})],
            seeds=[],
            commanders=[address_bytes(self.ref.publisher)],
            book=self.book,
        )

    async def pay(self, amount=10**9, peak=PEAK):
        """Open the pod's channel, with a cap for that *peak* a second."""
        terms = Terms.for_peak(
            config_of(self.world.tmp_path, self.world.chain, self.world.owner).prices,
            peak,
            unlock_s=60,
            claim_interval_s=1000,
        )
        await self.world.chain.open_with_permit(
            self.key, self.ref, self.world.keys.meter_address, terms, amount
        )

    async def attest(self, nonce=b"n" * 32):
        async with self._stream() as stream:
            await stream.send(encode(AttestRequest(nonce=nonce)))
            return decode(await stream.receive(), Attested, ErrorReply)

    @asynccontextmanager
    async def _stream(self):
        async with (
            open_host(None, []) as host,
            host.dial(self.address, 30) as connection,  # also where other work has the processors
            connection.stream(PROVIDER) as stream,
        ):
            yield stream

    def signed(self, verb, body, *, generation=None, key=None, ref=None, nonce=None, private=None):
        private = private or hpke.PrivateKey.generate()
        keys = self.world.keys
        return private, sign_request(
            key or self.key,
            self.chain_context,
            ref or self.ref,
            verb,
            body,
            hpke_key=keys.hpke.public_bytes,
            boot_id=keys.boot_id,
            generation=next(_numbers) if generation is None else generation,
            expiry=int(self.world.now) + limits.REQUEST_LIFETIME_S,
            nonce=nonce or secrets.token_bytes(32),
            reply_to=private.public_bytes,
        )

    @property
    def chain_context(self):
        from trustedpods.protocol.sealing.requests import ChainContext

        return ChainContext(self.world.chain.market.chain_id, self.world.chain.market.payments)

    @asynccontextmanager
    async def talk(self, private, request):
        """A conversation; yields the stream and an iterator step for replies.

        Behind a reply that names a key the others are sealed with that.
        """
        async with self._stream() as stream:
            await stream.send(encode(request))
            digest = request_digest(request, self.chain_context)
            numbers, keyed = itertools.count(), []

            def opened(data):
                if keyed:
                    return keyed[0].open(data)
                message = decode(data, SealedReply, ErrorReply)
                if isinstance(message, ErrorReply):
                    raise error_from_wire(message.code, message.what, None, message.hint, message.rule)
                public = self.world.keys.reply.public_key().public_bytes_raw()
                return open_reply(message, public, private, digest, next(numbers))

            async def reply(*models):
                body, final = opened(await stream.receive(timeout=60))
                answer = decode(body, *models, ErrorReply)
                if (key := getattr(answer, "output_key", None)) is not None:
                    keyed.append(OutputOpener(key, digest))
                if isinstance(answer, ErrorReply):
                    raise error_from_wire(answer.code, answer.what, None, answer.hint, answer.rule)
                return answer, final

            yield stream, reply

    async def ask(self, verb, body, model, **how):
        private, request = self.signed(verb, body, **how)
        async with self.talk(private, request) as (_, reply):
            answer, final = await reply(model)
            assert final
            return answer

    async def send_blob(self, ref, data, *, stop_after=None, ahead=False):
        """Send a blob from where the provider stands; returns the first acknowledged number.

        With *stop_after* chunks, which are more than are acknowledged at once, it goes away after the
        next acknowledgement: what is lost with a connection, and when, is not what such a test asks.
        """
        private, request = self.signed("blob", BlobBody(blob=ref, ahead=ahead))
        async with self.talk(private, request) as (stream, reply):
            ack, final = await reply(BlobAck)
            total, sent = chunk_count(ref.size), 0
            first, last = ack.chunks, ack
            while not final:
                for index in range(ack.chunks + sent, total):
                    if stop_after is not None and index >= stop_after:
                        await reply(BlobAck)
                        return first
                    part = data[index * limits.BLOB_CHUNK : (index + 1) * limits.BLOB_CHUNK]
                    await stream.send(seal_chunk(ref.key, index, total, part))
                    sent += 1
                last, final = await reply(BlobAck)
            return first if total in (first, last.chunks) else None

    async def provision(self, *, pay=True, **how):
        """Deploy: returns the needs, the steps that were told, and the signed statement."""
        private, request = self.signed("provision", self.bundle(), **how)
        steps = []
        async with self.talk(private, request) as (_, reply):
            needs, _ = await reply(Needs)
            if pay and await self.world.chain.channel(self.world.owner, self.ref.channel) is None:
                await self.pay()
            contents = {ref.blob_id: (ref, data) for ref, data in self.refs()}
            for need in needs.blobs:
                await self.send_blob(*contents[need.blob_id])
            while True:
                line, final = await reply(Progress, SignedStatement)
                if final:
                    return needs, steps, line
                steps.append(line.step)


@asynccontextmanager
async def serving(world):
    """A running daemon with one deployed pod."""
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        yield parts, caller


async def until(condition, limit=60.0):
    """Poll until *condition* (a callable, or one that returns an awaitable) holds."""
    with trio.fail_after(limit):
        while True:
            found = condition()
            if hasattr(found, "__await__"):
                found = await found
            if found:
                return found
            await trio.sleep(0.02)


def in_phase(parts, caller, phase):
    record = parts.pods.get(caller.ref.channel)
    return record if record is not None and record.phase is phase else None

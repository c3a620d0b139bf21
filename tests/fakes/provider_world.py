# SPDX-License-Identifier: Apache-2.0
"""The whole daemon over fakes of its doors, and a publisher who talks to it over real libp2p.

Chain, cluster, facade, registry and the clock stand still until a test moves them; store, spool, keys,
network and every task of the daemon are real.
"""

import hashlib
import itertools
import json
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from tests.fakes.chain import FakeChain
from tests.fakes.cluster import FakeCluster
from trustedpods.contracts.terms import Terms
from trustedpods.contracts.typed import address_of
from trustedpods.manifests.model import PodManifest
from trustedpods.protocol import limits
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import Refused, error_from_wire
from trustedpods.protocol.ids import PodRef, address_bytes
from trustedpods.protocol.messages import (
    Attested,
    AttestRequest,
    BlobAck,
    BlobBody,
    BlobRef,
    Bundle,
    ErrorReply,
    ImageRef,
    Needs,
    Progress,
    SealedReply,
    SecretValue,
    SignedStatement,
)
from trustedpods.protocol.net.host import open_host
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.blobs import chunk_count, derive, seal_chunk
from trustedpods.protocol.sealing.replies import open_reply
from trustedpods.protocol.sealing.requests import publisher_secret, request_digest, sign_request
from trustedpods.protocol.units import Usage
from trustedpods.provider.app import daemon
from trustedpods.provider.app.doors import Doors
from trustedpods.provider.blobstore import BlobStore
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.traffic import SlotStats, TrafficMark
from trustedpods.provider.facade.facade import Published, Synced
from trustedpods.provider.facade.probe import ProbeResult
from trustedpods.provider.keys import BootKeys
from trustedpods.provider.store import Vault, open_store
from trustedpods.provider.tee import NoTee

MARKER = "MARKER-4711"
_numbers = itertools.count(1)


@dataclass
class FakeFacade:
    """Slots, hosts and pods as they were last wanted; `counters` are bytes in and out per slot."""

    free_slots: int = 8
    hosts: dict = field(default_factory=dict)
    labels: dict = field(default_factory=dict)
    pods: dict = field(default_factory=dict)
    counters: dict = field(default_factory=dict)

    def slot_of(self, label):
        return self.labels.get(label)

    def label_of(self, slot):
        return next((label for label, at in self.labels.items() if at == slot), None)

    async def sync(self, desired):
        for want in desired.wants:
            await self.publish(want.label, want.hosts)
        return Synced("boot", restarted=False, slots=dict(self.labels), unfinished=())

    async def publish(self, label, hosts):
        if label not in self.labels:
            self.labels[label] = len(self.labels)
            self.free_slots -= 1
        self.hosts[label] = tuple(hosts)
        return Published(self.labels[label], TrafficMark("boot", 0, 0, 0))

    async def withdraw(self, slot):
        label = self.label_of(slot)
        if label is not None:
            del self.labels[label]
            self.free_slots += 1
        self.pods.pop(slot, None)
        return True

    async def set_pods(self, slot, pods, draining=()):
        self.pods[slot] = tuple(pods)

    async def drain(self, slot):
        self.pods[slot] = ()
        return 0

    async def stats(self, wanted=None):
        made = {}
        for slot in wanted or []:
            inn, out = self.counters.get(slot, (0, 0))
            made[slot] = SlotStats("boot", current=0, total=0, bytes_in=inn, bytes_out=out)
        return made


@dataclass
class FakeRegistry:
    """Blobs and manifests by repository and digest, checked as a registry checks them."""

    blobs: dict = field(default_factory=dict)
    manifests: dict = field(default_factory=dict)

    def pull_reference(self, repo, digest):
        return f"127.0.0.1:5000/{repo}@{digest}"

    async def ping(self):
        pass

    async def has_blob(self, repo, digest):
        return (repo, digest) in self.blobs

    async def has_manifest(self, repo, digest):
        return (repo, digest) in self.manifests

    async def push_blob(self, repo, digest, size, chunks):
        data = b"".join([chunk async for chunk in chunks])
        if len(data) != size or _digest(data) != digest:
            raise Refused("not what its digest says", rule="digest")
        self.blobs[repo, digest] = data

    async def push_manifest(self, repo, media_type, data):
        digest = _digest(data)
        self.manifests[repo, digest] = data
        return digest

    async def clear(self, repo):
        for held in (self.blobs, self.manifests):
            for key in [key for key in held if key[0] == repo]:
                del held[key]


def _digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config_of(tmp_path, chain, owner, **terms):
    """A configuration whose every path lies in *tmp_path*."""
    market = chain.market
    return ProviderConfig.model_validate(
        {
            "market": {
                "rpc": "http://fake",
                "chain_id": market.chain_id,
                "payments": market.payments,
                "registry": market.registry,
                "token": market.token,
            },
            "identity": {
                "owner": owner,
                "daemon": 1,
                "operator_key_file": "/nowhere",
                "keys_dir": "/nowhere",
                "tee": "none",
                "trust": "open",
                "domain": "k1.test.localhost",
            },
            "net": {"listen": ["/ip4/127.0.0.1/tcp/0"]},
            "cluster": {"kubeconfig": "/nowhere"},
            "facade": {
                "runtime_socket": "/nowhere",
                "activator_dir": "/nowhere",
                "wake_socket": str(tmp_path / "wake.sock"),
                "map_file": "/nowhere",
                "wake_limit_s": 5,
            },
            "prices": {
                "cpu_core_ms": 1000,
                "memory_mib_s": 100,
                "storage_mib_s": 10,
                "egress_kib": 5,
                "ingress_kib": 5,
                "scale": 70,
            },
            "terms": {"unlock_s": 60, "grace_s": 60, "claim_interval_s": 1000, "start_limit_s": 5, **terms},
            "store": {"path": str(tmp_path / "books" / "store.db"), "spool": str(tmp_path / "spool")},
        }
    )


@dataclass
class World:
    """Everything outside the daemon. It survives `run`, so that a daemon can be killed and restarted."""

    tmp_path: object
    keys: BootKeys = field(default_factory=BootKeys.generate)
    owner_key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    chain: FakeChain = field(default_factory=FakeChain)
    cluster: FakeCluster = field(default_factory=FakeCluster)
    facade: FakeFacade = field(default_factory=FakeFacade)
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    terms: dict = field(default_factory=dict)
    now: float = field(default_factory=lambda: float(int(time.time())))
    ready: bool = True

    def __post_init__(self):
        self.operator_key = secrets.token_bytes(32)
        self.chain.give(address_of(self.operator_key), 0)
        self.pass_time(0)

    @property
    def owner(self):
        return address_of(self.owner_key)

    def pass_time(self, seconds):
        """The clock of chain, cluster and daemon goes on."""
        self.now += seconds
        self.chain.now = int(self.now)
        self.chain.number += 1
        self.cluster.clock = int(self.now)

    async def _until_ready(self, _ip, _probes, _limit):
        await trio.lowlevel.checkpoint()
        return ProbeResult(self.ready, "" if self.ready else "GET / on port 8080: status 500")

    @asynccontextmanager
    async def run(self):
        """The daemon; leaving is as good as a kill, as nothing is said to it."""
        config = config_of(self.tmp_path, self.chain, self.owner, **self.terms)
        vault = Vault(self.keys.hpke.to_bytes())
        async with open_store(self.tmp_path / "books" / "store.db", vault) as store:
            doors = Doors(
                config=config,
                keys=self.keys,
                operator_key=self.operator_key,
                collector=NoTee(),
                store=store,
                blobs=BlobStore(self.tmp_path / "spool", 64),
                chain=self.chain,
                cluster=self.cluster,
                registry=self.registry,
                facade=self.facade,
                until_ready=self._until_ready,
                clock=lambda: self.now,
            )
            parts = daemon.assemble(doors)
            await parts.pods.load()
            async with (
                open_host(self.keys.libp2p_seed, config.net.listen) as host,
                trio.open_nursery() as nursery,
            ):
                await nursery.start(daemon.run_parts, parts, host)
                yield parts, host.addresses[0]
                nursery.cancel_scope.cancel()


def image_of(marker=b"layer"):
    """Blobs of a small image: manifest, configuration, one layer."""
    layer, config = marker + b"." * 100, b'{"architecture":"amd64"}'
    manifest = json.dumps(
        {"config": {"digest": _digest(config)}, "layers": [{"digest": _digest(layer)}]}
    ).encode()
    return [manifest, config, layer]


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

    def __init__(self, world, address):
        self.world = world
        self.address = address
        self.key = secrets.token_bytes(32)
        self.secret = publisher_secret(self.key)
        self.ref = PodRef(world.owner, address_of(self.key), secrets.token_bytes(32))
        self.blobs = image_of(b"layer of " + self.key)
        self.manifest = manifest_of()
        world.chain.give(address_of(self.key), 10**12)

    def refs(self):
        """The bundle's blobs, with their contents by id."""
        made = []
        for data in self.blobs:
            blob_id, key = derive(self.secret, _digest(data))
            ref = BlobRef(blob_id=blob_id, key=key, digest=_digest(data), size=len(data), media_type="x/y")
            made.append((ref, data))
        return made

    def bundle(self):
        return Bundle(
            name="web",
            manifest=self.manifest.model_dump_json(by_alias=True).encode(),
            images=[ImageRef(name="web", blobs=[ref for ref, _ in self.refs()])],
            secrets=[SecretValue(name="keys", files={"token": MARKER.encode()})],
            commanders=[address_bytes(self.ref.publisher)],
        )

    async def pay(self, amount=10**9):
        """Open the pod's channel."""
        terms = Terms.for_peak(
            config_of(self.world.tmp_path, self.world.chain, self.world.owner).prices,
            Usage(1000, 1000, 1000),
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
            host.dial(self.address, 5) as connection,
            connection.stream() as stream,
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
        """A conversation; yields the stream and an iterator step for replies."""
        async with self._stream() as stream:
            await stream.send(encode(request))
            digest = request_digest(request, self.chain_context)
            numbers = itertools.count()

            async def reply(*models):
                message = decode(await stream.receive(timeout=20), SealedReply, ErrorReply)
                if isinstance(message, ErrorReply):
                    raise error_from_wire(message.code, message.what, None, message.hint, message.rule)
                public = self.world.keys.reply.public_key().public_bytes_raw()
                body, final = open_reply(message, public, private, digest, next(numbers))
                answer = decode(body, *models, ErrorReply)
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

    async def send_blob(self, ref, data, *, stop_after=None):
        """Send a blob from where the provider stands; returns the first acknowledged number."""
        private, request = self.signed("blob", BlobBody(blob=ref))
        async with self.talk(private, request) as (stream, reply):
            ack, final = await reply(BlobAck)
            total, sent = chunk_count(ref.size), 0
            first = ack.chunks
            while not final:
                for index in range(ack.chunks + sent, total):
                    if stop_after is not None and index >= stop_after:
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
            if pay and (await self.world.chain.channels(self.world.owner, [self.ref.channel])) == [None]:
                await self.pay()
            contents = {ref.blob_id: (ref, data) for ref, data in self.refs()}
            for need in needs.blobs:
                await self.send_blob(*contents[need.blob_id])
            while True:
                line, final = await reply(Progress, SignedStatement)
                if final:
                    return needs, steps, line
                steps.append(line.step)


async def until(condition, limit=10.0):
    """Poll until *condition* (a callable, or one that returns an awaitable) holds."""
    with trio.fail_after(limit):
        while True:
            found = condition()
            if hasattr(found, "__await__"):
                found = await found
            if found:
                return found
            await trio.sleep(0.02)

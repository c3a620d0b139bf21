# SPDX-License-Identifier: Apache-2.0
"""A provider over real libp2p with simulated evidence and no cluster, for tests of the client.

`faults` names what it does wrong; the rest is as the protocol wants it. `log` lists the verbs and
the first frames that it saw, `chunks` counts what was sent of each blob.
"""

import hashlib
import json
import secrets
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.provider import peer_exec
from trustedpods.contracts.eip712 import Move, address_of
from trustedpods.contracts.records import meter_tag
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol import limits
from trustedpods.protocol.attestation.profile import present
from trustedpods.protocol.attestation.report_data import report_data
from trustedpods.protocol.attestation.simulated import SimulatedRoot, SimulatedSigner
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import ErrorReply, SignedRequest
from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.evidence import AttestRequest, Evidence, KeyBinding
from trustedpods.protocol.ids import address_bytes, address_from_bytes, channel_bytes
from trustedpods.protocol.messages.admission import AdmitBody, Admitted, RenderBody, Rendered
from trustedpods.protocol.messages.base import Done, Progress
from trustedpods.protocol.messages.bundle import BlobAck, BlobBody, BlobNeed, Bundle, Needs
from trustedpods.protocol.messages.pod import DeleteBody, Endpoint, LogLines, PodEvent, PodStatus, Statement
from trustedpods.protocol.messages.provider import Capacity, FiguresRequest, LeastTerms, Prices, Profile
from trustedpods.protocol.messages.rotation import RotateBody
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.protocol.net import open_host
from trustedpods.protocol.protocol_ids import PROVIDER
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.blobs import SEALED_CHUNK_SIZE, chunk_count, open_chunk
from trustedpods.protocol.sealing.replies import sign_statement
from trustedpods.protocol.sealing.requests import ChainContext, open_request
from trustedpods.protocol.units import Resources
from trustedpods.provider.core.placement.nodes import NodePlace
from trustedpods.provider.core.placement.offered import Allowed, ClusterFeatures, capabilities

PRICES = Prices(cpu_core_ms=2000, memory_mib_s=100, storage_mib_s=10, egress_kib=5, ingress_kib=5, scale=80)
POLL_S = 0.01
SLOW_S = 0.25
"""On another continent."""


def make_root(chain):
    """Simulated hardware for the market of *chain*."""
    market = chain.market
    return SimulatedRoot.make(
        market.chain_id, market.registry, market.payments, datetime.now(UTC) - timedelta(1)
    )


class ProviderPeer(peer_exec.PeerStreams):
    def __init__(
        self, chain, root, *, faults=(), trust="sealed", cpu_price=2000, daemon=0, least_deposit=1000
    ):
        self.chain, self.faults, self.trust = chain, set(faults), trust
        self.owner_key = secrets.token_bytes(32)
        self.owner = address_of(self.owner_key)
        chain.gas[self.owner] = 10**18
        self.daemon = daemon
        self.prices = PRICES.model_copy(update={"cpu_core_ms": cpu_price})
        self.least = LeastTerms(deposit=least_deposit, unlock_s=60, idle_mib=0)
        self.signer = SimulatedSigner(root.machine_pem)
        self.hpke = hpke.PrivateKey.generate()
        self.reply_key = Ed25519PrivateKey.generate()
        self.meter = address_of(secrets.token_bytes(32))
        self.boot_id = secrets.token_bytes(32)
        self.seed = secrets.token_bytes(32)
        self.log, self.bundles, self.usage = [], [], UsageReport(leaves=[], open_usage=[0] * 5)
        self.chunks, self.received = {}, {}
        self.statement = None
        self.stop_after_chunks = None
        self.phase, self.runway, self.accrued = "serving", 3600, 5
        self.name, self.restarts, self.generation = "", 0, 1
        self.start_s, self.programs = 0.0, {}
        self.version, self.coming, self.outliving = 0, [], {}
        nodes = {"n1": NodePlace({"zone": "a"}, size=Resources(4000, 8192, 65_536))}
        allowed = Allowed(node_labels=("zone",), names=True, udp=True, node_port=True, load_balancer=True)
        found = ClusterFeatures(nodes, {}, default_class="plain")
        self.capabilities = capabilities(found, allowed)

    def reboot(self):
        """Every key is another one; what was accepted waits. Serve it again afterwards."""
        self.hpke = hpke.PrivateKey.generate()
        self.reply_key = Ed25519PrivateKey.generate()
        self.meter = address_of(secrets.token_bytes(32))
        self.boot_id = secrets.token_bytes(32)
        self.seed = secrets.token_bytes(32)
        self.phase, self.statement = "awaiting-key", None

    @asynccontextmanager
    async def serve(self):
        """Listen and stand in the registry while the block runs."""
        async with open_host(self.seed, ["/ip4/127.0.0.1/tcp/0"]) as host:
            self.host = host
            self.binding = self._binding(host.peer_id)
            self.profile = encode(self._profile(host.addresses))
            host.serve(PROVIDER, self._handle)
            self.row = self._row(host.addresses[0])
            self.chain.rows[self.owner, self.daemon] = self.row
            yield self

    def _binding(self, peer_id):
        return KeyBinding(
            trust=self.trust,
            boot_id=self.boot_id,
            peer_id=b"\x12\x20" + bytes(32) if "other-peer-attested" in self.faults else peer_id,
            hpke_suite=hpke.SUITE_ID,
            hpke_key=self.hpke.public_bytes,
            reply_key=self.reply_key.public_key().public_bytes_raw(),
            meter=address_bytes(self.meter),
            tls_key_digest=bytes(32),
            config_digest=bytes(32),
        )

    def _profile(self, addresses):
        return Profile(
            max_image_mib=1024,
            owner=secrets.token_bytes(20) if "other-owner" in self.faults else address_bytes(self.owner),
            daemon=self.daemon,
            trust=self.trust,
            simulated="denies-simulation" not in self.faults and self.trust == "sealed",
            region="test",
            domain="k1.test.localhost",
            url_suffix="",
            token=address_bytes(self.chain.market.token),
            prices=self.prices,
            least=self.least,
            grace_s=60,
            addresses=addresses,
            capabilities=self.capabilities,
        )

    def _row(self, endpoint):
        prices = self.prices
        if "other-prices-in-row" in self.faults:
            prices = prices.model_copy(update={"cpu_core_ms": 1})
        digest = hashlib.sha256(self.profile).digest()
        return RegistryRow(
            owner=self.owner,
            daemon=self.daemon,
            updated_at=self.chain.now,
            trust=self.trust,
            region="test",
            tee=["sev-snp"],
            chip_digest=bytes(32),
            token=self.chain.market.token,
            prices=prices,
            least=self.least,
            profile_digest=bytes(32) if "other-profile-in-row" in self.faults else digest,
            endpoint=endpoint,
        )

    # ---- conversations ----

    async def _handle(self, stream):
        raw = await stream.receive(limits.MAX_MESSAGE)
        message = decode(raw, AttestRequest, FiguresRequest, SignedRequest)
        if isinstance(message, FiguresRequest):
            await stream.send(encode(peer_exec.signed_figures(self)))
            return
        if isinstance(message, AttestRequest):
            self.log.append("attest")
            await self._attest(stream, message.nonce)
            return
        try:
            request = open_request(
                message,
                chain=ChainContext(self.chain.market.chain_id, self.chain.market.payments),
                owner=self.owner,
                boot_id=self.boot_id,
                hpke=self.hpke,
                now=int(datetime.now(UTC).timestamp()),
            )
        except Refused as error:  # what cannot be opened is answered unsealed
            await stream.send(encode(ErrorReply(code=error.code, what=error.what, rule=error.rule)))
            return
        self.log.append(request.verb)
        answers = peer_exec.Answers(stream, self, request)
        try:
            await getattr(self, "_" + request.verb)(request, answers)
        except NetworkFailure:
            raise
        except TrustedPodsError as error:
            told = {"what": error.what, "where": error.where, "rule": error.rule}
            await answers.send(ErrorReply(code=error.code, **told), final=True)

    async def _attest(self, stream, nonce):
        if "silent" in self.faults:
            await trio.sleep_forever()
        if "slow" in self.faults:
            await trio.sleep(SLOW_S)
        if "hangs-up" in self.faults:
            await stream.reset()
            return
        answered = bytes(32) if "stale-nonce" in self.faults else nonce
        data = report_data(answered, self.binding)
        if "other-report-data" in self.faults:
            data = bytes(64)
        evidence = Evidence(kind="none") if self.trust == "open" else self.signer.sign(data)
        if "forged-report" in self.faults:
            flipped = bytearray(evidence.report)
            flipped[0x90] ^= 1
            evidence = evidence.model_copy(update={"report": bytes(flipped)})
        key = Ed25519PrivateKey.generate() if "profile-by-other-key" in self.faults else self.reply_key
        await stream.send(encode(present(answered, evidence, self.binding, self.profile, key)))

    async def _admit(self, request, answers):
        decode(request.body, AdmitBody)
        if "full" in self.faults:
            raise Refused("cpu: 100m wanted, 0m free", rule="capacity-cpu")
        if "host-taken" in self.faults:
            raise Refused("shop.localhost belongs to another pod", rule="host-taken")
        free = Capacity(cpu_milli=1, memory_mib=1, storage_mib=1, services={})
        await answers.send(Admitted(capacity=free), final=True)

    async def _render(self, request, answers):
        body = decode(request.body, RenderBody)
        self.rendered = body
        made = [{"kind": "Namespace", "metadata": {"name": f"tp-{request.ref.channel:x}"}}]
        text = "nonsense" if "renders-nonsense" in self.faults else json.dumps(made)
        await answers.send(Rendered(objects=text.encode()), final=True)

    async def _rotate(self, request, answers):
        if "will-not-rotate" in self.faults:
            raise Refused("no", rule="old-meter")
        body, ref = decode(request.body, RotateBody), request.ref
        old = address_from_bytes(body.old_meter)
        times = (body.as_of, body.deadline, body.from_, body.up_to)
        move = Move(ref.owner, ref.salt, old, self.meter, *times, body.pay)
        if "pretends-to-rotate" not in self.faults:
            moves = [(ref.publisher, move, body.signature)]
            _, (result,) = await self.chain.rotate(self.owner_key, ref.owner, old, self.meter, moves)
            assert not result.flags, result
        if "dies-after-rotation" in self.faults:
            self.faults.discard("dies-after-rotation")
            await answers.stream.reset()
            raise NetworkFailure("as a test asked")
        await answers.send(Done(text="moved", transaction=secrets.token_bytes(32)), final=True)

    async def _provision(self, request, answers):
        bundle = decode(request.body, Bundle)
        if request.generation <= self.generation:
            raise Refused(f"{request.generation} came after {self.generation}", rule="generation")
        if "full" in self.faults:
            raise Refused("cpu: 100m wanted, 0m free", rule="capacity-cpu")
        self.generation = request.generation
        if self.phase != "serving" or self.statement is None:
            self.phase = "starting"
        self.bundles.append(bundle)
        blobs = {blob.blob_id: blob for image in bundle.images for blob in image.blobs}
        self.wanted = blobs
        needs = [BlobNeed(blob_id=one, chunks=len(self.received.get(one, []))) for one in self._missing()]
        if "asks-too-much" in self.faults:
            needs.append(BlobNeed(blob_id=secrets.token_bytes(32), chunks=0))
        await answers.send(Needs(blobs=needs))
        channel = await self._paid(request)
        while self._missing():
            await trio.sleep(POLL_S)
        await trio.sleep(self.start_s)
        for _ in range(3):
            await answers.send(Progress(step="importing", text="images are here"))
        await self.outcome(request, answers, bundle, channel)

    async def outcome(self, request, answers, bundle, channel):
        if "crashes" in self.faults:
            if not self.version:
                self.phase = "failed"
            elif self.statement is None:  # it was restarted: the version before is not held any more
                self.phase = "awaiting-key"
            if "keeps-money" not in self.faults:
                await self.chain.release(self.owner_key, [request.ref])
            raise Refused("hello: CrashLoopBackOff: exit code 1", rule="start")
        if "hangs-up-late" in self.faults:
            await answers.stream.reset()
            return
        digests = {image.name: image.blobs[0].digest for image in bundle.images}
        if "other-image" in self.faults:
            digests = dict.fromkeys(digests, "sha256:" + "0" * 64)
        statement = Statement(
            channel=channel_bytes(request.ref.channel),
            generation=request.generation,
            namespace="tp-test-1",
            endpoints=[Endpoint(service="web", port=80, url="http://pabc.k1.test.localhost:18080/")],
            images=digests,
            terms=channel.terms.pack(),
            meter=address_bytes(self.meter),
            issued_at=self.chain.now,
        )
        key = Ed25519PrivateKey.generate() if "statement-by-other-key" in self.faults else self.reply_key
        self.statement, self.phase = sign_statement(key, statement), "serving"
        self.version += 1
        await answers.send(self.statement, final=True)

    def _missing(self):
        return [
            one
            for one, blob in self.wanted.items()
            if len(self.received.get(one, [])) < chunk_count(blob.size)
        ]

    async def _paid(self, request):
        while True:
            channel = await self.chain.channel(self.owner, request.ref.channel)
            if channel is not None:
                if channel.unlock_at:
                    raise Refused("an unlock is announced", rule="unlock-announced")
                assert channel.meter_tag == meter_tag(self.meter)
                return channel
            await trio.sleep(POLL_S)

    async def _blob(self, request, answers):
        body = decode(request.body, BlobBody)
        blob = body.blob
        assert body.ahead or self.wanted[blob.blob_id] == blob
        have = self.received.setdefault(blob.blob_id, [])
        total = chunk_count(blob.size)
        await answers.send(BlobAck(chunks=len(have)), final=len(have) == total)
        while len(have) < total:
            sealed = await answers.stream.receive(SEALED_CHUNK_SIZE, 30)
            have.append(open_chunk(blob.key, len(have), total, sealed))
            self.chunks[blob.digest] = self.chunks.get(blob.digest, 0) + 1
            if self.stop_after_chunks is not None and sum(self.chunks.values()) >= self.stop_after_chunks:
                await answers.stream.reset()
                raise NetworkFailure("as a test asked")
            await answers.send(BlobAck(chunks=len(have)), final=len(have) == total)
        assert hashlib.sha256(b"".join(have)).hexdigest() == blob.digest.removeprefix("sha256:")

    async def _status(self, request, answers):
        if "tells-nothing" in self.faults:
            await answers.stream.reset()
            raise NetworkFailure("as a test asked")
        await answers.send(await self._told(request), final=True)

    async def _told(self, request):
        channel = await self.chain.channel(self.owner, request.ref.channel)
        return PodStatus(
            phase=self.coming.pop(0) if self.coming else self.phase,
            version=self.version,
            reason="",
            generation=self.generation,
            **self.running(),
            statement=self.statement,
            deposit=channel.left if channel else 0,
            claimed=0,
            accrued=self.accrued,
            runway_s=self.runway,
            up_to=channel.up_to if channel else 0,
            unlock_at=0,
            services={"web": "http"},
            name=self.name,
            **peer_exec.REPLICA,
            outliving=self.outliving,
            events=[*self.history, PodEvent(at=self.chain.now, reason="Started", text="evil \x1b[2J text")],
        )

    async def _restart(self, request, answers):
        await peer_exec.restart(self, request, answers)

    async def _logs(self, request, answers):
        await answers.send(LogLines(container="hello", data=b"line one\n"))
        await answers.send(LogLines(container="hello", data=b"line two\n"), final=True)

    async def _usage(self, request, answers):
        page = self.usage
        if "small-pages" in self.faults:
            since = decode(request.body, UsageBody).since
            leaves = [leaf for leaf in page.leaves if leaf.up_to > since][:1]
            page = page.model_copy(update={"leaves": leaves})
        await answers.send(page, final=True)

    async def _delete(self, request, answers):
        while "tells-steps-for-ever" in self.faults:
            await answers.send(Progress(step="remove", text="nearly"))
            await trio.sleep(POLL_S)
        if self.outliving and not decode(request.body, DeleteBody).purge:
            self.phase = "retained"
            await answers.send(await self._told(request), final=True)
            return
        if "keeps-money" not in self.faults:
            await self.chain.release(self.owner_key, [request.ref])
        self.phase = "gone"
        if "hangs-up-late" in self.faults:
            await answers.stream.reset()
            return
        await answers.send(Done(text="removed"), final=True)

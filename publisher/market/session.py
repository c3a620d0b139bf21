# SPDX-License-Identifier: Apache-2.0
"""A connection to one provider whose evidence was verified, and the conversations over it.

Nothing but a random nonce leaves this machine before `open_session` has verified the evidence.
After that every request is signed and sealed to the attested key, and every reply is refused
unless the attested machine signed it for exactly this request, or sealed it with a key that it signed so.
"""

import logging
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar, cast

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol import limits
from trustedpods.protocol.codec import decode, encode, unpack
from trustedpods.protocol.envelopes import ErrorReply, SealedReply, SignedRequest
from trustedpods.protocol.errors import Refused, RemoteProtocolError, TrustedPodsError, error_from_wire
from trustedpods.protocol.evidence import Attested, AttestRequest, KeyBinding
from trustedpods.protocol.ids import Address, PodRef, address_from_bytes, pod_salt
from trustedpods.protocol.messages.base import Message
from trustedpods.protocol.messages.provider import (
    DocumentsProfile,
    Figures,
    FiguresRequest,
    Profile,
    SignedFigures,
)
from trustedpods.protocol.messages.verbs import Verb
from trustedpods.protocol.protocol_ids import PROVIDER
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.outputs import MAX_SEALED, OutputOpener
from trustedpods.protocol.sealing.replies import open_reply, verify_figures
from trustedpods.protocol.sealing.requests import ChainContext, request_digest, sign_request
from trustedpods.protocol.sealing.subjects import Subject
from trustedpods.publisher.core.trust import (
    check_chip_against_row,
    check_figures_against_row,
    check_profile_against_row,
    check_unlisted_profile,
)
from trustedpods.publisher.market.timing import Timing
from trustedpods.publisher.results.providers import VerifiedMachine

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy
    from trustedpods.protocol.attestation.verdict import Verdict
    from trustedpods.protocol.net import Connection, FrameStream, Host

M = TypeVar("M", bound=Message)

_asked = logging.getLogger("trustedpods.asked")
"""What is asked of whom, for who wants to see it."""

REPLY_TIMEOUT_S = 60.0
"""Between two replies of a verb that has nothing long to do."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who asks: the address, its key, the secret that names its pods, the market, and how long it waits."""

    address: Address
    key: bytes
    secret: bytes
    chain: ChainContext
    timing: Timing = field(default_factory=Timing)

    def ref(self, owner: Address, daemon: int, name: str) -> PodRef:
        """The pod *name* at one provider."""
        return PodRef(owner, self.address, pod_salt(self.secret, daemon, name))


def next_generation() -> int:
    """A number that grows from request to request without any memory: Unix time in ms."""
    return time.time_ns() // 1_000_000


class Conversation:
    """One request and its replies, with the request's digest. `stream` carries what goes beside them."""

    def __init__(
        self, stream: "FrameStream", reply_key: bytes, private: hpke.PrivateKey, digest: bytes
    ) -> None:
        self.stream = stream
        self._reply_key = reply_key
        self._private = private
        self.digest = digest
        self._sequence = 0
        self._opener: OutputOpener | None = None
        self.finished = False

    async def reply(self, *models: type[M], timeout: float | None = REPLY_TIMEOUT_S) -> M:
        """The next reply, one of *models*; `finished` says whether it was the last.

        Raises the error that the provider reports, `NetworkFailure` when none comes in time, and
        `RemoteProtocolError` when it is not signed, sealed or numbered as it must be.
        """
        most = limits.MAX_MESSAGE if self._opener is None else MAX_SEALED
        body = self._opened(await self.stream.receive(most, timeout))
        answer: Message = decode(body, *models, ErrorReply)
        if isinstance(answer, ErrorReply):
            raise error_from_wire(answer.code, answer.what, answer.where, answer.hint, answer.rule)
        return cast("M", answer)

    def expect_keyed(self, output_key: bytes) -> None:
        """The reply that came last named this key: what follows is sealed with that alone."""
        self._opener = OutputOpener(output_key, self.digest)

    def _opened(self, data: bytes) -> bytes:
        """The coded body of a reply."""
        if self._opener is not None:
            body, self.finished = self._opener.open(data)
            return body
        message = decode(data, SealedReply, ErrorReply)
        if not isinstance(message, SealedReply):
            raise self._unsealed(message)
        body, self.finished = open_reply(message, self._reply_key, self._private, self.digest, self._sequence)
        self._sequence += 1
        return body

    def _unsealed(self, error: Message) -> TrustedPodsError:
        """A request that cannot be opened is answered unsealed; behind a sealed reply nothing is."""
        if self._sequence:
            return RemoteProtocolError("an unsealed error within a sealed conversation", rule="unsealed")
        return _unproven(error)


class DaemonSession:
    """An attested daemon, ready for requests."""

    def __init__(self, connection: "Connection", attested: Attested, publisher: Publisher) -> None:
        self._connection = connection
        self.publisher = publisher
        self.attested = attested

    @property
    def binding(self) -> KeyBinding:
        """The attested keys."""
        return self.attested.binding

    @property
    def last_heard(self) -> float:
        """When anything last came of the daemon, in trio's time."""
        return self._connection.last_heard

    @asynccontextmanager
    async def converse(
        self, verb: Verb, ref: Subject, body: Message, generation: int
    ) -> AsyncIterator[Conversation]:
        """Send one signed, sealed request on a stream of its own, and read its replies."""
        private = hpke.PrivateKey.generate()
        request = self._sign(verb, ref, body, generation, private.public_bytes)
        _asked.debug("provider of %s: %s", ref.owner, verb)
        async with self._connection.stream(PROVIDER) as stream:
            await stream.send(encode(request))
            digest = request_digest(request, self.publisher.chain)
            yield Conversation(stream, self.binding.reply_key, private, digest)

    def _sign(
        self, verb: Verb, ref: Subject, body: Message, generation: int, reply_to: bytes
    ) -> SignedRequest:
        return sign_request(
            self.publisher.key,
            self.publisher.chain,
            ref,
            verb,
            body,
            hpke_key=self.binding.hpke_key,
            boot_id=self.binding.boot_id,
            generation=generation,
            expiry=int(time.time()) + limits.REQUEST_LIFETIME_S,
            nonce=secrets.token_bytes(32),
            reply_to=reply_to,
        )


class Session(DaemonSession):
    """The provider of a row of the registry, attested."""

    def __init__(self, proven: "Proven", publisher: Publisher) -> None:
        super().__init__(proven.connection, proven.attested, publisher)
        self.row = proven.row
        self.profile = proven.profile
        self.verdict = proven.verdict

    @property
    def machine(self) -> VerifiedMachine:
        """What was proved, for results."""
        return VerifiedMachine(self.verdict, self.binding.boot_id, address_from_bytes(self.binding.meter))

    def ref(self, name: str) -> PodRef:
        """The publisher's pod *name* at this provider."""
        return self.publisher.ref(self.row.owner, self.row.daemon, name)

    async def ask(self, verb: Verb, ref: PodRef, body: Message, generation: int, answer: type[M]) -> M:
        """The single reply to a request."""
        async with self.converse(verb, ref, body, generation) as conversation:
            return await conversation.reply(answer)


@dataclass(frozen=True, slots=True)
class Proven:
    """A connection to the provider of a row, with what it proved to be."""

    connection: "Connection"
    row: RegistryRow
    attested: Attested
    profile: Profile
    verdict: "Verdict"


@asynccontextmanager
async def attest_row(
    host: "Host", row: RegistryRow, policy: "Policy", timing: Timing | None = None
) -> AsyncIterator[Proven]:
    """Dial the provider of *row*, verify its evidence against *policy*, and its profile.

    Raises `NetworkFailure` when it does not answer, `EvidenceRefused` naming the check.
    """
    timing = timing or Timing()
    async with host.dial(row.endpoint, timing.dial_s) as connection:
        attested, verdict = await _attest(connection, policy, timing)
        profile = decode(attested.profile, Profile)
        check_profile_against_row(attested, profile, verdict.simulated, row)
        check_chip_against_row(verdict.chip_id, row)
        yield Proven(connection, row, attested, profile, verdict)


@asynccontextmanager
async def open_session(
    host: "Host", publisher: Publisher, row: RegistryRow, policy: "Policy"
) -> AsyncIterator[Session]:
    """The same, ready for *publisher*'s requests."""
    async with attest_row(host, row, policy, publisher.timing) as proven:
        yield Session(proven, publisher)


@asynccontextmanager
async def open_unlisted(
    host: "Host", publisher: Publisher, owner: Address, daemon: int, address: str, policy: "Policy"
) -> AsyncIterator[DaemonSession]:
    """A daemon that stands in no registry: who it must be says the peer id at the end of *address*.

    Raises `NetworkFailure` when it does not answer, `EvidenceRefused` naming the check.
    """
    timing = publisher.timing
    async with host.dial(address, timing.dial_s) as connection:
        attested, verdict = await _attest(connection, policy, timing)
        sells_nothing = unpack(attested.profile).get("kind") == "documents"  # a `Profile` has no kind
        profile: Profile | DocumentsProfile
        if sells_nothing:
            profile = decode(attested.profile, DocumentsProfile)
        else:
            profile = decode(attested.profile, Profile)
        check_unlisted_profile(attested, profile, verdict.simulated, owner, daemon)
        yield DaemonSession(connection, attested, publisher)


async def ask_evidence(connection: "Connection", timing: Timing) -> tuple[bytes, Attested]:
    """A fresh nonce and what the peer answers to it; nothing of it is verified yet."""
    nonce = secrets.token_bytes(32)
    async with connection.stream(PROVIDER) as stream:
        _asked.debug("the peer that was dialled: its evidence")
        await stream.send(encode(AttestRequest(nonce=nonce)))
        data = await stream.receive(limits.MAX_MESSAGE, timing.attest_s)
    answer = decode(data, Attested, ErrorReply)
    if not isinstance(answer, Attested):
        raise _unproven(answer)
    return nonce, answer


async def ask_figures(proven: Proven, timing: Timing | None = None) -> Figures:
    """What the provider says of its own service, signed by the machine that was attested.

    Raises `RemoteProtocolError` (rule "reply-signature") where another key signed it, `EvidenceRefused` where
    it is of another provider, and `Refused` where it tells none, as one of an older version.
    """
    async with proven.connection.stream(PROVIDER) as stream:
        await stream.send(encode(FiguresRequest()))
        data = await stream.receive(limits.MAX_MESSAGE, (timing or Timing()).attest_s)
    answer = decode(data, SignedFigures, ErrorReply)
    if not isinstance(answer, SignedFigures):
        raise _unproven(answer)
    figures = verify_figures(answer, proven.attested.binding.reply_key)
    check_figures_against_row(figures, proven.row)
    return figures


async def _attest(connection: "Connection", policy: "Policy", timing: Timing) -> tuple[Attested, "Verdict"]:
    from trustedpods.protocol.attestation.verdict import verify_evidence  # noqa: PLC0415 - certificates of both vendors

    nonce, answer = await ask_evidence(connection, timing)
    now = datetime.now(UTC)
    verdict = verify_evidence(answer, nonce=nonce, peer_id=connection.remote_peer_id, now=now, policy=policy)
    return answer, verdict


def _unproven(reply: Message) -> TrustedPodsError:
    """What anybody on the way may have said: a refusal, whatever it calls itself, and no ground for more."""
    assert isinstance(reply, ErrorReply)  # the only other model that was decoded
    return Refused(reply.what, where=reply.where, hint=reply.hint, rule=reply.rule)

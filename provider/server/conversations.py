# SPDX-License-Identifier: Apache-2.0
"""From a stream to a verb: bounds, attestation, opening of requests, replay, errors."""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import trio

from trustedpods.protocol import limits
from trustedpods.protocol.attestation.profile import present
from trustedpods.protocol.attestation.report_data import report_data
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import ErrorReply, SignedRequest
from trustedpods.protocol.errors import LocalProtocolError, NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.evidence import AttestRequest, KeyBinding
from trustedpods.protocol.ids import ChannelId, PodRef
from trustedpods.protocol.messages.base import Message
from trustedpods.protocol.messages.networks import MAX_NETWORK_REQUEST
from trustedpods.protocol.messages.provider import FiguresRequest, SignedFigures
from trustedpods.protocol.messages.verbs import Verb
from trustedpods.protocol.net.streams import FrameStream
from trustedpods.protocol.sealing.requests import OpenedRequest, open_request
from trustedpods.provider.doors import SharedDoors
from trustedpods.provider.server.conversation_limits import ConversationLimits
from trustedpods.provider.server.replies import Replies
from trustedpods.provider.server.seen_requests import SeenRequests

_log = logging.getLogger(__name__)

MAX_LISTENING = 256
"""Streams whose first message is still to come; one more pushes out the oldest of the busiest address."""

MAX_PER_PEER = 32
"""Conversations of one peer id; one more is refused."""

CONVERSATION_ROOM = 64 * limits.MIB
"""Of all requests that are being answered. A request is held several times over while it is: as it
came, its ciphertext, its plaintext, and what was decoded of that."""

CONVERSATION_LEAST = 256 * limits.KIB
"""What the smallest conversation counts for, so that there are at most 256."""

MAX_SHORT_REQUEST = 32 * limits.KIB
"""A request of any other verb than these: its sealed part has 1.2 KiB, its reply key another 1.2."""

MAX_BOOK_REQUEST = 512 * limits.KIB + MAX_SHORT_REQUEST
"""Of the most lines that a book may have, each of a kibibyte."""

MAX_REQUEST: dict[Verb, int] = {
    "provision": limits.MAX_MESSAGE,
    "network": MAX_NETWORK_REQUEST,
    "book": MAX_BOOK_REQUEST,
    "render": limits.MAX_MANIFEST_JSON + MAX_BOOK_REQUEST,
}
"""Verbs that bring a bundle, a network's document, an address book, or a manifest with its node's book."""

ENVELOPE_ITEMS = 64
"""Items in a first message, of which the longest has 13; what a request holds is still sealed then."""

FIRST_FRAME_WITHIN_S = 20.0
MAX_ATTESTING = 4
"""Reports that are being made at once: hardware makes them one after another anyway."""

CONVERSATION_LIMIT_S = 24 * 3600.0
"""The longest conversation: an upload over a thin line."""


@dataclass(frozen=True, slots=True)
class Request:
    """One opened request: who asks what, how to answer, and the request as it came."""

    opened: OpenedRequest
    raw: bytes
    replies: Replies


VerbHandler = Callable[[Request], Awaitable[None]]

FirstCheck = Callable[[OpenedRequest, str], None]
"""Refuses a request, which came from an address, by what is in memory: before it costs a write."""

Recall = Callable[[ChannelId], Awaitable[None]]
"""Reads what the books alone know of a pod that ended long ago; of any other it does nothing."""


class Conversations:
    """Serves streams. `handle` is what the host calls for each one."""

    def __init__(
        self,
        doors: SharedDoors,
        binding: KeyBinding,
        profile: bytes,
        handlers: dict[Verb, VerbHandler],
        check_first: FirstCheck,
        recall: Recall | None = None,
        figures: Callable[[], SignedFigures | None] = lambda: None,
    ) -> None:
        self._doors = doors
        self._binding = binding
        self._profile = profile
        self._handlers = handlers
        self._check_first = check_first
        self._recall = recall
        self._figures = figures
        self._attesting = trio.CapacityLimiter(MAX_ATTESTING)
        self._peers: Counter[bytes] = Counter()
        self._listening = ConversationLimits(MAX_LISTENING)
        self._answering = ConversationLimits(CONVERSATION_ROOM)
        self._begun = trio.Event()
        self._seen = SeenRequests(doors)

    def begin(self) -> None:
        """Everything behind the verbs runs: let those in who came before."""
        self._begun.set()

    @property
    def running(self) -> int:
        """Conversations that go on now."""
        return self._peers.total()

    async def handle(self, stream: FrameStream) -> None:
        """One conversation; every error ends it and nothing else."""
        try:
            with self._of_peer(stream.remote_peer_id), trio.fail_after(CONVERSATION_LIMIT_S):
                if not await self._listen_and_answer(stream):
                    await stream.reset()  # somebody else needed the place
        except trio.TooSlowError:
            await stream.reset()
        except NetworkFailure as error:
            _log.debug("conversation ended: %s", error)
            await stream.reset()
        except TrustedPodsError as error:
            await self._say_unsealed(stream, error)

    @contextmanager
    def _of_peer(self, peer: bytes) -> Iterator[None]:
        if self._peers[peer] >= MAX_PER_PEER:
            raise Refused("too many conversations at once", rule="busy", hint="try again in a moment")
        self._peers[peer] += 1
        try:
            yield
        finally:
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]

    async def _listen_and_answer(self, stream: FrameStream) -> bool:
        """True when it came to its end; False when its place went to somebody else."""
        raw = b""
        with self._listening.taken(stream.remote_host, 1) as scope:
            await self._begun.wait()
            raw = await stream.receive(limits.MAX_MESSAGE, FIRST_FRAME_WITHIN_S)
        if scope.cancelled_caught:
            return False
        with self._answering.taken(stream.remote_host, max(len(raw), CONVERSATION_LEAST)) as scope:
            await self._converse(stream, raw)
        return not scope.cancelled_caught

    async def _converse(self, stream: FrameStream, raw: bytes) -> None:
        message: Message = decode(raw, AttestRequest, FiguresRequest, SignedRequest, max_items=ENVELOPE_ITEMS)
        match message:
            case AttestRequest(nonce=nonce):
                await self._attest(stream, nonce)
            case FiguresRequest():
                await self._tell_figures(stream)
            case SignedRequest(verb=verb):
                if len(raw) > MAX_REQUEST.get(verb, MAX_SHORT_REQUEST):
                    raise Refused(f"{len(raw)} bytes are too many for the verb {verb}", rule="request-size")
                await self._serve(stream, raw, message)
            case _:
                raise LocalProtocolError("decode gave what was not asked for")
        await stream.finish()

    async def _say_unsealed(self, stream: FrameStream, error: TrustedPodsError) -> None:
        """Only for requests that could not be opened: whoever asked learns why."""
        try:
            await stream.send(encode(ErrorReply.of(error)))
            await stream.finish()
        except NetworkFailure:
            await stream.reset()

    # ---- attestation ---------------------------------------------------------------------------

    async def _attest(self, stream: FrameStream, nonce: bytes) -> None:
        """Fresh evidence for this nonce."""
        data = report_data(nonce, self._binding)
        evidence = await trio.to_thread.run_sync(self._doors.collector.collect, data, limiter=self._attesting)
        attested = present(nonce, evidence, self._binding, self._profile, self._doors.keys.reply)
        await stream.send(encode(attested))

    async def _tell_figures(self, stream: FrameStream) -> None:
        """What was signed last: bytes that are there already, for whoever asks."""
        signed = self._figures()
        if signed is None:
            raise Refused("this provider tells no figures of its service", rule="no-figures")
        await stream.send(encode(signed))

    # ---- requests ------------------------------------------------------------------------------

    async def _serve(self, stream: FrameStream, raw: bytes, message: SignedRequest) -> None:
        opened = await trio.to_thread.run_sync(self._open, message)
        replies = Replies(stream, self._doors.keys.reply, opened)
        try:
            if self._recall is not None and isinstance(opened.subject, PodRef):
                await self._recall(opened.ref.channel)
            self._check_first(opened, stream.remote_host)
            await self._seen.use(opened)
            handler = self._handlers[opened.verb]
            await handler(Request(opened, raw, replies))
            assert replies.ended
        except NetworkFailure as error:
            await self._answer_trouble(replies, error)
        except TrustedPodsError as error:
            await replies.fail(error)
        except Exception:  # noqa: BLE001 - one conversation must not stop the others
            _log.exception("verb %s failed", opened.verb)
            await replies.fail(TrustedPodsError("the provider failed inside; its log says why"))

    async def _answer_trouble(self, replies: Replies, error: NetworkFailure) -> None:
        """Trouble with the stream itself, or with a door behind it: in the latter case say so."""
        try:
            await replies.fail(error)
        except NetworkFailure:
            await replies.stream.reset()

    def _open(self, message: SignedRequest) -> OpenedRequest:
        """Verify and open; what fails here can only be answered unsealed."""
        try:
            return open_request(
                message,
                chain=self._doors.context,
                owner=self._doors.owner,
                boot_id=self._doors.keys.boot_id,
                hpke=self._doors.keys.hpke,
                now=self._doors.now(),
            )
        except NetworkFailure as error:
            raise Refused(error.what, rule=error.rule, hint=error.hint) from error

# SPDX-License-Identifier: Apache-2.0
"""The operator's door: from a stream of the daemon's port to a verb that may be asked from outside."""

import json
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import trio

from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import ErrorReply
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused, StoreFailure, TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.protocol.images.strict_json import parse_object
from trustedpods.protocol.net.streams import FrameStream
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.admin.remote.allowed import RemoteVerb, allowed, let_out, may_say
from trustedpods.provider.admin.remote.question import (
    MAX_ANSWER,
    MAX_FRAME,
    OperatorAnswer,
    OperatorQuestion,
    addressee,
    check,
)
from trustedpods.provider.admin.socket import AdminVerb
from trustedpods.provider.doors import Doors
from trustedpods.provider.store import history

_log = logging.getLogger(__name__)

MAX_LISTENING = 32
"""Streams whose question is still to come; one more pushes out the oldest of the busiest address."""

FIRST_FRAME_WITHIN_S = 10.0
MOST_A_MINUTE = 120
"""Questions of one key: `top` asks thirty times a minute. Whoever has one key does not use up the other's."""

_MINUTE_S = 60


class Room(Protocol):
    """Who listens to how many at once: `server.conversation_limits`."""

    def taken(self, host: str, weight: int) -> AbstractContextManager[trio.CancelScope]:
        """Hold *weight* for *host* until somebody else needs it."""
        ...


class Pace:
    """So many of each key in each minute of the clock."""

    def __init__(self, most: int) -> None:
        self._most, self._minute = most, 0
        self._counts: Counter[Address] = Counter()

    def one_more(self, key: Address, now: UnixSeconds) -> None:
        """Refused (`busy`) where this minute has had its number of *key*."""
        minute = now // _MINUTE_S
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        if self._counts[key] >= self._most:
            raise Refused(f"more than {self._most} questions in a minute", rule="busy", hint="wait a minute")
        self._counts[key] += 1


class OperatorDoor:
    """Serves streams. `handle` is what the host calls for each one."""

    def __init__(self, doors: Doors, peer_id: bytes, verbs: Mapping[str, AdminVerb], listening: Room) -> None:
        self._doors, self._verbs, self._listening = doors, verbs, listening
        self._me = addressee(doors.config, peer_id)
        self._keys = frozenset({self._me.owner, address_of(doors.operator_key)})
        self._pace = Pace(MOST_A_MINUTE)

    async def handle(self, stream: FrameStream) -> None:
        """One question and its answer; every error ends the stream and nothing else."""
        try:
            with self._listening.taken(stream.remote_host, 1) as scope:
                raw = await stream.receive(MAX_FRAME, FIRST_FRAME_WITHIN_S)
            if scope.cancelled_caught:
                await stream.reset()  # somebody else needed the place
                return
            await stream.send(encode(await self._reply(stream, raw)))
            await stream.finish()
        except NetworkFailure as error:  # among them a frame that is too long: nothing of it is read
            _log.debug("an operator's question ended: %s", error)
            await stream.reset()

    async def _reply(self, stream: FrameStream, raw: bytes) -> OperatorAnswer | ErrorReply:
        try:
            asked = decode(raw, OperatorQuestion)
        except TrustedPodsError as error:
            return ErrorReply.of(error)
        try:
            return await self._answer(stream, asked)
        except TrustedPodsError as error:
            if may_say(error):
                return ErrorReply.of(error)
            _log.warning("an operator's question from outside failed: %s", error)
            return ErrorReply(code=error.code, what="the daemon could not do it; its log says why")
        except Exception:  # noqa: BLE001 - a verb must not stop the daemon
            _log.exception("an operator's verb failed")
            return ErrorReply(code="internal", what="the daemon failed inside; its log says why")

    async def _answer(self, stream: FrameStream, asked: OperatorQuestion) -> OperatorAnswer:
        now = self._doors.now()
        signer = check(asked, stream.remote_peer_id, self._me, self._keys, now)
        self._pace.one_more(signer, now)
        line = asked.question.encode()
        question = parse_object(line, "the question")
        verb = allowed(question)
        await self._use(asked, verb)
        if verb.changes:
            said = "`%s` was asked from outside: from %s, signed by %s"
            _log.warning(said, question["verb"], stream.remote_host, signer)
        answer = await self._verbs[str(question["verb"])](line)
        text = json.dumps(let_out(answer.plain(), verb.told))  # type: ignore[arg-type]
        if len(text) > MAX_ANSWER:
            raise BadInput(f"an answer of more than {MAX_ANSWER} bytes", hint="ask on the machine itself")
        return OperatorAnswer(answer=text)

    async def _use(self, asked: OperatorQuestion, verb: RemoteVerb) -> None:
        """Refused (`replay`) the second time.

        While the books cannot be written nothing is changed from outside; reading goes on, as whoever repeats
        a question is the peer that it was signed for.
        """
        expiry, now = UnixSeconds(asked.expiry), self._doors.now()
        try:
            await self._doors.store.write(history.use_nonce, asked.nonce, expiry, now)
        except StoreFailure:
            if verb.changes:
                raise

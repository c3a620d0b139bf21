# SPDX-License-Identifier: Apache-2.0
"""The operator's door: from a stream of the daemon's port to a verb that may be asked from outside."""

import json
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import trio

from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import ErrorReply
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused, StoreFailure, TrustedPodsError
from trustedpods.protocol.images.strict_json import parse_object
from trustedpods.protocol.messages.base import sendable
from trustedpods.protocol.net.streams import FrameStream
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.admin.remote.allowed import RemoteVerb, allowed, let_out
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
"""Questions that are answered: `top` asks thirty times a minute, and a person less."""

_MINUTE_S = 60


class Room(Protocol):
    """Who listens to how many at once: `server.conversation_limits`."""

    def taken(self, host: str, weight: int) -> AbstractContextManager[trio.CancelScope]:
        """Hold *weight* for *host* until somebody else needs it."""
        ...


class Pace:
    """So many in each minute of the clock."""

    def __init__(self, most: int) -> None:
        self._most, self._minute, self._count = most, 0, 0

    def one_more(self, now: UnixSeconds) -> None:
        """Refused (`busy`) where this minute has had its number."""
        minute = now // _MINUTE_S
        if minute != self._minute:
            self._minute, self._count = minute, 0
        if self._count >= self._most:
            raise Refused(f"more than {self._most} questions in a minute", rule="busy", hint="wait a minute")
        self._count += 1


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
            await stream.send(encode(await self._reply(raw)))
            await stream.finish()
        except NetworkFailure as error:
            _log.debug("an operator's question ended: %s", error)
            await stream.reset()
        except TrustedPodsError as error:  # the frame is none, or too long
            await stream.send(encode(_refusal(error)))
            await stream.finish()

    async def _reply(self, raw: bytes) -> OperatorAnswer | ErrorReply:
        try:
            return await self._answer(decode(raw, OperatorQuestion))
        except TrustedPodsError as error:
            return _refusal(error)
        except Exception:  # noqa: BLE001 - a verb must not stop the daemon
            _log.exception("an operator's verb failed")
            return ErrorReply(code="internal", what="the daemon failed inside; its log says why")

    async def _answer(self, asked: OperatorQuestion) -> OperatorAnswer:
        check(asked, self._me, self._keys, self._doors.now())
        self._pace.one_more(self._doors.now())
        line = asked.question.encode()
        question = parse_object(line, "the question")
        verb = allowed(question)
        await self._use(asked, verb)
        answer = await self._verbs[str(question["verb"])](line)
        text = json.dumps(let_out(answer.plain(), verb.told))  # type: ignore[arg-type]
        if len(text) > MAX_ANSWER:
            raise BadInput(f"an answer of more than {MAX_ANSWER} bytes", hint="ask for a part of the pods")
        return OperatorAnswer(answer=text)

    async def _use(self, asked: OperatorQuestion, verb: RemoteVerb) -> None:
        """Refused (`replay`) the second time.

        While the books cannot be written nothing is changed from outside; reading goes on, and a repeated
        question is answered to nobody but who opened a stream to this peer with the operator's signature.
        """
        expiry, now = UnixSeconds(asked.expiry), self._doors.now()
        try:
            await self._doors.store.write(history.use_nonce, asked.nonce, expiry, now)
        except StoreFailure:
            if verb.changes:
                raise


def _refusal(error: TrustedPodsError) -> ErrorReply:
    return ErrorReply(
        code=error.code,
        what=sendable(error.what),
        where=sendable(error.where) if error.where else None,
        hint=sendable(error.hint) if error.hint else None,
        rule=sendable(error.rule, 500) if error.rule else None,
    )

# SPDX-License-Identifier: Apache-2.0
"""The operator's verbs, over a unix socket that only the daemon's user may open: a JSON line each way.

The command line talks to it; nothing here shows what is in a pod.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from pydantic import BaseModel, JsonValue

from trustedpods.protocol.errors import BadInput, NoContext, TrustedPodsError, error_from_wire
from trustedpods.provider.admin.views import (
    AdminRequest,
    Failure,
    Q,
    R,
    View,
    read_answer,
    read_request,
    verb_of,
)
from trustedpods.provider.unix_socket import open_listener

if TYPE_CHECKING:
    from trio_typing import TaskStatus

_log = logging.getLogger(__name__)

MAX_LINE = 16 * 1024 * 1024
"""Bytes of the longest answer: a list of all pods."""

MAX_QUESTION = 4096
"""Bytes of a question: a reason at its longest, and room to spare."""

ASKED_WITHIN_S = 10.0
"""A question is one short line: whoever takes longer is no command of ours."""

CLAIM_WITHIN_S = 180.0
"""The slowest verb: a claim waits for the chain."""

AdminVerb = Callable[[bytes], Awaitable[View]]
"""Takes the line of a question, refuses what is none, and answers."""


def verb_for(request: type[Q], answer: Callable[[Q], Awaitable[View]]) -> AdminVerb:
    """The verb that reads a *request* and lets *answer* answer it."""

    async def verb(line: bytes) -> View:
        return await answer(read_request(request, line))

    return verb


async def serve_admin(
    path: Path,
    verbs: Mapping[str, AdminVerb],
    *,
    task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer questions for ever."""
    listener = await open_listener(path, backlog=16)

    async def talk(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                await stream.send_all(_encode(await _answer(stream, verbs)))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                _log.info("the operator's command went away")

    async with listener:
        task_status.started()
        await trio.serve_listeners(talk, [listener])


def _encode(answer: View) -> bytes:
    """The only place where an answer becomes JSON."""
    outcome = "error" if isinstance(answer, Failure) else "ok"
    return json.dumps({outcome: answer.plain()}).encode() + b"\n"


async def _answer(stream: trio.SocketStream, verbs: Mapping[str, AdminVerb]) -> View:
    try:
        line = await _question(stream)
        return await _verb(verbs, verb_of(line))(line)
    except TrustedPodsError as error:
        return Failure(code=error.code, what=error.what, where=error.where, hint=error.hint, rule=error.rule)
    except Exception:  # noqa: BLE001 - a verb must not stop the daemon
        _log.exception("an operator's verb failed")
        return Failure(code="internal", what="the daemon failed inside; its log says why")


async def _question(stream: trio.SocketStream) -> bytes:
    try:
        with trio.fail_after(ASKED_WITHIN_S):
            return await _line(stream, MAX_QUESTION)
    except (ValueError, trio.TooSlowError, trio.BrokenResourceError) as error:
        what = f"not a question: {error}" if isinstance(error, ValueError) else "not a question"
        raise BadInput(what) from None


def _verb(verbs: Mapping[str, AdminVerb], name: object) -> AdminVerb:
    verb = verbs.get(name) if isinstance(name, str) else None
    if verb is None:
        raise BadInput(f"no such verb: {name!r}")
    return verb


class _Reply(BaseModel):
    """What the daemon's line holds: an answer, or why there is none."""

    ok: JsonValue = None
    error: Failure | None = None


def _asked(request: AdminRequest) -> bytes:
    """Without what is as usual: a daemon that began before an upgrade knows no newer fields."""
    fields = request.model_dump(mode="json", exclude_defaults=True)
    return json.dumps({**fields, "verb": request.verb}, ensure_ascii=False).encode() + b"\n"


async def ask_daemon(path: Path, request: AdminRequest, answer: type[R], most: int = MAX_LINE) -> R:
    """Ask the running daemon, as the command line does, for at most *most* bytes.

    NoContext when no daemon runs, Refused when what it says is no *answer*, else the daemon's own error.
    """
    try:
        with trio.fail_after(CLAIM_WITHIN_S):
            async with await trio.open_unix_socket(str(path)) as stream:
                await stream.send_all(_asked(request))
                reply = _Reply.model_validate_json(await _line(stream, most))
    except (OSError, trio.BrokenResourceError, trio.TooSlowError, ValueError):
        raise NoContext(
            "the daemon does not answer", where=str(path), hint="is `trustedpods-provider serve` running?"
        ) from None
    if reply.error is not None:
        error = reply.error
        raise error_from_wire(error.code, error.what, error.where, error.hint, error.rule)
    return read_answer(answer, request.verb, reply.ok)


async def _line(stream: trio.SocketStream, limit: int) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        data = await stream.receive_some(65536)
        if not data:
            raise ValueError("the connection ended")
        line += data
        if len(line) > limit:
            raise ValueError(f"a line of more than {limit} bytes")
    return bytes(line)

# SPDX-License-Identifier: Apache-2.0
"""The operator's verbs, over a unix socket that only the daemon's user may open: a JSON line each way.

The command line talks to it; nothing here shows what is in a pod.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from trustedpods.protocol.errors import BadInput, NoContext, TrustedPodsError, error_from_wire
from trustedpods.provider.unix_socket import open_listener

if TYPE_CHECKING:
    from trio_typing import TaskStatus

_log = logging.getLogger(__name__)

MAX_LINE = 16 * 1024 * 1024
"""The longest answer: a list of all pods."""

MAX_QUESTION = 4096
CLAIM_WITHIN_S = 180.0

Answer = dict[str, Any]
AdminVerb = Callable[[Answer], Awaitable[Answer]]


async def serve_admin(
    path: Path,
    verbs: dict[str, AdminVerb],
    *,
    task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer questions for ever."""
    listener = await open_listener(path, backlog=16)

    async def talk(stream: trio.SocketStream) -> None:
        async with stream:
            try:
                await stream.send_all(json.dumps(await _answer(stream, verbs)).encode() + b"\n")
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                _log.info("the operator's command went away")

    async with listener:
        task_status.started()
        await trio.serve_listeners(talk, [listener])


async def _answer(stream: trio.SocketStream, verbs: dict[str, AdminVerb]) -> Answer:
    try:
        with trio.fail_after(10):
            question = json.loads(await _line(stream, MAX_QUESTION))
        return {"ok": await _verb(verbs, question.get("verb"))(question)}
    except TrustedPodsError as error:
        return {
            "error": {
                "code": error.code,
                "what": error.what,
                "where": error.where,
                "hint": error.hint,
                "rule": error.rule,
            }
        }
    except (ValueError, AttributeError, trio.TooSlowError, trio.BrokenResourceError):
        return {"error": {"code": "bad-input", "what": "not a question", "where": None}}
    except Exception:  # noqa: BLE001 - a verb must not stop the daemon
        _log.exception("an operator's verb failed")
        return {"error": {"code": "internal", "what": "the daemon failed inside; its log says why"}}


def _verb(verbs: dict[str, AdminVerb], name: object) -> AdminVerb:
    verb = verbs.get(name) if isinstance(name, str) else None
    if verb is None:
        raise BadInput(f"no such verb: {name!r}")
    return verb


async def ask_daemon(path: Path, question: Answer) -> Answer:
    """The command line's side; NoContext when no daemon runs, else the daemon's own error."""
    try:
        with trio.fail_after(CLAIM_WITHIN_S):
            async with await trio.open_unix_socket(str(path)) as stream:
                await stream.send_all(json.dumps(question).encode() + b"\n")
                reply = json.loads(await _line(stream, MAX_LINE))
    except (OSError, trio.BrokenResourceError, trio.TooSlowError, ValueError):
        raise NoContext(
            "the daemon does not answer", where=str(path), hint="is `trustedpods-provider serve` running?"
        ) from None
    if "error" in reply:
        error = reply["error"]
        raise error_from_wire(
            error["code"], error["what"], error.get("where"), error.get("hint"), error.get("rule")
        )
    found: Answer = reply["ok"]
    return found


async def _line(stream: trio.SocketStream, limit: int) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        data = await stream.receive_some(65536)
        if not data:
            raise ValueError("the connection ended")
        line += data
        if len(line) > limit:
            raise ValueError("a line is too long")
    return bytes(line)

# SPDX-License-Identifier: Apache-2.0
"""How the activator asks the daemon to wake a pod: one JSON line each way over a unix socket.

The activator connects, sends `{"slot": 3}` and waits. The daemon answers with
`{"address": "10.1.2.3", "port": 8080, "pod": 3}` or `{"retryAfter": 5}` and closes: the reason of a refusal
is the publisher's, and stays in the daemon, but for one: `"parked": true` says that he stopped it himself.
A connection that ends without an answer means that the daemon went away: the activator asks again.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from trustedpods.protocol.errors import NetworkFailure, RemoteProtocolError
from trustedpods.provider.unix_socket import open_listener

if TYPE_CHECKING:
    from trio_typing import TaskStatus

MAX_LINE = 4096
MOST_SLOTS = 1 << 16
UNSAID = "the daemon refused"
"""What the activator knows of the reason."""

STANDBY_RETRY_S = 5
"""By then the name may lead to the node that serves."""

ASK_WITHIN_S = 5.0
"""The question must come this soon after the connection."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WakeAddress:
    """The pod is ready here. `pod` is one number for all slots of a pod: they share what it may take."""

    address: str
    port: int
    pod: int | None = None


@dataclass(frozen=True, slots=True)
class WakeRefusal:
    """The pod is not to be had for `retry_after` seconds. `error` says why; the activator never hears it.

    `parked`: its publisher stopped it, and nobody knows for how long.
    """

    error: str
    retry_after: int = 5
    parked: bool = False


WakeAnswer = WakeAddress | WakeRefusal


def ask_line(slot: int) -> bytes:
    """The question."""
    return json.dumps({"slot": slot}).encode() + b"\n"


def parse_ask(line: bytes) -> int:
    """The slot of a question; RemoteProtocolError if it is none."""
    slot = _fields(line).get("slot")
    if not isinstance(slot, int) or isinstance(slot, bool) or not 0 <= slot < MOST_SLOTS:
        raise RemoteProtocolError("a wake request without a slot", where="wake socket")
    return slot


def answer_line(answer: WakeAnswer) -> bytes:
    """The answer."""
    if isinstance(answer, WakeAddress):
        fields: dict[str, object] = {"address": answer.address, "port": answer.port}
        fields |= {} if answer.pod is None else {"pod": answer.pod}
    else:
        fields = {"retryAfter": answer.retry_after}
        fields |= {"parked": True} if answer.parked else {}
    return json.dumps(fields).encode() + b"\n"


def parse_answer(line: bytes) -> WakeAnswer:
    """The answer of a line; RemoteProtocolError if it is none."""
    match _fields(line):
        case {"address": str(address), "port": int(port)} if _is_ip(address) and 0 < port < 1 << 16:
            return WakeAddress(address, port, _pod(_fields(line).get("pod")))
        case {"retryAfter": int(retry_after)} if 0 <= retry_after <= 86400:
            return WakeRefusal(UNSAID, retry_after, parked=_fields(line).get("parked") is True)
    raise RemoteProtocolError("not an answer to a wake request", where="wake socket")


async def ask(path: Path, slot: int) -> WakeAnswer:
    """Ask the daemon for a pod, however long it takes; NetworkFailure if it goes away."""
    try:
        async with await trio.open_unix_socket(str(path)) as stream:
            await stream.send_all(ask_line(slot))
            return parse_answer(await _line(stream))
    except (OSError, trio.BrokenResourceError) as broken:
        raise NetworkFailure(f"the daemon does not answer: {broken}", where=str(path)) from None


async def serve_wakes(
    path: Path,
    answer: Callable[[int], Awaitable[WakeAnswer]],
    *,
    task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """The daemon's side: call *answer* for each question, at once for as many as ask.

    *answer* is cancelled when the activator gives up. It must not raise but for cancellation;
    what it raises is logged and the connection closed, so that the activator asks again.
    """
    listener = await open_listener(path)
    async with listener:
        task_status.started()

        async def talk(stream: trio.SocketStream) -> None:
            async with stream:
                await _converse(stream, answer)

        await trio.serve_listeners(talk, [listener])


async def refuse_wakes(path: Path) -> None:
    """The same of a daemon that stands by: who is held may ask another node. Never returns."""

    async def no(_slot: int) -> WakeAnswer:
        return WakeRefusal("another node's daemon leads", STANDBY_RETRY_S)

    try:
        await serve_wakes(path, no)
    except OSError as error:
        _log.warning("wake socket: nobody is told that this daemon stands by: %s", error)


async def _converse(stream: trio.SocketStream, answer: Callable[[int], Awaitable[WakeAnswer]]) -> None:
    try:
        with trio.fail_after(ASK_WITHIN_S):
            slot = parse_ask(await _line(stream))
    except (NetworkFailure, trio.TooSlowError, trio.BrokenResourceError) as bad:
        _log.warning("wake socket: %s", bad)
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_at_end, stream, nursery.cancel_scope)
        try:
            reply = await answer(slot)
        except Exception:  # noqa: BLE001 - one failed wake-up must not end the others
            _log.exception("wake of slot %d failed", slot)
        else:
            try:
                await stream.send_all(answer_line(reply))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                _log.info("nobody waits for slot %d any more", slot)
        nursery.cancel_scope.cancel()


async def _cancel_at_end(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    with suppress(trio.BrokenResourceError):
        await stream.receive_some(1)
    scope.cancel()


async def _line(stream: trio.SocketStream) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        data = await stream.receive_some(MAX_LINE)
        if not data:
            raise NetworkFailure("the connection ended without an answer", where="wake socket")
        line += data
        if len(line) > MAX_LINE:
            raise RemoteProtocolError("a line is too long", where="wake socket")
    return bytes(line)


def _fields(line: bytes) -> dict[str, object]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise RemoteProtocolError("not a JSON object", where="wake socket")
    return fields


def _pod(number: object) -> int | None:
    return number if isinstance(number, int) and 0 <= number < MOST_SLOTS else None


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True

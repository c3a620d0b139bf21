# SPDX-License-Identifier: Apache-2.0
"""A command in a container, over the API server's `exec` subresource: one WebSocket for each command.

The subprotocol is `v5.channel.k8s.io` (k8s.io/apimachinery, `pkg/util/remotecommand/constants.go`): the
first byte of each binary message names a channel; channel 255 closes the one that its second byte names,
without which a command would never see the end of its input. The error channel carries one `Status`
object when the command has ended.

Nothing is read ahead: what a command writes waits at the node until `receive` is called again.
"""

import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import trio
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError
from wsproto.utilities import RemoteProtocolError as BrokenWebSocket

from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.messages.exec import TerminalSize
from trustedpods.provider.cluster.api import errors, kubeconfig, streams

SUBPROTOCOL = "v5.channel.k8s.io"

_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_OUTPUTS: dict[int, Literal["stdout", "stderr"]] = {_STDOUT: "stdout", _STDERR: "stderr"}

PIECE = 32 * KIB
"""Bytes of input in one message: what the API server itself reads and writes at once."""

MAX_MESSAGE = 1024 * KIB
"""Bytes of one message from the API server, which sends 32 KiB; more is a broken server."""

MAX_STATUS = 64 * KIB
"""Bytes of what is said of a command's end, or of a refusal."""

HANG_UP_WITHIN_S = 2.0
"""Given to telling a command that its terminal is gone: it is told once, and nothing hangs on it."""

_INTERRUPT, _END_OF_TYPING = b"\x03", b"\x04"

_READ = 64 * KIB


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what a command wrote."""

    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True, slots=True)
class Exit:
    """A command's end, with its exit code: 0 to 255, 128 + n after the signal n."""

    code: int


class RunningCommand:
    """A command that was begun. One task may receive while another sends.

    Both raise NetworkFailure when the API server, or the replica with all that runs in it, is gone.
    """

    def __init__(self, stream: trio.abc.Stream, where: str) -> None:
        self._stream = stream
        self._where = where
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._events: deque[ws.Event] = deque()
        self._message = bytearray()
        self._sending = trio.Lock()
        self._whole = True

    async def begin(self, url: httpx.URL, headers: Mapping[str, str]) -> None:
        """Ask for the upgrade; a refusal becomes the error that it is."""
        request = ws.Request(
            host=url.netloc.decode(),
            target=url.raw_path.decode(),
            subprotocols=[SUBPROTOCOL],
            extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        )
        with trio.fail_after(streams.OPEN_TIMEOUT_S):
            await self._write(request)
            answer = await self._event()
            if isinstance(answer, ws.RejectConnection):
                raise _not_begun(answer.status_code, await self._refusal(answer), self._where)
        if not isinstance(answer, ws.AcceptConnection) or answer.subprotocol != SUBPROTOCOL:
            raise RemoteProtocolError(f"does not speak {SUBPROTOCOL}", where=self._where)

    async def _refusal(self, answer: ws.RejectConnection) -> bytes:
        body = bytearray()
        more = answer.has_body
        while more and len(body) < MAX_STATUS:
            piece = await self._event()
            if not isinstance(piece, ws.RejectData):
                break
            body += piece.data
            more = not piece.body_finished
        return bytes(body)

    async def send(self, data: bytes) -> None:
        """Write to the command's input; returns when the API server took it."""
        for start in range(0, len(data), PIECE):
            await self._send(bytes([_STDIN]) + data[start : start + PIECE])

    async def end_input(self) -> None:
        """The command has all of its input now."""
        await self._send(bytes([_CLOSE, _STDIN]))

    async def resize(self, size: TerminalSize) -> None:
        """The terminal's window is so large now."""
        said = json.dumps({"Width": size.columns, "Height": size.rows})
        await self._send(bytes([_RESIZE]) + said.encode())

    async def hang_up(self) -> None:
        """Tell what runs on a terminal that nobody types any more. Never fails.

        Kubernetes has no hang-up: a shell would wait for ever. What is half typed is thrown away, and a
        program that reads lines sees the end; one that reads keys may take both for keys. Where a message was
        broken off in its middle nothing is said: it would be taken for the rest of that message.
        """
        if not self._whole:
            return
        with trio.CancelScope(shield=True), trio.move_on_after(HANG_UP_WITHIN_S):
            try:
                await self.send(_INTERRUPT)
                await self.send(_END_OF_TYPING)
            except TrustedPodsError:
                return

    async def _send(self, message: bytes) -> None:
        try:
            await self._write(ws.BytesMessage(data=message))
        except errors.TRANSPORT as error:
            raise errors.from_transport(error, self._where) from error

    async def receive(self) -> Output | Exit:
        """What the command wrote next, or its end. Refused where it could not be started at all."""
        while True:
            try:
                message = await self._next_message()
            except errors.TRANSPORT as error:
                raise errors.from_transport(error, self._where) from error
            channel = message[0] if message else None
            if channel in _OUTPUTS and len(message) > 1:
                return Output(_OUTPUTS[channel], message[1:])
            if channel == _ERROR and len(message) > 1:
                return _end(message[1 : 1 + MAX_STATUS], self._where)

    async def _next_message(self) -> bytes:
        """Whole binary messages; pings are answered."""
        while True:
            event = await self._event()
            if isinstance(event, ws.Ping):
                await self._write(event.response())
            elif isinstance(event, ws.BytesMessage):
                self._message += event.data
                if len(self._message) > MAX_MESSAGE:
                    raise RemoteProtocolError("a message over all bounds", where=self._where)
                if event.message_finished:
                    message, self._message = bytes(self._message), bytearray()
                    return message
            elif isinstance(event, ws.CloseConnection):
                raise NetworkFailure(
                    "the command's connection ended before the command did",
                    where=self._where,
                    hint="its replica may have ended: `trustedpods status NAME` says so",
                )
            else:
                raise RemoteProtocolError(f"unexpected: {type(event).__name__}", where=self._where)

    async def _event(self) -> ws.Event:
        while not self._events:
            data = await self._stream.receive_some(_READ)
            if not data:
                return ws.CloseConnection(code=CloseReason.ABNORMAL_CLOSURE)
            try:
                self._ws.receive_data(data)
                self._events.extend(self._ws.events())
            except (BrokenWebSocket, LocalProtocolError) as error:
                raise RemoteProtocolError(f"broken WebSocket: {error}", where=self._where) from error
        return self._events.popleft()

    async def _write(self, event: ws.Event) -> None:
        async with self._sending:
            try:
                data = self._ws.send(event)
            except LocalProtocolError as error:
                raise trio.BrokenResourceError from error  # the server closed it meanwhile
            self._whole = False
            await self._stream.send_all(data)
            self._whole = True


_NO_CONTAINER = b"container not found"
"""Of a kubelet whose replica is there, and the container not: it has not begun, or ended (`getExec`)."""


def _not_begun(status: int, body: bytes, where: str) -> TrustedPodsError:
    """Why the upgrade was refused."""
    if status == 500 and _NO_CONTAINER in body:
        return Refused("the command was not started: its container does not run", rule="exec-start")
    return errors.from_answer(status, body, where)


def _end(status: bytes, where: str) -> Exit:
    """What the error channel's `Status` means (k8s.io/apimachinery, `NonZeroExitCodeReason`)."""
    try:
        said = json.loads(status)
        if said["status"] == "Success":
            return Exit(0)
        words = str(said.get("message", ""))
        if said.get("reason") == "NonZeroExitCode":
            causes = said["details"]["causes"]
            return Exit(int(next(one["message"] for one in causes if one["reason"] == "ExitCode")))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise RemoteProtocolError("the end of a command cannot be read", where=where) from error
    raise Refused(f"the command was not started: {words}", rule="exec-start")


@asynccontextmanager
async def open_command(
    access: kubeconfig.Access,
    path: str,
    container: str,
    command: Sequence[str],
    *,
    stdin: bool,
    size: TerminalSize | None = None,
) -> AsyncIterator[RunningCommand]:
    """Run *command* in a container of the Pod at *path*; see `Cluster.exec`.

    On leaving, the connection is closed: a command that still runs sees the end of its input, and what it
    writes from then on is dropped by the node. Kubernetes itself ends no command.
    """
    where = f"kubernetes GET {path}"
    asked: dict[str, Any] = {
        "container": container,
        "stdin": stdin,
        "stdout": True,
        "stderr": size is None,  # a terminal has one output, and Kubernetes refuses two
        **({} if size is None else {"tty": True}),
        "command": list(command),
    }
    url = httpx.URL(access.server + path, params=httpx.QueryParams(asked))
    headers = await access.headers()
    try:
        with trio.fail_after(streams.OPEN_TIMEOUT_S):
            stream = await streams.connect(url, access.tls)
    except errors.TRANSPORT as error:
        raise errors.from_transport(error, where) from error
    try:
        running = RunningCommand(stream, where)
        try:
            await running.begin(url, headers)
        except errors.TRANSPORT as error:
            raise errors.from_transport(error, where) from error
        if size is not None:
            with suppress(NetworkFailure):  # it has ended already: what is read from it says why
                await running.resize(size)
        yield running
    finally:
        await trio.aclose_forcefully(stream)

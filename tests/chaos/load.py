# SPDX-License-Identifier: Apache-2.0
"""Clients of every kind, each a loop of: be quiet for a while, then want something and check it.

Bytes are counted here, at the client's end of the connection, as they are written and read.
"""

import hashlib
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h11
import trio
import wsproto
from wsproto import events as ws

from tests.chaos.verdict import Kind, Request

QUIET_S = (0.0, 7.0)
"""Longer than the pods' idle time about half the time, so that they sleep and wake all along."""

REQUEST_LIMIT_S = 100.0
"""More than the wake limit: a client that hangs is a failure too."""

UPLOAD_BYTES = 2_000_000
DOWNLOAD_PIECES = (50, 200)
"""Pieces of 10,000 bytes, one every 20 ms: one to four seconds, longer than the idle time."""

PIECE_BYTES = 10_000
MESSAGES = (10, 60)
MESSAGE_BYTES = 2_000
MESSAGE_EVERY_S = 0.05


class Wrong(Exception):
    """An answer came, and it was not the right one."""


class Counted:
    """A connection to the facade that counts what passes."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self.sent = 0
        self.received = 0

    async def send(self, data: bytes) -> None:
        self.sent += len(data)
        await self._stream.send_all(data)

    async def receive(self) -> bytes:
        data = bytes(await self._stream.receive_some(65536))
        self.received += len(data)
        return data


@dataclass(frozen=True)
class Target:
    """Where clients find one pod, and what kind of requests it gets."""

    name: str
    kind: Kind
    url: str

    @property
    def address(self) -> tuple[str, int]:
        port = urlsplit(self.url).port
        assert port is not None
        return "127.0.0.1", port

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc


@dataclass
class Load:
    """All clients together, and everything that they saw."""

    targets: list[Target]
    seed: int
    requests: list[Request] = field(default_factory=list)

    async def run(self, until: float) -> None:
        """Want things until the clock says *until*; what was begun by then is finished."""
        async with trio.open_nursery() as nursery:
            for place, target in enumerate(self.targets):
                nursery.start_soon(self._client, target, random.Random(self.seed * 1000 + place), until)

    async def _client(self, target: Target, chance: random.Random, until: float) -> None:
        while monotonic() < until:
            await trio.sleep(chance.uniform(*QUIET_S))
            for _ in range(chance.randint(1, 4)):
                self.requests.append(await once(target, chance))


async def once(target: Target, chance: random.Random) -> Request:
    """One request and how it went; nothing is raised but what is a bug here."""
    began = monotonic()
    connection: Counted | None = None
    error, refused = "", False
    try:
        with trio.fail_after(REQUEST_LIMIT_S):
            async with _connect(target) as connection:
                await _WANTS[target.kind](connection, target, chance)
    except (OSError, trio.BrokenResourceError, trio.TooSlowError, h11.RemoteProtocolError, Wrong) as failure:
        error, refused = f"{type(failure).__name__}: {failure}", connection is None
    except (wsproto.utilities.RemoteProtocolError, h2.exceptions.ProtocolError) as failure:
        error = f"{type(failure).__name__}: {failure}"
    passed = (connection.sent, connection.received) if connection else (0, 0)
    return Request(target.kind, target.name, began, monotonic(), error, refused, *passed)


@asynccontextmanager
async def _connect(target: Target) -> AsyncIterator[Counted]:
    async with await trio.open_tcp_stream(*target.address) as stream:
        yield Counted(stream)


# ---- HTTP/1.1 --------------------------------------------------------------------------------


async def _http(connection: Counted, target: Target, method: str, path: str, body: bytes = b"") -> bytes:
    """One exchange; the whole body of an answer of 200, anything else is wrong."""
    peer = h11.Connection(h11.CLIENT)
    headers = [("Host", target.host), ("Content-Length", str(len(body))), ("Connection", "close")]
    for event in (
        h11.Request(method=method, target=path, headers=headers),
        h11.Data(data=body),
        h11.EndOfMessage(),
    ):
        try:
            await connection.send(peer.send(event) or b"")
        except trio.BrokenResourceError as broken:
            raise Wrong(f"{broken}, and what came was {await _last_words(connection)!r}") from None
    status, received = 0, bytearray()
    while True:
        event = peer.next_event()
        if event is h11.NEED_DATA:
            peer.receive_data(await connection.receive())
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            received += event.data
        elif isinstance(event, h11.EndOfMessage):
            break
        else:
            raise Wrong(f"the connection ended in the middle: {event!r}")
    if status != 200:
        raise Wrong(f"status {status}: {bytes(received[:200])!r}")
    return bytes(received)


async def _last_words(connection: Counted) -> bytes:
    """What the other side had sent before it broke the connection."""
    with suppress(trio.BrokenResourceError):
        return await connection.receive()
    return b""


async def _short(connection: Counted, target: Target, _chance: random.Random) -> None:
    mark = secrets.token_hex(8)
    if f"HTTP/1.1 /{mark}" not in (await _http(connection, target, "GET", f"/{mark}")).decode():
        raise Wrong("somebody else's answer")


async def _upload(connection: Counted, target: Target, chance: random.Random) -> None:
    body = chance.randbytes(UPLOAD_BYTES)
    told = (await _http(connection, target, "POST", "/count", body)).decode()
    if told != f"{len(body)} {hashlib.sha256(body).hexdigest()}":
        raise Wrong(f"the pod received {told}")


async def _download(connection: Counted, target: Target, chance: random.Random) -> None:
    pieces = chance.randint(*DOWNLOAD_PIECES)
    body = await _http(connection, target, "GET", f"/slow/{pieces}")
    if body != b"".join(bytes([place % 256]) * PIECE_BYTES for place in range(pieces)):
        raise Wrong(f"{len(body)} bytes of {pieces * PIECE_BYTES}, or others")


# ---- WebSocket -------------------------------------------------------------------------------


async def _websocket(connection: Counted, target: Target, chance: random.Random) -> None:
    peer = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    await connection.send(peer.send(ws.Request(host=target.host, target="/ws")))
    await _expect(connection, peer, ws.AcceptConnection)
    for _ in range(chance.randint(*MESSAGES)):
        message = chance.randbytes(MESSAGE_BYTES)
        await connection.send(peer.send(ws.BytesMessage(data=message)))
        echoed = b""
        while len(echoed) < len(message):
            event = await _expect(connection, peer, ws.BytesMessage)
            assert isinstance(event, ws.BytesMessage)
            echoed += event.data
        if echoed != message:
            raise Wrong("another message came back")
        await trio.sleep(MESSAGE_EVERY_S)
    await connection.send(peer.send(ws.CloseConnection(code=1000)))
    await _expect(connection, peer, ws.CloseConnection)


async def _expect(connection: Counted, peer: wsproto.WSConnection, kind: type[ws.Event]) -> ws.Event:
    while True:
        for event in peer.events():
            if isinstance(event, kind):
                return event
            raise Wrong(f"{event!r} instead of {kind.__name__}")
        data = await connection.receive()
        if not data:
            raise Wrong("the connection ended in the middle")
        peer.receive_data(data)


# ---- gRPC and TCP ----------------------------------------------------------------------------


class _Grpc:
    """One gRPC call over HTTP/2 without TLS: length-prefixed messages each way, trailers at the end."""

    def __init__(self, connection: Counted, target: Target) -> None:
        self._connection = connection
        self._peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self._peer.initiate_connection()
        names = (
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/echo.Echo/Say"),
            (":authority", target.host),
        )
        self._call = self._peer.get_next_available_stream_id()
        self._peer.send_headers(
            self._call, [*names, ("content-type", "application/grpc"), ("te", "trailers")], end_stream=False
        )
        self.body = bytearray()
        self.status: str | None = None
        self.grpc_status: str | None = None
        self.over = False

    async def say(self, message: bytes) -> None:
        """Send one message and wait for the same to come back."""
        framed = b"\0" + len(message).to_bytes(4, "big") + message
        self._peer.send_data(self._call, framed)
        before = len(self.body)
        while len(self.body) < before + len(framed) and not self.over:
            await self._move()
        if self.body[before:] != framed:
            raise Wrong(f"another message came back; status {self.status}")

    async def end(self) -> None:
        """Half-close, and read the trailers."""
        self._peer.end_stream(self._call)
        while not self.over:
            await self._move()
        if (self.status, self.grpc_status) != ("200", "0"):
            raise Wrong(f"status {self.status}, grpc-status {self.grpc_status}")

    async def _move(self) -> None:
        if due := self._peer.data_to_send():
            await self._connection.send(due)
        data = await self._connection.receive()
        if not data:
            raise Wrong("the connection ended in the middle")
        for event in self._peer.receive_data(data):
            self._take(event)
        if due := self._peer.data_to_send():
            await self._connection.send(due)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived):
            self.body += event.data
            self._peer.acknowledge_received_data(event.flow_controlled_length, self._call)
        elif isinstance(event, h2.events.ResponseReceived):
            self.status = _field(event.headers, ":status")
        elif isinstance(event, h2.events.TrailersReceived):
            self.grpc_status = _field(event.headers, "grpc-status")
        elif isinstance(event, h2.events.StreamEnded):
            self.over = True
        elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
            raise Wrong(f"{event!r}; status {self.status}")


def _field(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    return next((value.decode() for key, value in headers if key == name.encode()), None)


async def _grpc(connection: Counted, target: Target, chance: random.Random) -> None:
    call = _Grpc(connection, target)
    for _ in range(chance.randint(*MESSAGES)):
        await call.say(chance.randbytes(MESSAGE_BYTES))
        await trio.sleep(MESSAGE_EVERY_S)
    await call.end()


async def _tcp(connection: Counted, _target: Target, chance: random.Random) -> None:
    for _ in range(chance.randint(*MESSAGES)):
        message = chance.randbytes(MESSAGE_BYTES)
        await connection.send(message)
        echoed = b""
        while len(echoed) < len(message):
            data = await connection.receive()
            if not data:
                raise Wrong("the connection ended in the middle")
            echoed += data
        if echoed != message:
            raise Wrong("other bytes came back")
        await trio.sleep(MESSAGE_EVERY_S)


_WANTS: dict[Kind, Callable[[Counted, Target, random.Random], Awaitable[None]]] = {
    "short": _short,
    "upload": _upload,
    "download": _download,
    "websocket": _websocket,
    "grpc": _grpc,
    "tcp": _tcp,
}

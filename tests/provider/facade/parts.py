# SPDX-License-Identifier: Apache-2.0
"""Real parts for live tests: HAProxy, the activator's process, and tiny pods on loopback."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.core.traffic import PodAddress
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeAnswer, WakeRefusal
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.haproxy.config import SHARED_POOLS, Bind, FacadeConfig, FacadeLimits
from trustedpods.provider.facade.haproxy.files import install
from trustedpods.provider.facade.haproxy.runtime import Runtime
from trustedpods.provider.facade.pools import Pools

HOST = "pabc.k1.test.localhost"


HAPROXY = "/usr/sbin/haproxy"
WAIT_S = 60
POOLS = Pools(4, 2, 2)


async def until(true: Callable[[], Awaitable[bool]], what: str) -> None:
    """Poll until *true*; fails with *what* after a while."""
    with trio.move_on_after(WAIT_S):
        while not await true():
            await trio.sleep(0.02)
        return
    raise AssertionError(f"not within {WAIT_S} s: {what}")


async def listens(*ports: int) -> bool:
    """Whether each of these ports of loopback takes a connection."""
    try:
        for port in ports:
            await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
    except OSError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        first = free_port()
        try:
            for port in range(first + 1, first + count):
                with socket.socket() as sock:
                    sock.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            continue
        return first


@dataclass
class Process:
    """A child process; ended by its pid only."""

    args: list[str]
    log: Path
    popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(self.args, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    @property
    def pid(self) -> int:
        assert self.popen is not None
        return self.popen.pid

    async def end(self, number: int = signal.SIGTERM) -> int:
        assert self.popen is not None
        if self.popen.poll() is None:
            os.kill(self.popen.pid, number)
        return await trio.to_thread.run_sync(self.popen.wait)


@dataclass
class Pod:
    """A tiny HTTP server; counts connections, and can be told to be slow, or to answer any path alike."""

    name: str
    port: int = field(default_factory=free_port)
    served: int = 0
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    hold: trio.Event = field(default_factory=trio.Event)
    heads: list[bytes] = field(default_factory=list)
    on_any: bool = False

    @property
    def address(self) -> PodAddress:
        return PodAddress(self.name, "127.0.0.1", self.port)

    async def run(self, *, task_status=trio.TASK_STATUS_IGNORED) -> None:
        self.scope = trio.CancelScope()
        with self.scope:
            await trio.serve_tcp(self._serve, self.port, host="127.0.0.1", task_status=task_status)

    async def _serve(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await self._talk(stream)

    async def _talk(self, stream: trio.SocketStream) -> None:
        head = bytearray()
        while b"\r\n\r\n" not in head:
            data = await stream.receive_some(65536)
            if not data:
                return
            head += data
        self.served += 1
        text, rest = bytes(head).split(b"\r\n\r\n", 1)
        self.heads.append(text)
        method, path, _ = text.split(b"\r\n")[0].split(b" ")
        if self.on_any:
            await self.on_(stream, method, path, rest)
            return
        await getattr(self, "on_" + path.decode().strip("/").split("/")[0])(stream, method, path, rest)

    async def on_(self, stream, method, path, rest) -> None:
        await reply(stream, self.name.encode())

    async def on_keep(self, stream, method, path, rest) -> None:
        """Answers as many requests as come on this connection."""
        while True:
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkeep")
            if not await stream.receive_some(65536):
                return

    async def on_hold(self, stream, method, path, rest) -> None:
        await self.hold.wait()
        await reply(stream, b"held by " + self.name.encode())

    async def on_close(self, stream, method, path, rest) -> None:
        await stream.aclose()

    async def on_count(self, stream, method, path, rest) -> None:
        """Reads a body with Content-Length and says how long it was."""
        wanted = int(path.split(b"/")[2])
        got = len(rest)
        while got < wanted:
            got += len(await stream.receive_some(65536))
        await reply(stream, str(got).encode())

    async def on_slow(self, stream, method, path, rest) -> None:
        """/slow/N: N pieces of 10 kB, 20 ms apart."""
        pieces = int(path.split(b"/")[2])
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (pieces * 10_000))
        for index in range(pieces):
            await stream.send_all(bytes([index % 256]) * 10_000)
            await trio.sleep(0.02)

    async def on_bulk(self, stream, method, path, rest) -> None:
        """/bulk/N: N MB at once."""
        size = int(path.split(b"/")[2]) * 1_000_000
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        piece = b"x" * 1_000_000
        for _ in range(size // len(piece)):
            await stream.send_all(piece)

    async def on_ws(self, stream, method, path, rest) -> None:
        """Upgrade, then echo until the other side has ended."""
        await stream.send_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n" + rest
        )
        async for data in stream:
            await stream.send_all(data)
        await stream.send_all(b"bye")
        await stream.send_eof()


async def reply(stream: trio.SocketStream, body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    await stream.send_all(head + body)
    await stream.aclose()


@dataclass
class Response:
    status: int
    head: str
    body: bytes


async def get(
    port: int, host: str, path: str = "/", *, body: bytes | None = None, head: str = ""
) -> Response:
    """One request on a connection of its own."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        if body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        verb = "GET" if body is None else "POST"
        text = f"{verb} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{head}\r\n"
        await stream.send_all(text.encode() + (body or b""))
        return parse(await everything(stream))


async def everything(stream: trio.SocketStream) -> bytes:
    data = bytearray()
    async for piece in stream:
        data += piece
    return bytes(data)


def parse(answer: bytes) -> Response:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), answer[:200]
    return Response(int(head.split(b" ")[1]), head.decode().lower(), body)


@dataclass
class LiveFacade:
    """A facade with its processes; everything lies in `home`."""

    home: Path
    config: FacadeConfig
    port: int
    haproxy: Process
    activator: Process
    facade: Facade
    runtime: Runtime

    @property
    def wake_socket(self) -> Path:
        return self.home / "wake.sock"

    async def start_haproxy(self) -> None:
        self.haproxy.start()

        async def answers() -> bool:
            try:
                boot = await self.runtime.boot()
            except NetworkFailure:
                return False
            return boot.split(".")[0] == str(self.haproxy.pid)

        await until(answers, "HAProxy answers")

    async def start_activator(self) -> None:
        self.activator.log.unlink(missing_ok=True)
        self.activator.start()
        await self.activator_ready()

    async def activator_ready(self) -> None:
        async def ready() -> bool:
            return "ready" in self.activator.log.read_text()

        await until(ready, "the activator listens")


@asynccontextmanager
async def live_facade(
    home: Path,
    *,
    pools: Pools = POOLS,
    limits: FacadeLimits | None = None,
    tls: bool = False,
    challenges: bool = False,
    activator_args: tuple[str, ...] = (),
) -> AsyncIterator[LiveFacade]:
    """HAProxy and the activator on a port of their own, ended at the end."""
    port = free_port()
    config = FacadeConfig(
        binds=(Bind(f"127.0.0.1:{port}"),),
        pools=pools,
        tcp_binds=(Bind(f"127.0.0.1:{free_ports(pools.tcp)}"),),
        tls_binds=(Bind(f"127.0.0.1:{free_port()}"),) if tls else (),
        tls_dir=home / "tls" if tls else None,
        runtime_socket=home / "haproxy.sock",
        map_file=home / "hosts.map",
        activator_dir=home,
        pages_dir=home,
        threads=1,
        limits=limits or FacadeLimits(),
        challenges=challenges,
    )
    install(config, home / "haproxy.cfg")
    runtime = Runtime(config.runtime_socket)
    args = ["--sockets", str(home), "--wake-socket", str(home / "wake.sock")]
    args += ["--slots", str(pools.http), "--h2-slots", str(pools.h2), "--tcp-slots", str(pools.tcp)]
    live = LiveFacade(
        home,
        config,
        port,
        Process([HAPROXY, "-db", SHARED_POOLS, "-f", str(home / "haproxy.cfg")], home / "haproxy.log"),
        Process(
            [sys.executable, "-m", "trustedpods.provider.facade.activator.activator", *args, *activator_args],
            home / "activator.log",
        ),
        Facade(runtime, map_file=config.map_file, pools=pools, tls_dir=config.tls_dir),
        runtime,
    )
    try:
        live.activator.start()
        await live.start_haproxy()
        await live.activator_ready()
        yield live
    finally:
        with trio.CancelScope(shield=True):
            for process in (live.haproxy, live.activator):
                if process.popen is not None:
                    await process.end(signal.SIGKILL)


class Daemon:
    """The part of the daemon that answers wake-ups: starts the pod, then says where it is."""

    def __init__(self, pod: Pod, nursery: trio.Nursery, *, delay: float = 0.0) -> None:
        self.pod, self.nursery, self.delay = pod, nursery, delay
        self.asked: list[int] = []
        self.refusal: WakeRefusal | None = None
        self.started = False

    async def answer(self, slot: int) -> WakeAnswer:
        self.asked.append(slot)
        await trio.sleep(self.delay)
        if self.refusal:
            return self.refusal
        if not self.started:
            self.started = True
            await self.nursery.start(self.pod.run)
        return WakeAddress("127.0.0.1", self.pod.port)


async def cleared(live: LiveFacade, slot: int) -> bool:
    """Whether the slot's servers are gone; the last connection may take a moment to end."""
    await live.facade.set_pods(slot, [])
    return await live.runtime.servers() == ()

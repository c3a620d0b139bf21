# SPDX-License-Identifier: Apache-2.0
"""How fast a forwarded port is: bytes through `port-forward` beside a bare py-libp2p stream, in one run.

    python -m tests.bench.streams.forwarded [MiB] [rounds]

Prints MB (10^6 bytes) of each by second of CPU, rounds in turn, and the median of the rounds' ratios: what
else runs on the machine slows both of a round. Both ends are in this one process, so that its CPU is that of
both. "Bare" is that of `net_throughput`. "Sent" goes from a TCP client through the verb, sealed over our
channel, and through the daemon's connections into a TCP server: four sockets where the bare stream has two.
"Received" goes the other way.
"""

import multiprocessing
import operator
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tests.bench.net_throughput import send_bare, serve_bare
from tests.fakes.chain.chain import FakeChain
from tests.fakes.provider.peer import make_root
from tests.publisher.conftest import make_bench
from trustedpods.protocol.limits import KIB, MIB
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.streams.port_forward import port_forward
from trustedpods.publisher.verbs.streams.ports import parse_ports

PIECE = 64 * KIB
"""Bytes that are written at a time, as a program with a usual buffer does."""


TAKES, GIVES = 8080, 9090
"""Ports of the pod: a server that reads to the end, and one that is told how much to send."""


async def swallow(stream: trio.SocketStream) -> None:
    """Reads to the end and then says so."""
    while await stream.receive_some(256 * KIB):
        pass
    await stream.send_all(b"done")


async def pour(stream: trio.SocketStream) -> None:
    """Sends as many pieces as it is told."""
    piece = os.urandom(PIECE)
    for _ in range(int.from_bytes(await stream.receive_some(8), "big")):
        await stream.send_all(piece)


@asynccontextmanager
async def forwarded(folder: Path) -> AsyncIterator[tuple[int, int]]:
    """Ports of this machine that lead to both servers behind a provider."""
    bench = make_bench(folder, make_root(FakeChain()))
    async with trio.open_nursery() as nursery:
        peer = bench.peer()
        peer.declared = {TAKES: await _served(nursery, swallow), GIVES: await _served(nursery, pour)}
        async with peer.serve():
            await bench.deploy()
            pairs, journal = parse_ports([f":{TAKES}", f":{GIVES}"]), bench.journal()
            async with port_forward(bench.account, "hello", pairs, VisitProgress(), journal) as result:
                takes, gives = (port.local for port in result.ports)
                yield takes, gives
        nursery.cancel_scope.cancel()


async def _served(nursery: trio.Nursery, handler: Callable[[trio.SocketStream], Awaitable[None]]) -> int:
    (listener,) = await nursery.start(
        lambda task_status: trio.serve_tcp(handler, 0, host="127.0.0.1", task_status=task_status)
    )
    return int(listener.socket.getsockname()[1])


async def send(port: int, size: int) -> float:
    piece = os.urandom(PIECE)
    count = size // PIECE
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        began = time.process_time()
        for _ in range(count):
            await stream.send_all(piece)
        await stream.send_eof()
        assert await stream.receive_some() == b"done"
        return count * PIECE / (time.process_time() - began) / 1e6


async def receive(port: int, size: int) -> float:
    count, came = size // PIECE, 0
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        began = time.process_time()
        await stream.send_all(count.to_bytes(8, "big"))
        while piece := await stream.receive_some(256 * KIB):
            came += len(piece)
        assert came == count * PIECE
        return came / (time.process_time() - began) / 1e6


async def measure(folder: Path, size: int, rounds: int) -> dict[str, list[float]]:
    """All three; of the bare stream with its host and its dial, some 10 ms."""
    speeds: dict[str, list[float]] = {"sent": [], "received": [], "bare": []}
    here, there = multiprocessing.Pipe()
    async with trio.open_nursery() as nursery, forwarded(folder) as (takes, gives):
        nursery.start_soon(serve_bare, there)
        address = await trio.to_thread.run_sync(here.recv)
        for _ in range(rounds):
            speeds["sent"].append(await send(takes, size))
            speeds["received"].append(await receive(gives, size))
            began = time.process_time()
            await send_bare(address, size)
            speeds["bare"].append(size / (time.process_time() - began) / 1e6)
        nursery.cancel_scope.cancel()
    return speeds


def main() -> None:
    """Run both and print."""
    size = int(sys.argv[1]) * MIB if len(sys.argv) > 1 else 64 * MIB
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        os.environ.pop("XDG_STATE_HOME", None)
        speeds = trio.run(measure, Path(folder), size, rounds)
    for name, values in speeds.items():
        median = statistics.median(values)
        print(f"{name}: {median:.0f} MB by second of CPU ({', '.join(f'{v:.0f}' for v in values)})")
    for name in ("sent", "received"):
        ratio = statistics.median(map(operator.truediv, speeds[name], speeds["bare"]))
        print(f"{name} / bare = {ratio:.2f} ({size // MIB} MiB, {rounds} rounds)")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""How fast a forwarded port is: bytes through `port-forward` beside a bare py-libp2p stream, in one run.

    python -m tests.bench.streams.forwarded [MiB] [rounds]

Prints MB (10^6 bytes) of each by second of CPU, rounds in turn, and the ratio of the medians. Both ends are
in this one process, so that its CPU is that of both; what else runs on the machine counts little. "Bare" is
that of `net_throughput`. "Forwarded" goes from a TCP client through the verb, sealed over our channel, and
through the daemon's connections into a TCP server: four sockets where the bare stream has two.
"""

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
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


async def swallow(stream: trio.SocketStream) -> None:
    """A server that reads to the end and then says so."""
    while await stream.receive_some(256 * KIB):
        pass
    await stream.send_all(b"done")


@asynccontextmanager
async def forwarded(folder: Path) -> AsyncIterator[int]:
    """A port of this machine that leads to a server behind a provider."""
    bench = make_bench(folder, make_root(FakeChain()))
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(
            lambda task_status: trio.serve_tcp(swallow, 0, host="127.0.0.1", task_status=task_status)
        )
        peer = bench.peer()
        peer.declared = {8080: listener.socket.getsockname()[1]}
        async with peer.serve():
            await bench.deploy()
            pairs, journal = parse_ports([":8080"]), bench.journal()
            async with port_forward(bench.account, "hello", pairs, VisitProgress(), journal) as result:
                yield result.ports[0].local
        nursery.cancel_scope.cancel()


async def send_forwarded(port: int, size: int) -> float:
    piece = os.urandom(PIECE)
    count = size // PIECE
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        began = time.process_time()
        for _ in range(count):
            await stream.send_all(piece)
        await stream.send_eof()
        assert await stream.receive_some() == b"done"
        return count * PIECE / (time.process_time() - began) / 1e6


async def measure(folder: Path, size: int, rounds: int) -> dict[str, list[float]]:
    """Both; of the bare stream with its host and its dial, some 10 ms."""
    speeds: dict[str, list[float]] = {"forwarded": [], "bare": []}
    here, there = multiprocessing.Pipe()
    async with trio.open_nursery() as nursery, forwarded(folder) as port:
        nursery.start_soon(serve_bare, there)
        address = await trio.to_thread.run_sync(here.recv)
        for _ in range(rounds):
            speeds["forwarded"].append(await send_forwarded(port, size))
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
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    for name, values in speeds.items():
        print(f"{name}: {medians[name]:.0f} MB by second of CPU ({', '.join(f'{v:.0f}' for v in values)})")
    ratio = medians["forwarded"] / medians["bare"]
    print(f"forwarded / bare = {ratio:.2f} ({size // MIB} MiB, {rounds} rounds)")


if __name__ == "__main__":
    main()

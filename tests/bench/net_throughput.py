# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""How fast a blob travels: our frames beside a bare hardened py-libp2p stream, in one run.

    python tests/bench/net_throughput.py [MiB] [rounds]

Prints MB/s (10^6 bytes) of each, both ends in processes of their own on this machine, rounds
interleaved, and the ratio of the medians. "Bare" is py-libp2p's own host with Noise only, written
in its best size (65,524 bytes) and read in 256 KiB, no framing and no digests. "Ours" are sealed
chunks, hashed into frames and checked on arrival.
"""

import multiprocessing
import secrets
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess

import trio

from trustedpods.protocol.limits import MIB
from trustedpods.protocol.protocol_ids import PROVIDER
from trustedpods.protocol.sealing.blobs import SEALED_CHUNK_SIZE

BEST_BARE_WRITE = 65524
BARE_PROTOCOL = "/bare/1.0.0"


async def serve_ours(pipe: Pipe) -> None:
    from trustedpods.protocol.net import FrameStream, open_host

    async def take(stream: FrameStream) -> None:
        count = int.from_bytes(await stream.receive(8), "big")
        for _ in range(count):
            await stream.receive(SEALED_CHUNK_SIZE)
        await stream.send(b"done")

    async with open_host(None, ["/ip4/127.0.0.1/tcp/0"]) as host:
        host.serve(PROVIDER, take)
        pipe.send(host.addresses[0])
        await trio.sleep_forever()


async def send_ours(address: str, size: int) -> float:
    from trustedpods.protocol.net import open_host

    chunk = secrets.token_bytes(SEALED_CHUNK_SIZE)
    count = size // len(chunk)
    async with (
        open_host(None, []) as host,
        host.dial(address) as connection,
        connection.stream(PROVIDER) as stream,
    ):
        began = time.perf_counter()
        await stream.send(count.to_bytes(8, "big"))
        for _ in range(count):
            await stream.send(chunk)
        await stream.receive(8)
        return count * len(chunk) / (time.perf_counter() - began) / 1e6


def _bare_host(listen: list[object]) -> object:
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.crypto.x25519 import create_new_key_pair as noise_key
    from libp2p.network.config import ConnectionConfig
    from libp2p.security.noise.transport import PROTOCOL_ID, Transport

    keys = create_new_key_pair()
    return new_host(
        key_pair=keys,
        sec_opt={PROTOCOL_ID: Transport(keys, noise_privkey=noise_key().private_key)},
        listen_addrs=listen or None,
        connection_config=ConnectionConfig(max_connections_per_peer=1),
    )


async def serve_bare(pipe: Pipe) -> None:
    from multiaddr import Multiaddr

    async def take(stream) -> None:
        left = int.from_bytes(await stream.read(8), "big")
        while left:
            left -= len(await stream.read(min(left, 256 * 1024)))
        await stream.write(b"done")

    listen = [Multiaddr("/ip4/127.0.0.1/tcp/0")]
    host = _bare_host(listen)
    async with host.run(listen_addrs=listen):
        host.set_stream_handler(BARE_PROTOCOL, take)
        pipe.send(str(host.get_addrs()[0]))
        await trio.sleep_forever()


async def send_bare(address: str, size: int) -> float:
    from libp2p.peer.peerinfo import info_from_p2p_addr
    from multiaddr import Multiaddr

    piece = secrets.token_bytes(BEST_BARE_WRITE)
    count = size // len(piece)
    host = _bare_host([])
    peer = info_from_p2p_addr(Multiaddr(address))
    async with host.run(listen_addrs=[]):
        await host.connect(peer)
        stream = await host.new_stream(peer.peer_id, [BARE_PROTOCOL])
        began = time.perf_counter()
        await stream.write((count * len(piece)).to_bytes(8, "big"))
        for _ in range(count):
            await stream.write(piece)
        await stream.read(4)
        speed = count * len(piece) / (time.perf_counter() - began) / 1e6
        await host.close()
    return speed


def server(serve: Callable[[Pipe], Awaitable[None]]) -> tuple[BaseProcess, str]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=trio.run, args=(serve, there), daemon=True)
    process.start()
    return process, here.recv()


def main() -> None:
    """Run both and print."""
    size = int(sys.argv[1]) * MIB if len(sys.argv) > 1 else 256 * MIB
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    kinds = {"ours": (serve_ours, send_ours), "bare": (serve_bare, send_bare)}
    servers = {name: server(serve) for name, (serve, _) in kinds.items()}
    speeds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, (_, send) in kinds.items():
            speeds[name].append(trio.run(send, servers[name][1], size))
    for process, _ in servers.values():
        process.kill()
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    for name, values in speeds.items():
        print(f"{name}: {medians[name]:.0f} MB/s ({', '.join(f'{v:.0f}' for v in values)})")
    print(f"ours / bare = {medians['ours'] / medians['bare']:.2f} ({size // MIB} MiB, {rounds} rounds)")


if __name__ == "__main__":
    main()

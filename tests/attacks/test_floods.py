# SPDX-License-Identifier: Apache-2.0
"""Peers that want the daemon's memory, time or places: bounded, and an honest client is served meanwhile."""

import itertools
import secrets
import sys
from contextlib import suppress

import msgpack
import pytest
import trio

from tests.attacks import hostile
from tests.attacks.hostile import ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW, header
from tests.fakes.provider.caller import Caller
from tests.protocol.net import peers
from trustedpods.protocol.codec import encode
from trustedpods.protocol.evidence import AttestRequest
from trustedpods.protocol.frames import frame
from trustedpods.protocol.limits import GIB, KIB, MAX_MESSAGE, MIB
from trustedpods.protocol.messages.bundle import SecretValue
from trustedpods.protocol.net.addresses import PeerAddress
from trustedpods.protocol.net.bounds import FIRST_WINDOW, Bounds
from trustedpods.provider.admission.arrivals import AdmissionLimits

MOST_MEMORY_MIB = 160
"""What an attack may make the daemon grow by; it begins with some 150."""

pytestmark = pytest.mark.live


def report(capsys, what, **figures):
    """Print what was measured, also when nothing failed."""
    with capsys.disabled():
        sys.stdout.write(
            f"\n{what}: " + ", ".join(f"{name} {value}" for name, value in figures.items()) + "\n"
        )


@pytest.fixture
def bounded(victim, capsys, request):
    """After the attack the daemon has not grown over the limit, and serves."""
    victim.forget_peak()
    before = victim.memory_mib
    yield victim
    after = trio.run(victim.serve_honest)
    memory = f"{before:.0f} MiB before, {victim.peak_mib:.0f} at most, {victim.memory_mib:.0f} after"
    report(capsys, request.node.name, memory=memory, honest=f"{after * 1000:.0f} ms")
    assert victim.peak_mib < before + MOST_MEMORY_MIB


@pytest.mark.parametrize("ignore_window", [False, True], ids=["within-the-window", "over-the-window"])
async def test_ten_gigabytes_where_ten_kilobytes_are_due(bounded, capsys, ignore_window):
    """N, the bytes of a stream that may lie unread, is the first window: 256 KiB. What is read and dropped
    behind the last message is at most one grown window."""
    async with peers.muxer(bounded.address) as muxer:
        stream = await hostile.opened(muxer)
        await stream.write(frame(encode(AttestRequest(nonce=bytes(32)))))
        sent = await hostile.pour(stream, 10 * GIB, ignore_window=ignore_window)
        await bounded.serve_honest()
    report(capsys, "10 GiB", N=f"{FIRST_WINDOW // KIB} KiB", sent=f"{sent / MIB:.1f} MiB until reset")
    assert sent < 64 * MIB


async def test_a_frame_of_four_gigabytes_is_refused_at_its_header(bounded, capsys):
    async with peers.muxer(bounded.address) as muxer:
        stream = await hostile.opened(muxer)
        await stream.write(b"\xff\xff\xff\xff" + bytes(32))
        sent = await hostile.pour(stream, 10 * GIB, ignore_window=False)
    report(capsys, "frame of 4 GiB", sent=f"{sent / MIB:.1f} MiB until reset")
    assert sent < 64 * MIB


async def test_many_half_frames_of_four_megabytes(bounded):
    """Each is within its limits, all together are not: they count as unread."""
    half = frame(bytes(MAX_MESSAGE))[: -64 * KIB]
    async with hostile.crowd(bounded.address, 8) as crowd, trio.open_nursery() as nursery:

        async def send_half(muxer):
            with suppress(*hostile.REFUSED):
                await (await hostile.opened(muxer)).write(half)

        for muxer, _ in itertools.product(crowd, range(4)):
            nursery.start_soon(send_half, muxer)
        await bounded.serve_honest()
        nursery.cancel_scope.cancel()


async def test_data_for_a_stream_that_is_gone(bounded):
    """py-libp2p reads and drops it for ever."""
    async with peers.muxer(bounded.address) as muxer:
        piece = header(DATA, stream=77, length=60_000) + bytes(60_000)
        assert await hostile.blast(muxer, itertools.repeat(piece, 10_000))


async def test_500_silent_connections(bounded):
    target = PeerAddress.parse(bounded.address)
    streams = [await trio.open_tcp_stream(target.host, target.port) for _ in range(500)]
    await bounded.serve_honest()
    for stream in streams:
        await stream.aclose()


async def test_300_authenticated_idle_peers_with_different_ids(bounded):
    async with hostile.crowd(bounded.address, 300) as crowd:
        await bounded.serve_honest()
        assert not any(muxer.event_shutting_down.is_set() for muxer in crowd), "all have room"


async def test_300_peers_that_send_a_frame_byte_by_byte(bounded):
    """Slow loris: every place for listening is taken, and each byte comes just in time."""

    async def trickle(muxer):
        try:
            stream = await hostile.opened(muxer)
            for byte in frame(bytes(1000)):
                await stream.write(bytes([byte]))
                await trio.sleep(2)
        except hostile.REFUSED:
            pass

    async with hostile.crowd(bounded.address, 300) as crowd, trio.open_nursery() as nursery:
        for muxer in crowd:
            nursery.start_soon(trickle, muxer)
        for _ in range(3):
            await bounded.serve_honest()
        nursery.cancel_scope.cancel()


BOMBS = {
    "nested": b"\x91" * (MAX_MESSAGE - 1),
    "wide": msgpack.packb({"kind": "request", "x": [[b""] * 8000] * 250}),
    "maps": msgpack.packb({"kind": "request", "x": [{str(n): 0 for n in range(60)}] * 8000}),
    "announced": b"\x81\xa1x\xdd\xff\xff\xff\xff",
    "compressed": b"\x1f\x8b\x08" + bytes(4000),
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_bombs_in_messages(bounded, bomb):
    """A first message has a dozen items, and nothing here ever decompresses."""
    async with hostile.crowd(bounded.address, 4) as crowd, trio.open_nursery() as nursery:

        async def throw(muxer):
            for _ in range(8):
                try:
                    stream = await hostile.framed(muxer)
                    await stream.send(BOMBS[bomb])
                    await stream.receive(timeout=60)
                except hostile.REFUSED:
                    pass

        for muxer in crowd:
            nursery.start_soon(throw, muxer)
        await bounded.serve_honest()


def _openings():
    """Ids of both sides, the session's own, the last one; twice each; with data, ends and resets."""
    for stream in itertools.chain([0, 2, 4, 2**32 - 1, 2**32 - 2], range(1, 60_000, 2)):
        yield header(WINDOW, SYN, stream)
        yield header(DATA, SYN, stream, 4) + b"boom"
        yield header(WINDOW, FIN, stream)
        yield header(WINDOW, RST, stream)


FLOODERS = 3

FLOODS = {
    "pings": lambda: itertools.repeat(header(PING, SYN, 0, 7), 200_000),
    "answers-to-no-ping": lambda: itertools.repeat(header(PING, ACK, 0, 7), 200_000),
    "window-updates": lambda: itertools.repeat(header(WINDOW, 0, 1, 2**32 - 1), 200_000),
    "unknown-types": lambda: itertools.repeat(header(9, 0xFFFF, 5, 2**32 - 1), 200_000),
    "empty-data": lambda: itertools.repeat(header(DATA, 0, 1, 0), 200_000),
    "stream-ids": _openings,
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_floods_of_empty_frames(bounded, flood):
    """The flooder is cut off, however many connections it has; others get their turn meanwhile."""
    async with hostile.crowd(bounded.address, FLOODERS) as crowd, trio.open_nursery() as nursery:
        cut = []

        async def attack(muxer):
            cut.append(await hostile.blast(muxer, FLOODS[flood]()))

        for muxer in crowd:
            nursery.start_soon(attack, muxer)
        await bounded.serve_honest()
    assert cut == [True] * FLOODERS


async def test_more_streams_than_a_connection_may_have(bounded):
    async with peers.muxer(bounded.address) as muxer:
        refused = 0
        streams = []
        for _ in range(Bounds().max_streams + 10):
            try:
                with trio.fail_after(60):
                    streams.append(await hostile.opened(muxer))
            except hostile.REFUSED:
                refused += 1
        assert refused == 10
        await bounded.serve_honest()


@pytest.mark.parametrize("code", [0, 1, 2, 3, 2**32 - 1])
async def test_going_away_again_and_again(bounded, code):
    """A goodbye ends the connection that it came on, whatever its code and whatever comes behind it."""
    for _ in range(20):
        async with peers.muxer(bounded.address) as muxer:
            await muxer.open_stream()
            frames = [header(GO_AWAY, 0, 0, code), header(WINDOW, SYN, 9), header(GO_AWAY, SYN, 3, code)]
            await hostile.blast(muxer, frames)
            with trio.fail_after(60):
                await muxer.event_shutting_down.wait()
    await bounded.serve_honest()


async def test_large_bundles_under_free_keys(bounded):
    """Nobody pays; 60 bundles of 2 MiB would lie in memory and on disk for ever."""

    async def stranger():
        caller = Caller(bounded.world, bounded.address)
        bundle = caller.bundle()
        parts = [SecretValue(name="keys", files={"token": secrets.token_bytes(MIB)})]
        fat = bundle.model_copy(update={"secrets": parts, "name": "n" * 100})
        _, request = caller.signed("provision", fat)
        async with caller._stream() as stream:
            await stream.send(encode(request))
            await stream.receive(timeout=60)

    async with trio.open_nursery() as nursery:
        limit = trio.CapacityLimiter(6)

        async def one():
            async with limit:
                with suppress(*hostile.REFUSED):
                    await stranger()

        for _ in range(60):
            nursery.start_soon(one)
        await bounded.serve_honest()
    store = sum(path.stat().st_size for path in (bounded.folder / "books").iterdir())
    assert store < 2 * AdmissionLimits().waiting_bytes + 8 * MIB

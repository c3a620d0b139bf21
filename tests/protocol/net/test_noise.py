# SPDX-License-Identifier: Apache-2.0
"""Bytes over a Noise session: whatever is written arrives, in whatever pieces it is read."""

from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from libp2p.io.exceptions import ConnectionClosedError, IncompleteReadError
from libp2p.security.secure_session import SecureSession
from noise.exceptions import NoiseInvalidMessage

from trustedpods.protocol.net.bounds import NOISE_LENGTH, NOISE_PLAINTEXT
from trustedpods.protocol.net.noise import NoiseSession
from trustedpods.protocol.net.transport import RawConnection
from trustedpods.protocol.net.upgrade import Identity

TAG = 16


async def tcp():
    """Both ends of a connection."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener:
        dialled = await trio.open_tcp_stream(*listener.socket.getsockname())
        return dialled, await listener.accept()


@asynccontextmanager
async def sessions():
    """Ours, and libp2p's own at the other end, with the links below them."""
    dialled, accepted = await tcp()
    ours, theirs = RawConnection(dialled, initiator=True), RawConnection(accepted, initiator=False)
    made = {}
    server = Identity.from_seed(None)

    async def serve():
        made["theirs"] = await server.noise.secure_inbound(theirs)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        expected = server.noise.local_peer
        made["ours"] = await Identity.from_seed(None).noise.secure_outbound(ours, expected)
    assert isinstance(made["ours"], SecureSession)
    try:
        yield NoiseSession(made["ours"], ours), made["theirs"], ours, theirs
    finally:
        ours.abort()
        theirs.abort()


async def read_all(session, total, sizes):
    """So many bytes, read in pieces of the given sizes in turn."""
    got, turn = b"", 0
    while len(got) < total:
        piece = await session.read(min(sizes[turn % len(sizes)], total - len(got)))
        assert piece
        got, turn = got + piece, turn + 1
    return got


SIZES = st.lists(st.integers(1, 3 * NOISE_PLAINTEXT), min_size=1, max_size=5)


@pytest.mark.parametrize("ours_writes", [False, True])
@settings(max_examples=15, deadline=None)
@given(written=SIZES, read=SIZES)
def test_what_one_writes_the_other_reads_whole(ours_writes, written, read):
    """Ours and libp2p's, in both directions."""

    async def run():
        async with sessions() as (ours, theirs, _, _), trio.open_nursery() as nursery:
            writer, reader = (ours, theirs) if ours_writes else (theirs, ours)
            pieces = [bytes([i]) * size for i, size in enumerate(written)]
            nursery.start_soon(write_in_turn, writer, pieces)
            assert await read_all(reader, sum(written), read) == b"".join(pieces)

    trio.run(run)


async def write_in_turn(session, pieces):
    for piece in pieces:
        await session.write(piece)


async def test_messages_written_together_stay_messages_of_their_own():
    async with sessions() as (ours, _, _, their_link):
        messages = [b"a" * 10, b"b" * NOISE_PLAINTEXT, b"c"]
        told = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.write_messages, messages, lambda: told.append(True))
            for message in messages:
                size = int.from_bytes(await their_link.read(NOISE_LENGTH), "big")
                assert size == len(message) + TAG
                assert len(await their_link.read(size)) == size
        assert told


async def test_only_bytes_of_the_opened_message_are_at_hand():
    async with sessions() as (ours, theirs, _, _):
        await theirs.write(b"first")
        await theirs.write(b"second")
        assert ours.take(1) is None
        assert await ours.read(2) == b"fi"
        assert ours.take(4) is None
        assert ours.take(3) == b"rst"
        assert await ours.read() == b"second"
        assert await ours.read(0) == b""


async def test_a_message_that_was_tampered_with_is_refused():
    async with sessions() as (ours, _, _, their_link):
        await their_link.write(bytes([0, 20]) + bytes(20))
        with pytest.raises(NoiseInvalidMessage):
            await ours.read(1)


async def test_a_tampered_message_is_refused_however_it_arrives():
    async with sessions() as (ours, _, _, their_link), trio.open_nursery() as nursery:
        nursery.start_soon(their_link.write, bytes([255, 255]) + bytes(65535))
        with pytest.raises(NoiseInvalidMessage):
            await ours.read(1)


async def test_an_empty_message_ends_the_connection():
    async with sessions() as (ours, theirs, _, _):
        await theirs.write(b"")
        with pytest.raises(ConnectionClosedError):
            await ours.read(1)


async def test_the_end_is_an_error_of_libp2ps():
    async with sessions() as (ours, _, _, their_link):
        await their_link.write(bytes([1, 0, 5]))
        their_link.abort()
        with pytest.raises(IncompleteReadError):
            await ours.read(1)


async def test_a_long_write_tells_of_its_progress():
    """So that a slow peer is not taken for one that is stuck."""
    here, there = await tcp()
    raw, told, data = RawConnection(here, initiator=True), [], bytes(16 << 20)
    async with there, trio.open_nursery() as nursery:
        nursery.start_soon(raw.write, data, lambda: told.append(True))
        await trio.testing.wait_all_tasks_blocked()
        assert told  # what fits into the sockets
        before, left = len(told), len(data)
        while left:
            left -= len(await there.receive_some(left))
        assert len(told) > before
    raw.abort()


async def test_a_write_to_an_ended_connection_is_an_error_of_libp2ps():
    here, there = await tcp()
    raw = RawConnection(here, initiator=True)
    async with there:
        raw.abort()
        with pytest.raises(ConnectionClosedError):
            await raw.write(b"x")

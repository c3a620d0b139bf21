# SPDX-License-Identifier: Apache-2.0
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.net import peers
from trustedpods.protocol.errors import LocalProtocolError, NetworkFailure, RemoteProtocolError
from trustedpods.protocol.frames import MAX_PAYLOAD
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.net import FrameStream, open_host
from trustedpods.protocol.net.addresses import PeerAddress
from trustedpods.protocol.protocol_ids import PROVIDER


@asynccontextmanager
async def served_by(handler) -> AsyncIterator[FrameStream]:
    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, handler)
        async with client.dial(host.addresses[0]) as connection, connection.stream(PROVIDER) as stream:
            yield stream


@pytest.mark.parametrize("size", [0, 1, 65_471, 65_472, 65_507, 65_508, MIB + 16, MAX_PAYLOAD])
async def test_payloads_of_any_size_come_back(size: int):
    payload = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
    payload = payload[:size]
    async with served_by(peers.echo) as stream:
        await stream.send(payload)
        assert await stream.receive(size) == payload


async def test_one_task_sends_while_another_receives():
    """Echo of more than all windows together: with one task doing both it would stand still."""
    payloads = [bytes([index]) * MIB for index in range(20)]
    received = []

    async def receive(stream: FrameStream) -> None:
        received.extend([await stream.receive(MIB) for _ in payloads])

    async with served_by(peers.echo) as stream:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive, stream)
                for payload in payloads:
                    await stream.send(payload)
    assert received == payloads


async def test_senders_take_turns_frame_by_frame():
    async with served_by(peers.echo) as stream, trio.open_nursery() as nursery:
        for index in range(10):
            nursery.start_soon(stream.send, bytes([index]) * 200_000)
        received = [await stream.receive() for _ in range(10)]
    assert sorted(received) == [bytes([index]) * 200_000 for index in range(10)]


async def test_a_receive_that_timed_out_may_be_repeated():
    async with served_by(peers.echo) as stream:
        with pytest.raises(NetworkFailure) as caught:
            await stream.receive(100, timeout=0.05)
        assert caught.value.rule == "timeout"
        await stream.send(b"late")
        assert await stream.receive(100) == b"late"


async def test_receives_cancelled_at_any_moment_lose_nothing():
    payload = bytes(MIB)

    async def handler(stream: FrameStream) -> None:
        for _ in range(30):
            await stream.send(payload)
        await stream.finish()

    async with served_by(handler) as stream:
        count = 0
        with trio.fail_after(30):
            while count < 30:
                with trio.move_on_after(0.002):
                    assert await stream.receive(MIB) == payload
                    count += 1


async def test_the_end_is_told_from_a_cut_frame():
    async def handler(stream: FrameStream) -> None:
        await stream.send(b"last")

    async with served_by(handler) as stream:
        assert await stream.receive(100) == b"last"
        for _ in range(2):
            with pytest.raises(NetworkFailure) as caught:
                await stream.receive(100)
            assert caught.value.rule == "end"


async def test_receiving_goes_on_after_finish():
    async def handler(stream: FrameStream) -> None:
        with pytest.raises(NetworkFailure):
            await stream.receive(100)
        await stream.send(b"answer to the end")

    async with served_by(handler) as stream:
        await stream.finish()
        assert await stream.receive(100) == b"answer to the end"
        with pytest.raises(NetworkFailure):
            await stream.send(b"too late")


async def test_a_frame_over_the_callers_limit_is_refused():
    async with served_by(peers.echo) as stream:
        await stream.send(b"12345")
        with pytest.raises(RemoteProtocolError):
            await stream.receive(4)


async def test_a_payload_over_the_protocols_limit_is_our_own_fault_and_harms_nothing():
    async with served_by(peers.echo) as stream:
        with pytest.raises(LocalProtocolError):
            await stream.send(bytes(MAX_PAYLOAD + 1))
        await stream.send(b"fine")
        assert await stream.receive(100) == b"fine"


async def test_a_reset_is_seen_by_both_directions_of_the_other_side():
    seen = trio.Event()

    async def handler(stream: FrameStream) -> None:
        try:
            await stream.receive(timeout=None)
        except NetworkFailure:
            seen.set()

    async with served_by(handler) as stream:
        await stream.reset()
        with trio.fail_after(5):
            await seen.wait()
        with pytest.raises(NetworkFailure):
            await stream.send(b"x")
        with pytest.raises(NetworkFailure):
            await stream.receive(1)


async def test_what_was_sent_before_the_handler_returned_arrives():
    async def handler(stream: FrameStream) -> None:
        await stream.send(bytes(2 * MIB))

    async with served_by(handler) as stream:
        await trio.sleep(0.2)
        assert await stream.receive(2 * MIB) == bytes(2 * MIB)


@given(st.text(alphabet="/ip46tcdnsq2.1:kQm3D", max_size=60))
def test_arbitrary_addresses_are_refused_or_parsed(text: str):
    try:
        assert str(PeerAddress.parse(text)).startswith("/")
    except ValueError as error:
        assert str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    "text",
    [
        "/ip4/127.0.0.1/tcp/4001",
        "/ip6/::1/tcp/1/p2p/12D3KooWEfY2TmhEWp1scTkNTgGcB6sBdaeicFJXJjeBmUpFMyg8",
        "/dns4/pods.example/tcp/65535/p2p/12D3KooWEfY2TmhEWp1scTkNTgGcB6sBdaeicFJXJjeBmUpFMyg8",
    ],
)
def test_addresses_round_trip(text: str):
    assert str(PeerAddress.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/ip4/127.0.0.1/tcp/70000",
        "/ip4/127.0.0.1/tcp/-1",
        "/ip4/127.0.0.1/tcp/\u0661",
        "/ip4/::1/tcp/1",
        "/ip4/127.0.0.1/udp/1",
        "/ip4/127.0.0.1/tcp/1/p2p-circuit/x",
        "/ip4/127.0.0.1/tcp/1/p2p/",
        "/dns4//tcp/1",
        "/unix/x/tcp/1",
        "/ip4/127.0.0.1/tcp/1/p2p/" + "1" * 600,
    ],
)
def test_bad_addresses_are_value_errors(text: str):
    with pytest.raises(ValueError):
        PeerAddress.parse(text)

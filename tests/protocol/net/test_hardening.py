# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""One test for each way in which py-libp2p 0.8.1 with its defaults can be broken (docs/protocol.md)."""

import socket
import struct

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.exceptions import BaseLibp2pError
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo, info_from_p2p_addr
from libp2p.security.insecure import transport as insecure
from libp2p.security.noise import patterns
from multiaddr import Multiaddr

from tests.examples import examples
from tests.protocol.net import peers
from trustedpods.protocol.errors import BadInput, Locked, NetworkFailure, RemoteProtocolError
from trustedpods.protocol.frames import frame
from trustedpods.protocol.limits import KIB, MIB
from trustedpods.protocol.net import Bounds, FrameStream, open_host
from trustedpods.protocol.net.bounds import FIRST_WINDOW, PIECE
from trustedpods.protocol.net.streams import ByteStream
from trustedpods.protocol.net.upgrade import choose
from trustedpods.protocol.protocol_ids import PROVIDER

VICTIM = create_new_key_pair(b"v" * 32)


def _claiming(monkeypatch, own, claimed):
    """An insecure handshake of the holder of *own* that shows the public key *claimed*."""
    honest = insecure.make_exchange_message

    def lie(public_key):
        return honest(claimed if public_key.to_bytes() == own.to_bytes() else public_key)

    monkeypatch.setattr(insecure, "make_exchange_message", lie)


async def test_b1_a_plaintext_client_is_refused(monkeypatch):
    attacker = create_new_key_pair()
    _claiming(monkeypatch, attacker.public_key, VICTIM.public_key)
    security = {insecure.PLAINTEXT_PROTOCOL_ID: insecure.InsecureTransport(attacker)}
    served = []
    async with open_host(None, peers.LOOPBACK) as host:

        async def handler(stream: FrameStream) -> None:
            served.append(stream)

        host.serve(PROVIDER, handler)
        bare = peers.bare_host(security=security, keys=attacker)
        async with bare.run(listen_addrs=[]):
            with pytest.raises(SwarmException), trio.fail_after(peers.PATIENCE_S):
                await bare.connect(info_from_p2p_addr(Multiaddr(host.addresses[0])))
    assert not served


async def test_b1_a_plaintext_server_is_refused(monkeypatch):
    attacker = create_new_key_pair()
    _claiming(monkeypatch, attacker.public_key, VICTIM.public_key)
    security = {insecure.PLAINTEXT_PROTOCOL_ID: insecure.InsecureTransport(attacker)}
    bare = peers.bare_host(security=security, keys=attacker, listen=True)
    async with bare.run(listen_addrs=[peers.ANY]), open_host(None, []) as client:
        address = str(bare.get_transport_addrs()[0]) + f"/p2p/{ID.from_pubkey(VICTIM.public_key)}"
        with pytest.raises(RemoteProtocolError) as caught:
            async with client.dial(address):
                pass
    assert caught.value.rule == "peer-id"


async def test_b1_a_wrong_peer_id_is_refused():
    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        wrong = host.addresses[0].rsplit("/", 1)[0] + f"/{ID.from_pubkey(VICTIM.public_key)}"
        with pytest.raises(RemoteProtocolError, match="prove"):
            async with client.dial(wrong):
                pass


async def test_b1_a_forged_noise_identity_is_refused(monkeypatch):
    attacker = create_new_key_pair()
    honest = patterns.BasePattern.make_handshake_payload

    def lie(self, *args, **kwargs):
        payload = honest(self, *args, **kwargs)
        if self.local_peer == ID.from_pubkey(attacker.public_key):
            payload.id_pubkey = VICTIM.public_key
        return payload

    monkeypatch.setattr(patterns.BasePattern, "make_handshake_payload", lie)
    async with open_host(None, peers.LOOPBACK) as host:
        bare = peers.bare_host(keys=attacker)
        async with bare.run(listen_addrs=[]):
            with pytest.raises(SwarmException), trio.fail_after(peers.PATIENCE_S):
                await bare.connect(info_from_p2p_addr(Multiaddr(host.addresses[0])))


async def test_b2_a_handler_that_raises_resets_its_stream_only(caplog):
    async def handler(stream: FrameStream) -> None:
        if await stream.receive(100) == b"boom":
            raise ZeroDivisionError
        await stream.send(b"fine")

    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, handler)
        async with client.dial(host.addresses[0]) as connection, connection.stream(PROVIDER) as calm:
            async with connection.stream(PROVIDER) as stream:
                await stream.send(b"boom")
                with pytest.raises(NetworkFailure):
                    await stream.receive(100)
            await calm.send(b"still there?")
            assert await calm.receive(100) == b"fine"
    assert "ZeroDivisionError" in caplog.text


async def test_b3_a_protocol_name_that_is_no_utf8_resets_its_stream_only():
    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        async with peers.muxer(host.addresses[0]) as muxer:
            stream = ByteStream(muxer, await muxer.open_stream())
            await stream.write(b"\x13/multistream/1.0.0\n" + b"\x05\xff\xfe\xfd\xfc\n")
            await _until_refused(stream.read, 100)
            await peers.assert_served(client, host.addresses[0])


async def test_b4_a_host_serves_more_connections_than_it_has_places():
    """Three times its places, one after the other, and none is held afterwards."""
    places = examples(100)
    bounds = Bounds(max_connections=places)
    async with open_host(None, peers.LOOPBACK, bounds) as host:
        host.serve(PROVIDER, peers.echo)
        for _ in range(3 * places):
            async with open_host(None, []) as client:
                await peers.assert_served(client, host.addresses[0])
        await peers.eventually(lambda: len(host._limits) == 0 and host._limits.pending_count == 0)


@pytest.mark.parametrize("address", ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0/ws"])
async def test_b5_there_is_no_transport_that_loses_bytes(address: str):
    with pytest.raises(BadInput):
        async with open_host(None, [address]):
            pass
    async with open_host(None, []) as client:
        with pytest.raises(NetworkFailure):
            async with client.dial(address + "/p2p/" + str(ID.from_pubkey(VICTIM.public_key))):
                pass


@pytest.mark.parametrize("how", ["end", "reset", "killed"])
async def test_b6_a_cut_frame_is_never_taken_for_a_whole_one(how: str):
    outcome = []

    async def handler(stream: FrameStream) -> None:
        try:
            outcome.append(await stream.receive())
        except NetworkFailure as error:
            outcome.append(error)

    async with open_host(None, peers.LOOPBACK) as host:
        host.serve(PROVIDER, handler)
        async with peers.muxer(host.addresses[0]) as muxer:
            stream = await _opened(muxer)
            await stream.write(frame(bytes(50_000))[:-1])
            await trio.sleep(0.05)
            match how:
                case "end":
                    await stream.close()
                case "reset":
                    await stream.reset()
                case _:
                    muxer.abort()
            await peers.eventually(lambda: bool(outcome))
    assert isinstance(outcome[0], NetworkFailure)


async def test_b7_a_cancelled_send_leaves_the_connection_whole():
    """The window is full, so the send waits in the middle of a frame when it is cancelled."""
    release = trio.Event()

    async def handler(stream: FrameStream) -> None:
        if await stream.receive(10) == b"hold":
            await release.wait()
        else:
            await peers.echo(stream)

    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, handler)
        async with client.dial(host.addresses[0]) as connection, connection.stream(PROVIDER) as other:
            await other.send(b"echo")
            async with connection.stream(PROVIDER) as stream:
                await stream.send(b"hold")
                with trio.move_on_after(0.3) as scope:
                    await stream.send(bytes(4 * MIB))
                assert scope.cancelled_caught
                with pytest.raises(NetworkFailure):
                    await stream.send(b"after half a frame")
            await other.send(b"whole")
            assert await other.receive(100) == b"whole"
            release.set()


async def test_b7_a_send_cancelled_while_the_socket_is_full_leaves_the_connection_whole():
    """The peer's process stops reading TCP, as a frozen one does; then it goes on."""
    async with open_host(None, peers.LOOPBACK) as host:
        host.serve(PROVIDER, peers.echo)
        async with peers.muxer(host.addresses[0]) as muxer:
            stream, other = await _opened(muxer), await _opened(muxer)
            muxer_at_host = next(iter(host._limits._established))._muxer
            thaw, receive_some = trio.Event(), muxer_at_host.raw._stream.receive_some

            async def frozen(size: int) -> bytes:
                await thaw.wait()
                return await receive_some(size)

            muxer_at_host.raw._stream.receive_some = frozen
            stream._stream.send_window = 64 * MIB
            with trio.move_on_after(1) as scope:
                while True:
                    await stream.write(bytes(PIECE))
            assert scope.cancelled_caught
            muxer_at_host.streams[stream._stream.stream_id].recv_window = 64 * MIB
            thaw.set()
            frames = FrameStream(other, b"")
            await frames.send(b"whole")
            assert await frames.receive(100, 10) == b"whole"


@pytest.mark.live
async def test_b8_a_reader_may_pause_longer_than_five_seconds():
    payloads = [bytes([index]) * MIB for index in range(8)]
    received = []

    async def handler(stream: FrameStream) -> None:
        await trio.sleep(7)
        received.extend([await stream.receive(MIB) for _ in payloads])
        await stream.send(b"done")

    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, handler)
        async with client.dial(host.addresses[0]) as connection, connection.stream(PROVIDER) as stream:
            for payload in payloads:
                await stream.send(payload)
            assert await stream.receive(10) == b"done"
    assert received == payloads


async def test_b8_a_writer_gives_up_a_reader_that_never_goes_on():
    async with open_host(None, peers.LOOPBACK) as host, open_host(None, [], Bounds(stall_s=0.5)) as client:
        host.serve(PROVIDER, lambda _stream: trio.sleep_forever())
        async with client.dial(host.addresses[0]) as connection, connection.stream(PROVIDER) as stream:
            with pytest.raises(NetworkFailure) as caught, trio.fail_after(30):
                await stream.send(bytes(4 * MIB))
            assert caught.value.rule == "stall"
        unread = [connection.unread for connection in host._limits._established]
        assert all(size <= FIRST_WINDOW for size in unread)


async def test_b9_a_peer_that_ignores_the_window_is_cut_off():
    bounds = Bounds(max_unread=1 << 40)
    async with open_host(None, peers.LOOPBACK, bounds) as host, open_host(None, []) as client:
        host.serve(PROVIDER, lambda _stream: trio.sleep_forever())
        async with peers.muxer(host.addresses[0]) as muxer:
            stream = await _opened(muxer)
            stream._stream.send_window = 64 * MIB
            await _until_refused(stream.write, bytes(PIECE))
            assert stream._stream.send_window > 32 * MIB
            assert muxer.event_shutting_down.is_set()
        await peers.eventually(lambda: len(host._limits) == 0)
        host.serve(PROVIDER, peers.echo)
        await peers.assert_served(client, host.addresses[0])


async def test_b9_a_large_data_frame_is_refused_at_its_header():
    """The window of a stream in use allows four megabytes; one frame of them would be buffered whole."""
    async with open_host(None, peers.LOOPBACK) as host:
        host.serve(PROVIDER, peers.echo)
        async with peers.muxer(host.addresses[0]) as muxer:
            stream = (await _opened(muxer))._stream
            header = struct.pack("!BBHII", 0, 0, 0, stream.stream_id, FIRST_WINDOW + 1)
            await muxer._write_frame(header)
            await peers.eventually(lambda: len(host._limits) == 0)


async def test_b9_unread_bytes_of_many_streams_are_bounded():
    bounds = Bounds(max_unread=4 * MIB, max_streams=1000)
    async with open_host(None, peers.LOOPBACK, bounds) as host, open_host(None, []) as client:
        host.serve(PROVIDER, lambda _stream: trio.sleep_forever())
        async with peers.muxer(host.addresses[0]) as muxer:

            async def fill_another() -> None:
                await (await _opened(muxer)).write(bytes(FIRST_WINDOW - KIB))

            await _until_refused(fill_another)
            assert muxer.event_shutting_down.is_set()
        await peers.eventually(lambda: len(host._limits) == 0)
        host.serve(PROVIDER, peers.echo)
        await peers.assert_served(client, host.addresses[0])


async def test_b10_dialling_a_silent_server_ends():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"/ip4/127.0.0.1/tcp/{silent.getsockname()[1]}/p2p/{ID.from_pubkey(VICTIM.public_key)}"
        async with open_host(None, []) as client:
            with pytest.raises(NetworkFailure) as caught, trio.fail_after(10):
                async with client.dial(address, timeout=0.3):
                    pass
    assert caught.value.rule == "timeout"


async def test_a_second_daemon_on_the_same_port_is_refused():
    async with open_host(None, peers.LOOPBACK) as host:
        taken = host.addresses[0].split("/p2p/")[0]
        with pytest.raises(Locked):
            async with open_host(None, [taken]):
                pass


async def test_a_port_shared_by_a_daemon_of_libp2p_is_refused():
    """Its listeners use SO_REUSEPORT: a second one would silently take half of the connections."""
    bare = peers.bare_host(listen=True)
    async with bare.run(listen_addrs=[peers.ANY]):
        with pytest.raises(Locked):
            async with open_host(None, [str(bare.get_transport_addrs()[0])]):
                pass


async def test_a_peer_that_was_away_can_be_dialled_at_once_when_it_is_back():
    """libp2p's swarm refuses a peer for a minute after a failed dial."""
    async with open_host(None, []) as client:
        async with open_host(b"s" * 32, peers.LOOPBACK) as host:
            address = host.addresses[0]
        with pytest.raises(NetworkFailure) as caught:
            async with client.dial(address):
                pass
        assert caught.value.rule == "connect"
        async with open_host(b"s" * 32, [address.split("/p2p/")[0]]) as host:
            host.serve(PROVIDER, peers.echo)
            await peers.assert_served(client, address)


async def test_a_length_announced_before_authentication_is_not_believed():
    async with open_host(None, peers.LOOPBACK) as host, peers.tcp(host.addresses[0]) as stream:
        await stream.send_all(b"\xff\xff\xff\xff\x7f" + bytes(8 * KIB))
        with trio.fail_after(8):  # before the handshake's own limit
            try:
                while await stream.receive_some(4096):
                    pass
            except trio.BrokenResourceError:
                pass


async def test_a_libp2p_peer_with_its_own_defaults_is_understood():
    """Its swarm, its upgrader and its identify protocol meet ours; the conversation works both ways."""
    async with open_host(None, peers.LOOPBACK) as host:
        host.serve(PROVIDER, peers.echo)
        bare = peers.bare_host(noise_only=False)
        async with bare.run(listen_addrs=[]):
            peer = info_from_p2p_addr(Multiaddr(host.addresses[0]))
            with trio.fail_after(peers.PATIENCE_S):
                await bare.connect(PeerInfo(peer.peer_id, peer.addrs))
                stream = await bare.new_stream(peer.peer_id, ["/trustedpods/1.0.0"])
                await stream.write(frame(b"from outside"))
                answer = b""
                while len(answer) < len(frame(b"from outside")):
                    answer += await stream.read(1000)
                await bare.close()
    assert answer == frame(b"from outside")


async def _until_refused(act, *args) -> None:
    """Repeat what the host should not put up with for long."""
    with trio.fail_after(peers.PATIENCE_S):
        while True:
            try:
                await act(*args)
            except (BaseLibp2pError, NetworkFailure, OSError):
                return


async def _opened(muxer) -> ByteStream:
    """A stream with our protocol chosen."""
    stream = ByteStream(muxer, await muxer.open_stream())
    await choose(stream, PROVIDER)
    return stream

# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
import socket
import subprocess
import sys
from contextlib import suppress

import pytest
import trio

from tests.examples import examples
from tests.protocol.net import peers
from trustedpods.protocol.errors import BadInput, NetworkFailure, RemoteProtocolError
from trustedpods.protocol.frames import frame
from trustedpods.protocol.net import Bounds, FrameStream, open_host
from trustedpods.protocol.net.addresses import PeerAddress, peer_name
from trustedpods.protocol.protocol_ids import PROVIDER, ProtocolId


async def test_a_seed_is_an_identity():
    async with (
        open_host(b"s" * 32, []) as one,
        open_host(b"s" * 32, []) as same,
        open_host(None, []) as other,
    ):
        assert one.peer_id == same.peer_id != other.peer_id
        assert one.addresses == []


async def test_addresses_can_be_dialled_as_they_are():
    async with open_host(None, [*peers.LOOPBACK, "/ip6/::1/tcp/0"]) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        assert len(host.addresses) == 2
        for address in host.addresses:
            assert PeerAddress.parse(address).peer_id == host.peer_id
            await peers.assert_served(client, address)


async def test_a_dns_name_can_be_dialled():
    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        await peers.assert_served(client, host.addresses[0].replace("/ip4/127.0.0.1/", "/dns4/localhost/"))


async def test_what_is_announced_carries_the_peer_id_of_this_boot():
    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        port = PeerAddress.parse(host.addresses[0]).port
        bare, named = f"/dns4/localhost/tcp/{port}", "/ip4/192.0.2.1/tcp/4001"
        told = host.reached_at([bare, f"{named}{str(client.reached_at([named])[0]).removeprefix(named)}"])
        assert told == [f"{bare}/p2p/{peer_name(host.peer_id)}", f"{named}/p2p/{peer_name(host.peer_id)}"]
        await peers.assert_served(client, told[0])
        assert host.reached_at([]) == host.addresses
        with pytest.raises(BadInput, match="not an address"):
            host.reached_at(["192.0.2.1:4001"])


async def test_both_ends_know_who_the_other_is():
    seen = []

    async def handler(stream: FrameStream) -> None:
        seen.append(stream.remote_peer_id)
        await stream.send(b"")

    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, handler)
        async with client.dial(host.addresses[0]) as connection, connection.stream(PROVIDER) as stream:
            await stream.receive(0)
            assert connection.remote_peer_id == stream.remote_peer_id == host.peer_id
        assert seen == [client.peer_id]


@pytest.mark.parametrize(
    "address", ["nonsense", "/ip4/127.0.0.1/tcp/1", "/ip4/::1/tcp/1", "/ip4/127.0.0.1/tcp/1/p2p/x"]
)
async def test_a_bad_address_is_a_network_failure(address: str):
    async with open_host(None, []) as client:
        with pytest.raises(NetworkFailure) as caught:
            async with client.dial(address):
                pass
    assert caught.value.rule == "address"


async def test_listening_on_a_foreign_address_is_bad_input():
    with pytest.raises(BadInput):
        async with open_host(None, ["/ip4/192.0.2.1/tcp/0"]):
            pass


async def test_a_peer_without_a_handler_does_not_speak_our_protocol():
    async with (
        open_host(None, peers.LOOPBACK) as host,
        open_host(None, []) as client,
        client.dial(host.addresses[0]) as connection,
    ):
        with pytest.raises(NetworkFailure):
            async with connection.stream(PROVIDER):
                pass


async def test_each_protocol_has_its_own_handler_and_an_unknown_one_is_refused():
    async def shout(stream: FrameStream) -> None:
        await stream.send((await stream.receive(100)).upper())

    other = ProtocolId("/trustedpods/other/1.0.0")
    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        host.serve(other, shout)
        async with client.dial(host.addresses[0]) as connection:
            for protocol_id, answer in ((PROVIDER, b"hello"), (other, b"HELLO"), (PROVIDER, b"hello")):
                async with connection.stream(protocol_id) as stream:
                    await stream.send(b"hello")
                    assert await stream.receive(100) == answer
            with pytest.raises(RemoteProtocolError, match="/trustedpods/unknown"):
                async with connection.stream(ProtocolId("/trustedpods/unknown/1.0.0")):
                    pass
        await peers.assert_served(client, host.addresses[0])


async def test_a_libp2p_peer_without_our_protocol_is_refused():
    bare = peers.bare_host(listen=True)
    async with (
        bare.run(listen_addrs=[peers.ANY]),
        open_host(None, []) as client,
        client.dial(str(bare.get_addrs()[0])) as connection,
    ):
        with pytest.raises(RemoteProtocolError):
            async with connection.stream(PROVIDER):
                pass


async def test_a_libp2p_peer_with_our_protocol_is_dialled():
    async def answer(stream) -> None:
        await stream.write(frame(b"from outside"))
        await stream.close()

    bare = peers.bare_host(listen=True)
    async with bare.run(listen_addrs=[peers.ANY]), open_host(None, []) as client:
        bare.set_stream_handler("/trustedpods/1.0.0", answer)
        async with client.dial(str(bare.get_addrs()[0])) as connection, connection.stream(PROVIDER) as stream:
            assert await stream.receive(100) == b"from outside"


async def test_errors_in_the_block_come_out_as_they_are():
    with pytest.raises(ZeroDivisionError):
        async with open_host(None, peers.LOOPBACK):
            raise ZeroDivisionError
    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        with pytest.raises(ZeroDivisionError):
            async with client.dial(host.addresses[0]):
                raise ZeroDivisionError


async def test_a_host_can_be_cancelled():
    with trio.move_on_after(0.1) as scope:
        async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
            host.serve(PROVIDER, peers.echo)
            async with client.dial(host.addresses[0]) as connection, connection.stream(PROVIDER) as stream:
                await stream.receive(1)
    assert scope.cancelled_caught


async def test_silent_connections_do_not_keep_an_honest_client_out():
    bounds = Bounds(max_pending=50, handshake_s=30)
    async with open_host(None, peers.LOOPBACK, bounds) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        target = PeerAddress.parse(host.addresses[0])
        silent = [socket.create_connection((target.host, target.port)) for _ in range(200)]
        try:
            await peers.eventually(lambda: host._limits.pending_count == 50)
            await peers.assert_served(client, host.addresses[0])
        finally:
            for each in silent:
                each.close()
        await peers.eventually(lambda: host._limits.pending_count == 0)


async def test_a_silent_handshake_ends():
    bounds = Bounds(handshake_s=0.2)
    async with open_host(None, peers.LOOPBACK, bounds) as host, peers.tcp(host.addresses[0]) as stream:
        with trio.fail_after(5):
            while await stream.receive_some(1000):
                pass


async def test_authenticated_idle_connections_do_not_keep_an_honest_client_out():
    bounds = Bounds(max_connections=10)
    async with open_host(None, peers.LOOPBACK, bounds) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(_hold, host.addresses[0])
            await peers.eventually(lambda: len(host._limits) == 10)
            await peers.assert_served(client, host.addresses[0])
            assert len(host._limits) <= 10
            nursery.cancel_scope.cancel()


async def test_one_peer_has_a_bounded_number_of_connections():
    bounds = Bounds(max_per_peer=3)
    async with open_host(None, peers.LOOPBACK, bounds) as host, trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(_hold_or_be_refused, host.addresses[0], b"p" * 32)
        await peers.eventually(lambda: len(host._limits) == 3)
        await trio.sleep(0.1)
        assert len(host._limits) == 3
        nursery.cancel_scope.cancel()


async def test_an_idle_connection_is_closed_and_one_with_a_stream_is_not():
    async with open_host(None, peers.LOOPBACK, Bounds(idle_s=0.3)) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        async with client.dial(host.addresses[0]) as connection:
            async with connection.stream(PROVIDER) as stream:
                await trio.sleep(0.8)
                await stream.send(b"still here")
                assert await stream.receive(100) == b"still here"
            await peers.eventually(lambda: len(host._limits) == 0)
            with pytest.raises(NetworkFailure):
                async with connection.stream(PROVIDER):
                    pass


async def test_a_connection_with_a_short_stream_now_and_then_is_not_idle():
    """As a network's leases are renewed: a look at any moment finds no stream."""
    bounds = Bounds(idle_s=3.0)
    async with open_host(None, peers.LOOPBACK, bounds) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        async with client.dial(host.addresses[0]) as connection:
            ends = trio.current_time() + 1.5 * bounds.idle_s
            while trio.current_time() < ends:
                async with connection.stream(PROVIDER) as stream:
                    await stream.send(b"still here")
                    assert await stream.receive(100) == b"still here"
                await trio.sleep(0.2)
            assert len(host._limits) == 1


async def test_a_peer_that_answers_no_ping_is_gone():
    """Its kernel still takes our bytes, as that of a stopped process does."""
    failed = []

    async def handler(stream: FrameStream) -> None:
        try:
            await stream.receive(1, timeout=None)
        except NetworkFailure as error:
            failed.append(error)

    async with open_host(None, peers.LOOPBACK, Bounds(heartbeat_s=0.2)) as host:
        host.serve(PROVIDER, handler)
        async with peers.muxer(host.addresses[0], run=False):
            await peers.eventually(lambda: len(host._limits) == 1)
            await peers.eventually(lambda: len(host._limits) == 0)


async def test_a_peer_whose_stream_outlasts_pauses_is_waited_for():
    async def handler(stream: FrameStream) -> None:
        stream.outlast(60)
        with suppress(NetworkFailure):
            await stream.receive(1, timeout=None)

    async with open_host(None, peers.LOOPBACK, Bounds(heartbeat_s=0.1)) as host:
        host.serve(PROVIDER, handler)
        async with open_host(None, []) as client, client.dial(host.addresses[0]) as connection:
            async with connection.stream(PROVIDER) as stream:
                await stream.send(b"x")
                [served] = host._limits._established
                await peers.eventually(lambda: served._muxer.bounds.heartbeats == 600)
                assert served._muxer.bounds.stall_s == 60
            assert Bounds().outlasting(90).stall_s == 90


async def test_a_quiet_peer_that_answers_pings_stays():
    bounds = Bounds(heartbeat_s=0.1)
    async with open_host(None, peers.LOOPBACK, bounds) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        async with client.dial(host.addresses[0]) as connection, connection.stream(PROVIDER) as stream:
            await trio.sleep(0.6)
            await stream.send(b"here")
            assert await stream.receive(100) == b"here"


async def test_streams_beyond_the_limit_are_refused():
    bounds = Bounds(max_streams=4)
    async with open_host(None, peers.LOOPBACK, bounds) as host, open_host(None, []) as client:
        host.serve(PROVIDER, lambda _stream: trio.sleep_forever())
        async with client.dial(host.addresses[0]) as connection, trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(_keep_open, connection)
            await peers.eventually(
                lambda: sum(connection._serving for connection in host._limits._established) == 4
            )
            with pytest.raises(NetworkFailure):
                async with connection.stream(PROVIDER):
                    pass
            nursery.cancel_scope.cancel()


async def test_many_streams_one_after_the_other_leave_nothing_behind():
    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        async with client.dial(host.addresses[0]) as connection:
            for _ in range(examples(500)):
                async with connection.stream(PROVIDER) as stream:
                    await stream.send(b"x")
                    await stream.receive(1)
            await peers.eventually(lambda: connection.streams == 0)
            assert [connection.streams for connection in host._limits._established] == [0]


def test_the_door_says_nothing_on_standard_error():
    """Else py-libp2p's warnings about a stranger would fill a publisher's terminal."""
    program = """
import trio
from tests.protocol.net import peers
from trustedpods.protocol.net import open_host
from trustedpods.protocol.protocol_ids import PROVIDER

async def main():
    async with open_host(None, peers.LOOPBACK) as host, open_host(None, []) as client:
        host.serve(PROVIDER, peers.echo)
        async with peers.tcp(host.addresses[0]) as stream:
            await stream.send_all(b"GET / HTTP/1.0\\r\\n\\r\\n")
        async with peers.muxer(host.addresses[0]) as muxer:
            stream = await muxer.open_stream()
            muxer.abort()
        await peers.assert_served(client, host.addresses[0])

trio.run(main)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


async def _hold(address: str, seed: bytes | None = None) -> None:
    async with peers.muxer(address, seed=seed):
        await trio.sleep_forever()


async def _hold_or_be_refused(address: str, seed: bytes) -> None:
    """The host may hang up as soon as it knows who this is: before the greeting ends, or after it."""
    with suppress(NetworkFailure):
        await _hold(address, seed)


async def _keep_open(connection) -> None:
    async with connection.stream(PROVIDER):
        await trio.sleep_forever()

# SPDX-License-Identifier: Apache-2.0
"""`forward` at the provider, over real sockets: declared ports alone, many connections, what ends them."""

import contextlib
import secrets
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio

from tests.fakes.provider.caller import Caller, manifest_of
from tests.fakes.provider.world import World
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import Refused, RemoteProtocolError
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.forward import (
    MAX_CONNECTIONS,
    MAX_PIECE,
    WINDOW,
    ForwardBody,
    ForwardInput,
    ForwardOutput,
    ForwardPort,
    ForwardStarted,
)
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.protocol.sealing.inputs import InputSealer
from trustedpods.protocol.sealing.requests import request_digest
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.server.forwarding.forwarded import ForwardedConnections, ForwardTimes
from trustedpods.provider.server.forwarding.forwards import (
    MAX_OPEN_PER_PUBLISHER,
    MAX_PER_PUBLISHER,
    declared_ports,
)
from trustedpods.provider.store import ledger


async def echo(stream):
    """Sends back what came, and ends when its peer has ended."""
    while data := await stream.receive_some():
        await stream.send_all(data)
    await stream.send_eof()


def until_cut(handler):
    """The same for a server whose peer may throw a connection away."""

    async def serve(stream):
        with contextlib.suppress(trio.BrokenResourceError):
            await handler(stream)

    return serve


@asynccontextmanager
async def pod(tmp_path, handler=echo):
    """A daemon with a pod whose replica serves *handler* at a port of this machine; the port."""
    world = World(tmp_path)
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(
            lambda task_status: trio.serve_tcp(
                until_cut(handler), 0, host="127.0.0.1", task_status=task_status
            )
        )
        port = listener.socket.getsockname()[1]
        async with world.run() as (parts, address):
            caller = Caller(world, address)
            ports = [{"containerPort": port}, {"containerPort": 8080}, {"containerPort": 1}]
            [container] = manifest_of().model_dump(by_alias=True, mode="json")["spec"]["containers"]
            service = {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": port}]}
            containers, awake = [container | {"ports": ports}], {"min": 1, "max": 2}
            caller.manifest = manifest_of(containers=containers, services=[service], scale=awake)
            await caller.provision()
            for life in world.cluster.lives.values():
                life.pods = {name: replace(one, ip="127.0.0.1") for name, one in life.pods.items()}
            yield world, parts, caller, port
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def forwarding(caller, *ports, key=None, service=None, replica=None):
    """A conversation: `send` and `reply` of it."""
    asked = [ForwardPort(port=port, service=service) for port in ports]
    body = ForwardBody(ports=asked, input_key=secrets.token_bytes(32), replica=replica)
    private, request = caller.signed("forward", body, key=key)
    sealer = InputSealer(body.input_key, request_digest(request, caller.chain_context))
    async with caller.talk(private, request) as (stream, reply):

        async def send(connection, **what):
            await stream.send(sealer.seal(ForwardInput(connection=connection, **what)))

        yield send, reply, stream


async def refusal(caller, *ports, **how):
    with pytest.raises(Refused) as caught:
        async with forwarding(caller, *ports, **how) as (_, reply, _stream):
            await reply(ForwardStarted)
    return caught.value


async def said(reply, connection, size=0):
    """What came of one connection, to its end or so many bytes."""
    data, told = b"", None
    while told is None or not (told.end or told.closed or (size and len(data) >= size)):
        told, _ = await reply(ForwardOutput)
        assert told.connection == connection
        data += told.data
    return data, told


async def until_it_fails(reply):
    while True:
        await reply(ForwardOutput)


async def test_two_connections_at_once_and_half_closes(tmp_path):
    async with (
        pod(tmp_path) as (_, _parts, caller, port),
        forwarding(caller, port) as (send, reply, _stream),
    ):
        assert (await reply(ForwardStarted))[0].ports == [port]
        await send(0, open=0, data=b"first ")
        assert (await said(reply, 0, 6))[0] == b"first "
        await send(1, open=0, data=b"second", end=True)
        data, told = await said(reply, 1)
        assert (data, told.end, told.closed) == (b"second", True, None)
        await send(0, data=b"again", taken=6, end=True)
        assert (await said(reply, 0))[0] == b"again"


async def test_only_what_the_pod_declares(tmp_path):
    async with pod(tmp_path) as (world, parts, caller, port):
        undeclared = await refusal(caller, port, 9999)
        assert (undeclared.rule, "no TCP port 9999" in undeclared.what) == ("forward-port", True)
        assert (await refusal(caller, 81, service="web")).rule == "forward-port"
        assert (await refusal(caller, 80, service="nobody")).rule == "forward-port"
        async with forwarding(caller, 80, service="web") as (_, reply, _stream):
            assert (await reply(ForwardStarted))[0].ports == [port]
        assert (await refusal(Caller(world, caller.address), port)).rule == "unknown-pod"
        await parts.pods.change(caller.ref.channel, commanders=(address_of(secrets.token_bytes(32)),))
        assert (await refusal(caller, port)).rule == "commander"


def test_udp_is_no_port_to_forward():
    [container] = manifest_of().model_dump(by_alias=True, mode="json")["spec"]["containers"]
    udp = {"containerPort": 5353, "protocol": "UDP"}
    manifest = manifest_of(containers=[container | {"ports": [*container["ports"], udp]}])
    assert declared_ports(manifest, [ForwardPort(port=8080)]) == [8080]
    with pytest.raises(Refused):
        declared_ports(manifest, [ForwardPort(port=5353)])


async def test_an_error_of_one_connection_ends_no_other(tmp_path):
    async with (
        pod(tmp_path) as (_, _parts, caller, port),
        forwarding(caller, port, 1) as (send, reply, _stream),
    ):
        await reply(ForwardStarted)
        await send(0, open=0, data=b"x")
        assert (await said(reply, 0, 1))[0] == b"x"
        await send(1, open=1, data=b"nobody there")
        assert (await said(reply, 1))[1].closed == "nothing listens at port 1 of the pod"
        await send(1, data=b"late")
        await send(0, data=b"y", taken=1)
        assert (await said(reply, 0, 1))[0] == b"y"


async def test_a_client_that_pauses_holds_one_connection_back_and_no_other(tmp_path):
    async def flood(stream):
        while True:
            await stream.send_all(bytes(MAX_PIECE))

    async with (
        pod(tmp_path, flood) as (_, _parts, caller, port),
        forwarding(caller, port) as (send, reply, _stream),
    ):
        await reply(ForwardStarted)
        await send(0, open=0)
        assert len((await said(reply, 0, WINDOW))[0]) == WINDOW
        await send(1, open=0)
        assert len((await said(reply, 1, WINDOW))[0]) == WINDOW
        with trio.move_on_after(0.2) as pause:
            await reply(ForwardOutput)
        assert pause.cancelled_caught
        await send(0, taken=WINDOW)
        assert len((await said(reply, 0, WINDOW))[0]) == WINDOW


async def test_more_connections_than_one_conversation_has(tmp_path):
    async with (
        pod(tmp_path) as (_, _parts, caller, port),
        forwarding(caller, port) as (send, reply, _stream),
    ):
        await reply(ForwardStarted)
        for number in range(MAX_CONNECTIONS + 1):
            await send(number, open=0)
        _, told = await said(reply, MAX_CONNECTIONS)
        assert "more than" in told.closed


@pytest.mark.parametrize(
    "wrong",
    [{"open": 0}, {"taken": 1}, {"data": b"x"}],
    ids=["begins twice", "took what was never sent", "goes on behind its end"],
)
async def test_what_no_client_may_say(tmp_path, wrong):
    async with (
        pod(tmp_path) as (_, _parts, caller, port),
        forwarding(caller, port) as (send, reply, _stream),
    ):
        await reply(ForwardStarted)
        await send(0, open=0)
        await send(0, end="data" in wrong)
        await send(0, **wrong)
        with pytest.raises(RemoteProtocolError):
            await until_it_fails(reply)


async def test_so_many_of_one_publisher_and_no_more(tmp_path):
    async with pod(tmp_path) as (_, _parts, caller, port), trio.open_nursery() as nursery:
        begun = []

        async def hold():
            async with forwarding(caller, port) as (_, reply, _stream):
                await reply(ForwardStarted)
                begun.append(1)
                await trio.sleep_forever()

        for _ in range(MAX_PER_PUBLISHER):
            nursery.start_soon(hold)
        with trio.fail_after(60):
            while len(begun) < MAX_PER_PUBLISHER:
                await trio.sleep(0.05)
        assert (await refusal(caller, port)).rule == "busy"
        nursery.cancel_scope.cancel()


async def test_one_publisher_does_not_take_every_place(tmp_path):
    """Places are the scarce part: two forwards fill those of one publisher, a third has none."""
    async with pod(tmp_path) as (_, _parts, caller, port), contextlib.AsyncExitStack() as forwards:
        for _ in range(MAX_OPEN_PER_PUBLISHER // MAX_CONNECTIONS):
            send, reply, _ = await forwards.enter_async_context(forwarding(caller, port))
            await reply(ForwardStarted)
            for number in range(MAX_CONNECTIONS):
                await send(number, open=0, data=b"x")
            for _ in range(MAX_CONNECTIONS):
                told = b""
                while not told:
                    told = (await reply(ForwardOutput))[0].data
        send, reply, _ = await forwards.enter_async_context(forwarding(caller, port))
        await reply(ForwardStarted)
        await send(0, open=0, data=b"x")
        _, told = await said(reply, 0)
        assert told.closed.startswith("the provider takes no more connections")


async def test_a_pod_that_ended_is_dialled_no_more(tmp_path):
    async with (
        pod(tmp_path) as (_, parts, caller, port),
        forwarding(caller, port) as (send, reply, _stream),
    ):
        await reply(ForwardStarted)
        await parts.pods.change(caller.ref.channel, phase=Phase.GONE, reason="as a test asked")
        await send(0, open=0, data=b"x")
        _, told = await said(reply, 0)
        assert "the pod is gone" in told.closed


async def test_an_address_is_asked_for_once(tmp_path):
    async with (
        pod(tmp_path) as (world, _parts, caller, port),
        forwarding(caller, port) as (send, reply, _stream),
    ):
        await reply(ForwardStarted)
        asked, look = [], world.cluster.pods

        async def counted(namespace):
            asked.append(namespace)
            return await look(namespace)

        world.cluster.pods = counted
        for number in range(10):
            await send(number, open=0, end=True)
            assert (await said(reply, number))[1].end
        assert len(asked) <= 2


async def test_its_end_its_history_and_its_traffic(tmp_path):
    async with pod(tmp_path) as (_, parts, caller, port):
        async with forwarding(caller, port) as (send, reply, stream):
            await reply(ForwardStarted)
            await send(0, open=0, data=b"x" * 3000, end=True)
            await said(reply, 0)
            await stream.finish()
            assert (await reply(Done))[1]
        status = await caller.ask("status", StatusBody(), PodStatus)
        told = [event.text for event in status.events if event.reason == "forward"]
        assert told == [f"a port-forward to port {port} started"]
        book = await parts.doors.store.read(ledger.load_ledger, caller.ref.channel, 0)
        assert (book.traffic[-1].ingress_bytes, book.traffic[-1].egress_bytes) == (3000, 3000)


async def test_a_pod_that_is_gone_ends_its_forwards():
    async def silence(*_):
        await trio.sleep_forever()

    async def carried(*_total):
        await trio.lowlevel.checkpoint()

    def gone():
        raise Refused("the pod is deleted", rule="phase")

    replies = SimpleNamespace(stream=SimpleNamespace(receive=silence))
    asked = SimpleNamespace(replies=replies, opened=SimpleNamespace(digest=b"d"))
    body = ForwardBody(ports=[ForwardPort(port=1)], input_key=bytes(32))
    with pytest.raises(Refused) as caught:
        await ForwardedConnections(asked, body, None, carried, (), gone, ForwardTimes(look_s=0.05)).run()
    assert caught.value.rule == "phase"


@pytest.mark.parametrize(("limit", "rule"), [("idle_s", "idle"), ("longest_s", "too-long")])
async def test_its_limits_of_time_say_which(limit, rule):
    async def silence(*_):
        await trio.sleep_forever()

    async def carried(*_total):
        await trio.lowlevel.checkpoint()

    replies = SimpleNamespace(stream=SimpleNamespace(receive=silence))
    asked = SimpleNamespace(replies=replies, opened=SimpleNamespace(digest=b"d"))
    body = ForwardBody(ports=[ForwardPort(port=1)], input_key=bytes(32))
    with pytest.raises(Refused) as caught:
        await ForwardedConnections(asked, body, None, carried, (), times=ForwardTimes(**{limit: 0.05})).run()
    assert caught.value.rule == rule

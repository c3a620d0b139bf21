# SPDX-License-Identifier: Apache-2.0
"""Commands over the API server's WebSocket, against a server that says what a test tells it."""

import json
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

import pytest
import trio
from wsproto import ConnectionType, WSConnection
from wsproto import events as ws

from tests.fakes.web_server import answer, status_object
from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError
from trustedpods.protocol.messages.exec import TerminalSize
from trustedpods.provider.cluster.api.commands import (
    HANG_UP_WITHIN_S,
    MAX_MESSAGE,
    PIECE,
    SUBPROTOCOL,
    Exit,
    Output,
)
from trustedpods.provider.cluster.api.errors import NotThere
from trustedpods.provider.cluster.client import open_cluster

SUCCESS = {"metadata": {}, "status": "Success"}


def failed(code):
    details = {"causes": [{"reason": "ExitCode", "message": code}]}
    return {"status": "Failure", "reason": "NonZeroExitCode", "message": "it failed", "details": details}


def message(channel, data):
    return ws.BytesMessage(data=bytes([channel]) + data)


def end(status):
    return message(3, json.dumps(status).encode())


class ApiServer:
    """One WebSocket: `says` are sent at once; `got` are whole messages that came."""

    def __init__(self, *says, subprotocol=SUBPROTOCOL):
        self.says, self.subprotocol = says, subprotocol
        self.got, self.pongs, self.target = [], 0, ""
        self._came = trio.Event()
        self._part = b""

    async def serve(self, stream):
        connection = WSConnection(ConnectionType.SERVER)
        while True:
            data = await stream.receive_some(65536)
            if not data:
                return
            connection.receive_data(data)
            for event in connection.events():
                await self._answer(stream, connection, event)

    async def _answer(self, stream, connection, event):
        if isinstance(event, ws.Request):
            self.target = event.target
            assert event.subprotocols == [SUBPROTOCOL]
            accept = ws.AcceptConnection(subprotocol=self.subprotocol)
            await stream.send_all(connection.send(accept))
            for said in self.says:
                await stream.send_all(connection.send(said))
        elif isinstance(event, ws.BytesMessage):
            self._part += event.data
            if event.message_finished:
                self.got.append(self._part)
                self._part = b""
                self._came.set()
        elif isinstance(event, ws.Pong):
            self.pongs += 1
            self._came.set()

    async def until(self, condition):
        with trio.fail_after(20):
            while not condition():
                self._came = trio.Event()
                await self._came.wait()


@pytest.fixture
def command(nursery, kubeconfig_for):
    """`async with command(server, *words)`: one that runs there."""

    @asynccontextmanager
    async def begin(serve, *words, stdin=False, size=None):
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        port = listener.socket.getsockname()[1]
        async with (
            open_cluster(kubeconfig_for(f"http://127.0.0.1:{port}")) as cluster,
            cluster.exec("ns", "pod-1", "app", words, stdin=stdin, size=size) as running,
        ):
            yield running

    return begin


async def test_outputs_and_exit_code(command):
    server = ApiServer(message(1, b""), message(2, b"err"), message(1, b"out"), end(failed("7")))
    async with command(server.serve, "sh", "-c", "a b&c é\n") as running:
        assert await running.receive() == Output("stderr", b"err")
        assert await running.receive() == Output("stdout", b"out")
        assert await running.receive() == Exit(7)
    parts = urlsplit(server.target)
    assert parts.path == "/api/v1/namespaces/ns/pods/pod-1/exec"
    assert parse_qsl(parts.query) == [
        ("container", "app"),
        ("stdin", "false"),
        ("stdout", "true"),
        ("stderr", "true"),
        ("command", "sh"),
        ("command", "-c"),
        ("command", "a b&c é\n"),
    ]


async def test_input_and_its_end(command):
    server = ApiServer(end(SUCCESS))
    async with command(server.serve, "cat", stdin=True) as running:
        await running.send(b"x" * PIECE + b"rest")
        await running.end_input()
        await server.until(lambda: len(server.got) == 3)
        assert await running.receive() == Exit(0)
    assert server.got == [b"\0" + b"x" * PIECE, b"\0rest", b"\xff\0"]
    assert "stdin=true" in server.target


async def test_pings_are_answered(command):
    server = ApiServer(ws.Ping(payload=b"1"), end(SUCCESS))
    async with command(server.serve, "true") as running:
        assert await running.receive() == Exit(0)
        await server.until(lambda: server.pongs)


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (end({"status": "Failure", "message": "not found", "reason": "InternalError"}), Refused),
        (end({"status": "Failure", "reason": "NonZeroExitCode"}), RemoteProtocolError),
        (end(failed("many")), RemoteProtocolError),
        (message(3, b"no JSON"), RemoteProtocolError),
        (message(3, b"[]"), RemoteProtocolError),
        (ws.TextMessage(data="text"), RemoteProtocolError),
        (message(1, b"x" * MAX_MESSAGE), RemoteProtocolError),
        (ws.CloseConnection(code=1000), NetworkFailure),
    ],
    ids=["not started", "no code", "no number", "no JSON", "no object", "text", "too long", "closed"],
)
async def test_ends_that_are_none(command, says, error):
    async with command(ApiServer(says).serve, "true") as running:
        with pytest.raises(error):
            await running.receive()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (status_object(404, "NotFound", "no such pod"), NotThere),
        (status_object(403, "Forbidden", "may not"), Refused),
        (answer(502, b"a proxy", "text/plain"), NetworkFailure),
        (answer(500, b'container not found ("seed-data")\n', "text/plain"), Refused),
        (b"no HTTP at all\r\n\r\n", RemoteProtocolError),
        (b"", NetworkFailure),
    ],
    ids=["no pod", "no right", "a proxy", "no container", "no HTTP", "hangs up"],
)
async def test_an_upgrade_that_is_refused(command, reply, error):
    async def serve(stream):
        async with stream:
            await stream.receive_some(65536)
            await stream.send_all(reply)

    with pytest.raises(error):
        async with command(serve, "true"):
            pass


async def test_another_protocol_is_not_spoken(command):
    with pytest.raises(RemoteProtocolError):
        async with command(ApiServer(subprotocol=None).serve, "true"):
            pass


async def test_a_terminal_and_its_window(command):
    server = ApiServer(message(1, b"$ "), end(SUCCESS))
    async with command(server.serve, "sh", stdin=True, size=TerminalSize(columns=80, rows=24)) as running:
        assert await running.receive() == Output("stdout", b"$ ")
        await running.resize(TerminalSize(columns=132, rows=50))
        await running.hang_up()
        await server.until(lambda: len(server.got) == 4)
        assert await running.receive() == Exit(0)
    asked = dict(parse_qsl(urlsplit(server.target).query))
    assert (asked["tty"], asked["stdin"], asked["stdout"], asked["stderr"]) == (
        "true",
        "true",
        "true",
        "false",
    )
    sizes = [json.loads(one[1:]) for one in server.got[:2]]
    assert sizes == [{"Width": 80, "Height": 24}, {"Width": 132, "Height": 50}]
    assert [one[:1] for one in server.got] == [b"\4", b"\4", b"\0", b"\0"]
    assert server.got[2:] == [b"\0\3", b"\0\4"]


class DeafApiServer(ApiServer):
    """Agrees to the WebSocket and reads no more."""

    async def _answer(self, stream, connection, event):
        await super()._answer(stream, connection, event)
        await trio.sleep_forever()


async def test_nothing_is_typed_into_a_message_that_was_broken_off(command):
    size = TerminalSize(columns=80, rows=24)
    async with command(DeafApiServer().serve, "sh", stdin=True, size=size) as running:
        with trio.move_on_after(1) as scope:
            while True:
                await running.send(bytes(PIECE))
        assert scope.cancelled_caught
        began = trio.current_time()
        await running.hang_up()
        assert trio.current_time() - began < HANG_UP_WITHIN_S / 2  # it did not try


async def test_a_terminal_whose_connection_is_gone_is_not_told_so(command):
    server, size = ApiServer(ws.CloseConnection(code=1000)), TerminalSize(columns=80, rows=24)
    async with command(server.serve, "sh", stdin=True, size=size) as running:
        with pytest.raises(NetworkFailure):
            await running.receive()
        await running.hang_up()
        with pytest.raises(NetworkFailure):
            await running.resize(size)

# SPDX-License-Identifier: Apache-2.0
"""Every protocol wakes a pod from zero in a real cluster, and none is cut on the way back."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.clients import protocols, web
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import until_zero, watching

pytestmark = pytest.mark.live

IDLE_S = 2


@pytest.fixture(scope="module")
def echo(publisher: Publisher) -> Deployed:
    """A pod with four services, which sleeps after two seconds."""

    def short(spec: Json) -> None:
        spec["scale"] = {"min": 0, "max": 1, "idleAfter": f"{IDLE_S}s"}

    return publisher.deploy(publisher.manifest("echo", unique("echo"), short))


def url(deployed: Deployed, service: str) -> str:
    return str(next(end["url"] for end in deployed.result["endpoints"] if end["service"] == service))


def _http(echo: Deployed) -> None:
    assert web.get(url(echo, "web")).status == 200


def _path(echo: Deployed) -> None:
    answer = web.get(url(echo, "api"), "/api/x")
    assert (answer.status, answer.text.split()[-1]) == (200, "/api/x")


def _websocket(echo: Deployed) -> None:
    with protocols.websocket(url(echo, "web")) as socket:
        socket.send("hello")
        assert socket.recv() == "hello"


def _grpc(echo: Deployed) -> None:
    with protocols.channel(url(echo, "rpc")) as channel:
        assert protocols.call(channel, b"hello") == b"hello"
        many = channel.stream_stream(protocols.MANY)(iter([b"a", b"b"]), timeout=protocols.LIMIT_S)
        assert list(many) == [b"a", b"b"]


def _tcp(echo: Deployed) -> None:
    with protocols.tcp(url(echo, "raw")) as sock:
        assert protocols.echoed(sock, b"hello") == b"hello"


def _upload(echo: Deployed) -> None:
    assert protocols.upload(url(echo, "web"), 20_000_000) == 200


@pytest.mark.parametrize("ask", [_grpc, _tcp])
def test_it_wakes_a_pod_from_zero(
    market: LiveLocalnet, echo: Deployed, ask: Callable[[Deployed], None]
) -> None:
    until_zero(market, echo.namespace)
    ask(echo)


def test_all_at_once_wake_one_replica(market: LiveLocalnet, echo: Deployed) -> None:
    until_zero(market, echo.namespace)
    everybody = [_http, _path, _websocket, _grpc, _tcp, _upload] * 4
    with watching(market, echo.namespace) as watch, ThreadPoolExecutor(len(everybody)) as pool:
        for answer in [pool.submit(ask, echo) for ask in everybody]:
            answer.result()
    assert len(watch.names) == 1


def test_connections_in_use_outlive_the_idle_time(market: LiveLocalnet, echo: Deployed) -> None:
    """A WebSocket, a gRPC stream and a TCP connection that say something now and then."""
    pause, ended = IDLE_S + 1.0, threading.Event()
    until_zero(market, echo.namespace)  # the replica of the test before may be about to end

    def messages():
        for number in range(3):
            yield b"%d" % number
            ended.wait(pause)

    with (
        watching(market, echo.namespace) as watch,
        protocols.websocket(url(echo, "web")) as socket,
        protocols.channel(url(echo, "rpc")) as channel,
        protocols.tcp(url(echo, "raw")) as sock,
    ):
        for answer in channel.stream_stream(protocols.MANY)(messages(), timeout=protocols.LIMIT_S):
            socket.send(answer)
            assert socket.recv() == answer
            assert protocols.echoed(sock, answer) == answer
    assert len(watch.names) == 1
    until_zero(market, echo.namespace)


def test_a_tcp_service_has_a_port_that_only_it_has(echo: Deployed, market: LiveLocalnet) -> None:
    port = int(url(echo, "raw").rpartition(":")[2])
    first = market.cluster().ports.tcp
    assert first <= port < first + 16
    # Refused at once or just after: the connection itself may be the one that is reset.
    with pytest.raises(ConnectionError), protocols.tcp(f"tcp://x:{first + 15}") as sock:
        sock.recv(1)

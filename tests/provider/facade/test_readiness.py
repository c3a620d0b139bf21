# SPDX-License-Identifier: Apache-2.0
"""Readiness, as the facade finds it out."""

import pytest
import trio

from tests.fakes.provider.pods import a_manifest
from tests.provider.facade.parts import free_port
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.probe import HttpGet, HttpHeader, Probe, TcpSocket
from trustedpods.provider.facade.readiness import (
    STEADY_S,
    ContainerProbe,
    Tally,
    check,
    probes_of,
    start_seconds,
    until_ready,
)


class Server:
    """Answers every connection with the same bytes."""

    def __init__(self, nursery, answer: bytes):
        self.nursery, self.answer, self.heads = nursery, answer, []
        self.port = free_port()

    async def start(self):
        await self.nursery.start(trio.serve_tcp, self.talk, self.port)
        return self

    async def talk(self, stream):
        self.heads.append(await stream.receive_some(4096))
        try:
            await stream.send_all(self.answer)
        except trio.BrokenResourceError:
            return
        if not self.answer:
            await trio.sleep(5)


def http(
    port: int, path: str = "/healthz", timeout: int = 1, container: str | None = None, **more: int
) -> ContainerProbe:
    return ContainerProbe(
        Probe(http_get=HttpGet(path=path, port=port), timeout_seconds=timeout, **more), container
    )


def tcp(port: int) -> ContainerProbe:
    return ContainerProbe(Probe(tcp_socket=TcpSocket(port=port)))


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
        (b"SSH-2.0-OpenSSH\r\n", False),
        (b"HTTP/1.1 200 OK" + b" " * 10_000, True),
        (b"x" * 10_000, False),
    ],
)
async def test_http_is_ready_by_its_status(nursery, answer, ready):
    server = await Server(nursery, answer).start()
    result = await check("127.0.0.1", [http(server.port)])
    assert result.ready is ready
    assert bool(result.reason) is not ready
    assert server.heads[0].startswith(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:")


async def test_http_without_an_answer_ends_in_time(nursery):
    server = await Server(nursery, b"").start()
    with trio.fail_after(3):
        result = await check("127.0.0.1", [http(server.port)])
    assert not result.ready
    assert "no answer within 1 s" in result.reason


async def test_tcp_is_ready_when_it_accepts(nursery):
    server = await Server(nursery, b"").start()
    assert (await check("127.0.0.1", [tcp(server.port)])).ready
    refused = await check("127.0.0.1", [tcp(free_port())])
    assert "refused" in refused.reason


async def test_all_probes_must_pass(nursery):
    server = await Server(nursery, b"HTTP/1.1 200 OK\r\n\r\n").start()
    assert (await check("127.0.0.1", [http(server.port), tcp(server.port)])).ready
    assert not (await check("127.0.0.1", [http(server.port), tcp(free_port())])).ready


async def test_with_nothing_to_probe_a_replica_is_ready_when_it_has_run_for_a_while(autojump_clock):
    begun = trio.current_time()
    assert (await until_ready("127.0.0.1", [], 60)).ready
    assert trio.current_time() - begun == STEADY_S


async def test_a_pod_that_starts_late_is_found_soon(nursery):
    server = Server(nursery, b"HTTP/1.1 200 OK\r\n\r\n")

    async def late():
        await trio.sleep(0.2)
        await server.start()

    nursery.start_soon(late)
    begun = trio.current_time()
    assert (await until_ready("127.0.0.1", [http(server.port)], 5)).ready
    assert trio.current_time() - begun < 1


async def test_a_pod_that_never_starts_ends_with_the_limit():
    result = await until_ready("127.0.0.1", [tcp(free_port())], 0.1)
    assert not result.ready
    assert "refused" in result.reason


async def test_a_failure_says_which_probe_was_answered_how_and_how_often(nursery):
    server = await Server(nursery, b"HTTP/1.1 503 Service Unavailable\r\n\r\n").start()
    tally = Tally()
    probes = [http(server.port, container="web")]
    result = await until_ready("127.0.0.1", probes, 1, tally)
    words, _, times = str(tally).rpartition(", ")
    assert words == f"container web: GET /healthz on port {server.port}: status 503"
    assert int(times.removesuffix(" times")) > 3
    assert result.reason == str(tally)


def test_a_tally_is_bounded_and_its_newest_way_stands_first():
    tally = Tally()
    for status in (500, 501, 500, 502, 503, 502):
        tally.add(f"status {status}")
    assert (
        str(tally) == "status 502, 2 times; before that status 503, 1 times; before that status 500, 2 times"
    )


async def test_the_first_probe_waits_for_its_delay_and_the_next_for_its_period(nursery, virtual_time):
    asked: list[float] = []

    async def talk(stream):
        asked.append(trio.current_time())
        await stream.send_all(b"HTTP/1.1 503 Busy\r\n\r\n")

    port = free_port()
    await nursery.start(trio.serve_tcp, talk, port)
    begun = trio.current_time()
    await until_ready("127.0.0.1", [http(port, initial_delay_seconds=30, period_seconds=10)], 100)
    assert asked[0] - begun >= 30
    assert asked[-1] - asked[-2] >= 9
    assert len(asked) < 20


@pytest.mark.parametrize(
    ("probe", "seconds"),
    [
        ({}, 0),
        ({"initialDelaySeconds": 40}, 40),
        ({"periodSeconds": 10, "failureThreshold": 30}, 300),
        ({"periodSeconds": 10, "failureThreshold": 30, "initialDelaySeconds": 5}, 305),
        ({"failureThreshold": 30}, 300),
        ({"periodSeconds": 20}, 60),
    ],
)
def test_a_probe_says_how_long_a_start_may_take(probe, seconds):
    given = {"tcpSocket": {"port": 80}, **probe}
    assert start_seconds(manifest(given, {"tcpSocket": {"port": 81}})) == seconds


def manifest(*probes: dict | None) -> PodManifest:
    containers = [
        {"name": f"c{number}", "image": "oci:x", **({"readinessProbe": probe} if probe else {})}
        for number, probe in enumerate(probes)
    ]
    return PodManifest.model_validate(
        {
            "apiVersion": "trustedpods/v1",
            "kind": "Pod",
            "metadata": {"name": "a"},
            "spec": {"containers": containers},
        }
    )


def test_probes_are_the_manifests_or_a_connection():
    assert probes_of(manifest(None), [8080]) == (tcp(8080),)
    given = {"httpGet": {"path": "/ok", "port": 9000}, "timeoutSeconds": 2}
    assert probes_of(manifest(None, given), [8080]) == (http(9000, "/ok", 2, "c1"),)


@pytest.mark.parametrize(
    "question",
    [
        {"exec": {"command": ["/check"]}},
        {"grpc": {"port": 9000}},
        {"httpGet": {"port": 9000, "scheme": "HTTPS"}},
    ],
)
def test_what_only_the_kubelet_can_ask_is_left_to_it(question):
    assert probes_of(manifest(question), [8080]) == (tcp(8080),)


def test_a_start_takes_the_startup_probes_time_and_then_the_readiness_probes():
    slow = manifest({"exec": {"command": ["/check"]}, "periodSeconds": 5, "failureThreshold": 4})
    [container] = slow.spec.containers
    startup = Probe(tcp_socket=TcpSocket(port=1), initial_delay_seconds=2)
    both = container.model_copy(update={"startup_probe": startup})
    assert (container.start_seconds, both.start_seconds) == (20, 2 + 10 * 3 + 20)


async def test_headers_are_sent_once_and_in_place_of_ours(nursery):
    server = await Server(nursery, b"HTTP/1.1 200 OK\r\n\r\n").start()
    headers = [HttpHeader(name="host", value="shop.example"), HttpHeader(name="X-Probe", value="1")]
    probe = Probe(http_get=HttpGet(port=server.port, http_headers=headers))
    assert (await check("127.0.0.1", [ContainerProbe(probe)])).ready
    head = server.heads[0].decode()
    assert head.lower().count("host:") == 1
    assert "host: shop.example\r\nX-Probe: 1\r\n" in head


async def test_a_probe_must_pass_as_often_in_a_row_as_it_says(nursery, virtual_time):
    statuses = iter([503, 200, 200, 503, 200, 200, 200])
    asked = []

    async def talk(stream):
        asked.append(status := next(statuses))
        await stream.send_all(f"HTTP/1.1 {status} x\r\n\r\n".encode())

    port = free_port()
    await nursery.start(trio.serve_tcp, talk, port)
    result = await until_ready("127.0.0.1", [http(port, success_threshold=3)], 60)
    assert result.ready
    assert asked == [503, 200, 200, 503, 200, 200, 200]


async def test_one_that_never_passes_often_enough_is_told(nursery, virtual_time):
    server = await Server(nursery, b"HTTP/1.1 200 OK\r\n\r\n").start()
    result = await until_ready("127.0.0.1", [http(server.port, success_threshold=50, period_seconds=10)], 15)
    assert not result.ready
    assert "not often enough" in result.reason


def test_sidecars_are_asked_and_start_before_the_others():
    asked = {"tcpSocket": {"port": 9000}}
    proxy = {
        "name": "proxy",
        "image": "oci-archive:x.tar",
        "restartPolicy": "Always",
        "readinessProbe": asked,
        "startupProbe": asked | {"periodSeconds": 10, "failureThreshold": 6},
    }
    one = a_manifest(initContainers=[proxy])
    assert [(probe.container, probe.probe.port) for probe in probes_of(one, [8080])] == [("proxy", 9000)]
    assert start_seconds(one) == one.spec.sidecars[0].start_seconds >= 60

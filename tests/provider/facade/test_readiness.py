# SPDX-License-Identifier: Apache-2.0
"""Readiness, as the facade finds it out."""

import pytest
import trio

from tests.provider.facade.parts import free_port
from trustedpods.manifests.model import HttpGet, PodManifest, Probe, TcpSocket
from trustedpods.provider.facade.readiness import check, probes_of, until_ready


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


def http(port: int, path: str = "/healthz", timeout: int = 1) -> Probe:
    return Probe(http_get=HttpGet(path=path, port=port), timeout_seconds=timeout)


def tcp(port: int) -> Probe:
    return Probe(tcp_socket=TcpSocket(port=port))


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
    assert probes_of(manifest(None, given), [8080]) == (http(9000, "/ok", 2),)

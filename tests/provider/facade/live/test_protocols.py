# SPDX-License-Identifier: Apache-2.0
"""gRPC, plain TCP, WebSocket, trailers and paths through real HAProxy and a real activator."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
import trio

from tests.live.clients import protocols
from tests.provider.facade.echo import EchoPod
from tests.provider.facade.parts import HOST, LiveFacade, get, until
from trustedpods.provider.facade import pages
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeAnswer, WakeRefusal, serve_wakes
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.slots import SlotLimits

pytestmark = pytest.mark.live

in_thread = trio.to_thread.run_sync


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[EchoPod]:
    made = EchoPod(tmp_path)
    yield made
    if made.process.popen is not None:
        await made.process.end()


class Waker:
    """The daemon's part: starts the pod at the first question, then says where the slot's service is."""

    def __init__(self, pod: EchoPod) -> None:
        self.pod = pod
        self.asked: list[int] = []
        self.ports: dict[int, int] = {}
        self.refusal: WakeRefusal | None = None
        self._lock = trio.Lock()

    async def answer(self, slot: int) -> WakeAnswer:
        self.asked.append(slot)
        if self.refusal is not None:
            return self.refusal
        async with self._lock:
            if self.pod.process.popen is None:
                await self.pod.start()
        return WakeAddress("127.0.0.1", self.ports[slot])


async def test_grpc_wakes_a_pod_and_then_goes_straight_to_it(live: LiveFacade, pod: EchoPod, nursery):
    waker = Waker(pod)
    await nursery.start(serve_wakes, live.wake_socket, waker.answer)
    slot = (await live.facade.publish("p.rpc", [HOST], SlotProtocol.H2)).slot
    waker.ports[slot] = pod.web.port

    def cold_and_warm() -> list[bytes]:
        with protocols.channel(f"http://{HOST}:{live.port}") as channel:
            calls = [channel.unary_unary(protocols.ONE).future(b"%d" % n, timeout=60) for n in range(20)]
            return [call.result() for call in calls]

    assert await in_thread(cold_and_warm) == [b"%d" % n for n in range(20)]
    assert len(waker.asked) <= 3, "one question serves all who wait"
    await live.facade.set_pods(slot, [pod.web])
    before = len(waker.asked)
    assert await in_thread(cold_and_warm) == [b"%d" % n for n in range(20)]
    assert len(waker.asked) == before, "an awake pod's calls do not pass the activator"
    stats = (await live.facade.stats([slot]))[slot]
    assert (stats.total, stats.current, stats.held) == (40, 0, 0)


async def test_a_refused_call_says_why_in_http2(live: LiveFacade, pod: EchoPod, nursery):
    """Pitfall 35: the activator speaks no HTTP/2 but this page."""
    waker = Waker(pod)
    waker.refusal = WakeRefusal("its funds have ended", 60)
    await nursery.start(serve_wakes, live.wake_socket, waker.answer)
    await live.facade.publish("p.rpc", [HOST], SlotProtocol.H2)
    answer = await get(live.port, HOST)
    assert answer.status == 503
    assert "retry-after: 60" in answer.head
    assert answer.body == pages.cannot_wake(60).body

    def call() -> grpc.StatusCode:
        with protocols.channel(f"http://{HOST}:{live.port}") as channel:
            with pytest.raises(grpc.RpcError) as refused:
                protocols.call(channel, b"x", 60)
            code: grpc.StatusCode = refused.value.code()
            return code

    assert await in_thread(call) is grpc.StatusCode.UNAVAILABLE


async def test_tcp_wakes_a_pod_and_is_counted(live: LiveFacade, pod: EchoPod, nursery):
    waker = Waker(pod)
    await nursery.start(serve_wakes, live.wake_socket, waker.answer)
    slot = (await live.facade.publish("p.raw", [], SlotProtocol.TCP)).slot
    waker.ports[slot] = pod.raw.port
    port = live.config.tcp_binds[0].port + live.config.pools.slots(SlotProtocol.TCP).index(slot)

    def talk() -> bytes:
        with protocols.tcp(f"tcp://x:{port}") as sock:
            return b"".join(protocols.echoed(sock, b"x" * 5000) for _ in range(100))

    assert await in_thread(talk) == b"x" * 500_000
    await live.facade.set_pods(slot, [pod.raw])
    asked = len(waker.asked)
    assert await in_thread(talk) == b"x" * 500_000
    assert len(waker.asked) == asked

    async def counted() -> bool:
        stats = (await live.facade.stats([slot]))[slot]
        return (stats.current, stats.bytes_in, stats.bytes_out) == (0, 1_000_000, 1_000_000)

    await until(counted, "every byte of both is counted")
    assert await live.facade.withdraw(slot)
    with pytest.raises((OSError, trio.BrokenResourceError)):
        async with await trio.open_tcp_stream("127.0.0.1", port) as refused:
            await refused.receive_some(1)


async def test_a_tcp_connection_is_drained_and_then_wakes_again(live: LiveFacade, pod: EchoPod, nursery):
    waker = Waker(pod)
    await nursery.start(serve_wakes, live.wake_socket, waker.answer)
    slot = (await live.facade.publish("p.raw", [], SlotProtocol.TCP)).slot
    waker.ports[slot] = pod.raw.port
    port = live.config.tcp_binds[0].port
    await pod.start()
    await live.facade.set_pods(slot, [pod.raw])
    async with await trio.open_tcp_stream("127.0.0.1", port) as first:
        await first.send_all(b"one")
        assert await first.receive_some(10) == b"one"
        assert await live.facade.drain(slot) == 1
        async with await trio.open_tcp_stream("127.0.0.1", port) as second:
            await second.send_all(b"two")
            assert await second.receive_some(10) == b"two"
        assert waker.asked == [slot], "what is new waits at the activator"
        await first.send_all(b"three")
        assert await first.receive_some(10) == b"three"


async def test_websockets_trailers_and_paths(live: LiveFacade, pod: EchoPod):
    await pod.start()
    web = (await live.facade.publish("p.web", [HOST])).slot
    api = (await live.facade.publish("p.api", [f"{HOST}/api"])).slot
    await live.facade.set_pods(web, [pod.web])

    def talk() -> list[str | bytes]:
        with protocols.websocket(f"http://{HOST}:{live.port}") as socket:
            for turn in range(50):
                socket.send(b"x" * turn * 100)
            return [socket.recv() for _ in range(50)]

    assert await in_thread(talk) == [b"x" * turn * 100 for turn in range(50)]
    answer = await get(live.port, HOST, "/trailers")
    assert answer.body.endswith(b"x-sum: of-the-body\r\n\r\n")
    assert (await get(live.port, HOST, "/apix")).status == 200, "a path is whole parts"
    await live.facade.set_pods(api, [pod.web])
    for path in ("/api", "/api/", "/api/x?y=/z"):
        assert (await get(live.port, HOST, path)).status == 200
    stats = await live.facade.stats([web, api])
    assert (stats[api].total, stats[web].total) == (3, 3)


async def test_limits_answer_with_small_clear_pages(live: LiveFacade, pod: EchoPod):
    await pod.start()
    limits = SlotLimits(connections=1, rate=None, body_bytes=1000)
    slot = (await live.facade.publish("p.web", [HOST], limits=limits)).slot
    await live.facade.set_pods(slot, [pod.web])
    large = await get(live.port, HOST, "/count", body=b"x" * 1001)
    assert (large.status, b"larger than this service takes" in large.body) == (413, True)
    assert (await get(live.port, HOST, "/count", body=b"x" * 1000)).status == 200
    async with trio.open_nursery() as nursery:
        nursery.start_soon(get, live.port, HOST, "/slow/20")

        async def busy() -> bool:
            return (await live.facade.stats([slot]))[slot].current == 1

        await until(busy, "one request runs")
        crowded = await get(live.port, HOST)
        assert (crowded.status, "retry-after: 1" in crowded.head) == (429, True)
    await live.facade.publish("p.web", [HOST], limits=SlotLimits(rate=3))
    answers = [(await get(live.port, HOST)).status for _ in range(8)]
    assert answers.count(429) >= 2
    crashed = await get(live.port, HOST, "/crash")
    assert (crashed.status, b"trustedpods logs" in crashed.body) in [(502, True), (429, False)]


async def test_who_keeps_a_pod_awake_is_seen_and_can_be_cut(live: LiveFacade, pod: EchoPod):
    """Pitfall 29: one silent connection, and an old one, are no reason to stay awake."""
    await pod.start()
    slot = (await live.facade.publish("p.raw", [], SlotProtocol.TCP)).slot
    await live.facade.set_pods(slot, [pod.raw])
    async with await trio.open_tcp_stream("127.0.0.1", live.config.tcp_binds[0].port) as client:
        await client.send_all(b"x")
        assert await client.receive_some(1) == b"x"
        (session,) = [one for one in await live.facade.sessions() if one.slot == slot]
        assert (session.slot, session.source) == (slot, "127.0.0.1")
        before = (await live.facade.stats([slot]))[slot]
        await live.facade.shut(session)
        with suppress(trio.BrokenResourceError):
            assert await client.receive_some(1) == b""
    after = (await live.facade.stats([slot]))[slot]
    assert (before.current, after.current) == (1, 0)

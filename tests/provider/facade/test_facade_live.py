# SPDX-License-Identifier: Apache-2.0
"""The facade on real HAProxy: cold wake-ups, drains, restarts and what a client sees."""

import signal
from pathlib import Path

import pytest
import trio

from tests.provider.facade.parts import LiveFacade, Pod, everything, get, live_facade, parse, until
from trustedpods.protocol.errors import Refused
from trustedpods.provider.facade.config import FacadeLimits
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.slots import FacadeState, Want
from trustedpods.provider.facade.wake import WakeAddress, WakeAnswer, WakeRefusal, serve_wakes

pytestmark = pytest.mark.live

HOST = "pabc.k1.test.localhost"


class Daemon:
    """The part of the daemon that answers wake-ups: starts the pod, then says where it is."""

    def __init__(self, pod: Pod, nursery: trio.Nursery, *, delay: float = 0.0) -> None:
        self.pod, self.nursery, self.delay = pod, nursery, delay
        self.asked: list[int] = []
        self.refusal: WakeRefusal | None = None
        self.started = False

    async def answer(self, slot: int) -> WakeAnswer:
        self.asked.append(slot)
        await trio.sleep(self.delay)
        if self.refusal:
            return self.refusal
        if not self.started:
            self.started = True
            await self.nursery.start(self.pod.run)
        return WakeAddress("127.0.0.1", self.pod.port)


async def cleared(live: LiveFacade, slot: int) -> bool:
    """Whether the slot's servers are gone; the last connection may take a moment to end."""
    await live.facade.set_pods(slot, [])
    return await live.runtime.servers() == ()


@pytest.fixture
async def live(tmp_path: Path):
    async with live_facade(tmp_path) as facade:
        yield facade


async def test_fifty_requests_to_a_sleeping_pod_are_all_answered(live: LiveFacade, nursery):
    daemon = Daemon(Pod("pod-a"), nursery, delay=0.3)
    await nursery.start(serve_wakes, live.wake_socket, daemon.answer)
    slot = (await live.facade.publish("a", [HOST])).slot
    answers = []

    async def one() -> None:
        answers.append(await get(live.port, HOST))

    async with trio.open_nursery() as clients:
        for _ in range(50):
            clients.start_soon(one)
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"pod-a")] * 50
    assert len(daemon.asked) <= 3, "one question serves all who wait"
    assert set(daemon.asked) == {slot}
    asked = len(daemon.asked)
    await live.facade.set_pods(slot, [daemon.pod.address])
    assert (await get(live.port, HOST)).body == b"pod-a"
    assert len(daemon.asked) == asked, "an awake pod's requests do not pass the activator"
    stats = (await live.facade.stats([slot]))[slot]
    assert (stats.total, stats.current, stats.held) == (51, 0, 0)


async def test_requests_carry_the_clients_address_and_not_what_it_claims(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    await nursery.start(pod.run)
    slot = (await live.facade.publish("a", [HOST])).slot
    await live.facade.set_pods(slot, [pod.address])
    await get(live.port, HOST, head="X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nProxy: evil\r\n")
    head = pod.heads[0].lower()
    assert b"x-forwarded-for: 127.0.0.1" in head
    assert b"x-forwarded-proto: http\r\n" in head + b"\r\n"
    assert b"6.6.6.6" not in head
    assert b"evil" not in head


async def test_connections_to_a_pod_are_used_again(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    await nursery.start(pod.run)
    slot = (await live.facade.publish("a", [HOST])).slot
    await live.facade.set_pods(slot, [pod.address])
    async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
        for _ in range(20):
            await stream.send_all(f"GET /keep HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 200 ")
    assert (await live.facade.stats([slot]))[slot].total == 20
    assert pod.served == 1, "one connection for all"
    await until(lambda: cleared(live, slot), "an idle connection does not keep the server")


async def test_unknown_host_is_404_and_withdrawn_host_too(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    await nursery.start(pod.run)
    missing = await get(live.port, "nobody.localhost")
    assert missing.status == 404
    assert b"No pod is published" in missing.body
    slot = (await live.facade.publish("a", [HOST, "www.own.localhost"])).slot
    await live.facade.set_pods(slot, [pod.address])
    assert (await get(live.port, "WWW.own.localhost:8080")).status == 200
    assert await live.facade.withdraw(slot)
    assert (await get(live.port, HOST)).status == 404
    assert await live.runtime.servers() == ()
    assert (await live.facade.publish("b", ["b.localhost"])).slot == slot, "the slot is free again"


async def test_a_restart_of_haproxy_is_replayed(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    await nursery.start(pod.run)
    published = await live.facade.publish("a", [HOST])
    await live.facade.set_pods(published.slot, [pod.address])
    wanted = FacadeState((Want("a", (HOST,), (pod.address,)),))
    before = await live.facade.sync(wanted)
    assert not before.restarted
    await get(live.port, HOST)
    await live.haproxy.end(signal.SIGKILL)
    await live.start_haproxy()
    assert await live.runtime.servers() == (), "HAProxy forgets servers"
    after = await live.facade.sync()
    assert after.restarted
    assert after.slots == before.slots
    assert (await get(live.port, HOST)).body == b"pod-a"
    assert pod.served == 2
    stats = (await live.facade.stats())[published.slot]
    assert stats.boot != before.boot
    assert stats.total == 1


async def test_a_new_daemon_finds_the_slots_in_the_map_and_cleans_up(live: LiveFacade, nursery):
    pods = [Pod("pod-a"), Pod("pod-b")]
    for pod, label in zip(pods, "ab", strict=True):
        await nursery.start(pod.run)
        slot = (await live.facade.publish(label, [f"{label}.localhost"])).slot
        await live.facade.set_pods(slot, [pod.address])
    fresh = Facade(live.runtime, map_file=live.config.map_file, size=live.config.slots)
    synced = await fresh.sync(FacadeState((Want("b", ("b.localhost",), (pods[1].address,)),)))
    assert synced.slots == {"b": 1}
    assert synced.unfinished == ()
    assert (await get(live.port, "b.localhost")).body == b"pod-b"
    assert (await get(live.port, "a.localhost")).status == 404
    assert [server.name for server in await live.runtime.servers()] == ["pod-b"]
    assert fresh.free_slots == live.config.slots - 1


async def test_a_restart_of_the_daemon_cuts_nothing_and_keeps_pods_serving(live: LiveFacade, nursery):
    pod, gone = Pod("pod-a"), Pod("pod-gone")
    await nursery.start(pod.run)
    slot = (await live.facade.publish("a", [HOST])).slot
    await live.facade.set_pods(slot, [pod.address, gone.address])
    answers = []

    async def download() -> None:
        answers.append(await get(live.port, HOST, "/slow/60"))

    async with trio.open_nursery() as clients:
        clients.start_soon(download)

        async def running() -> bool:
            return (await live.facade.stats([slot]))[slot].current == 1

        await until(running, "the download runs")
        fresh = Facade(live.runtime, map_file=live.config.map_file, size=live.config.slots)
        assert (await fresh.publish("a", [HOST])).slot == slot
        await fresh.sync(FacadeState((Want("a", (HOST,)),)))
        await fresh.sync()
        assert {server.name for server in await live.runtime.servers()} == {"pod-a", "pod-gone"}
        assert (await get(live.port, HOST)).body == b"pod-a"
        await fresh.set_pods(slot, [], [pod.address])
        assert [server.name for server in await live.runtime.servers()] == ["pod-a"]
        await fresh.set_pods(slot, [])
        assert [server.maint for server in await live.runtime.servers()] == [True], "it is not cut"
    assert len(answers[0].body) == 600_000

    async def removed() -> bool:
        await fresh.sync()
        return await live.runtime.servers() == ()

    await until(removed, "a later sync removes it")


async def test_a_pod_that_refuses_falls_back_to_the_activator(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    daemon = Daemon(pod, nursery)
    await nursery.start(serve_wakes, live.wake_socket, daemon.answer)
    slot = (await live.facade.publish("a", [HOST])).slot
    await live.facade.set_pods(slot, [pod.address])  # nothing listens there yet
    with trio.fail_after(5):
        answer = await get(live.port, HOST)
    assert (answer.status, answer.body) == (200, b"pod-a")
    assert daemon.asked == [slot]


async def test_a_slow_download_survives_a_drain_and_new_requests_wait(live: LiveFacade, nursery):
    old, new = Pod("pod-old"), Pod("pod-new")
    daemon = Daemon(new, nursery, delay=0.1)
    await nursery.start(serve_wakes, live.wake_socket, daemon.answer)
    await nursery.start(old.run)
    slot = (await live.facade.publish("a", [HOST])).slot
    await live.facade.set_pods(slot, [old.address])
    async with await trio.open_tcp_stream("127.0.0.1", live.port) as download:
        await download.send_all(
            f"GET /slow/100 HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
        )
        begun = await download.receive_some(100)
        assert await live.facade.drain(slot) == 1
        assert (await get(live.port, HOST)).body == b"pod-new"
        first = (await live.facade.stats([slot]))[slot]
        assert first.current == 1
        rest = begun + await everything(download)
        response = parse(rest)
    assert len(response.body) == 1_000_000
    assert all(response.body[n * 10_000] == n for n in range(100))

    async def quiet() -> bool:
        return (await live.facade.stats([slot]))[slot].current == 0

    await until(quiet, "nothing in flight")
    stats = (await live.facade.stats([slot]))[slot]
    assert [pod.serving for pod in stats.pods] == [False]
    assert stats.bytes_out > first.bytes_out, "bytes count while the download runs"
    await until(lambda: cleared(live, slot), "the old pod's server is removed")


async def test_an_upgraded_connection_through_the_activator_echoes_and_half_closes(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    await nursery.start(serve_wakes, live.wake_socket, Daemon(pod, nursery, delay=0.1).answer)
    slot = (await live.facade.publish("a", [HOST])).slot
    async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
        await stream.send_all(
            f"GET /ws HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n".encode()
        )
        got = await stream.receive_some(1000)
        assert got.startswith(b"HTTP/1.1 101 ")
        for turn in range(20):
            word = b"ping %d" % turn
            await stream.send_all(word)
            assert await stream.receive_some(1000) == word
        stats = (await live.facade.stats([slot]))[slot]
        assert (stats.current, stats.held) == (1, 1)

        async def counted() -> bool:
            return (await live.facade.stats([slot]))[slot].bytes_out > 79 + 100

        await until(counted, "counters move while it runs, every five seconds")
        await stream.send_eof()
        assert await everything(stream) == b"bye"


async def test_kill_of_the_activator_cuts_only_what_it_holds(live: LiveFacade, nursery):
    awake, asleep = Pod("pod-a"), Pod("pod-b")
    daemon = Daemon(asleep, nursery, delay=1000)
    await nursery.start(serve_wakes, live.wake_socket, daemon.answer)
    await nursery.start(awake.run)
    slot = (await live.facade.publish("a", [HOST])).slot
    await live.facade.set_pods(slot, [awake.address])
    await live.facade.publish("b", ["b.localhost"])
    held, download = [], []

    async def fetch(into: list, host: str, path: str) -> None:
        into.append(await get(live.port, host, path))

    async with trio.open_nursery() as clients:
        clients.start_soon(fetch, held, "b.localhost", "/")
        clients.start_soon(fetch, download, HOST, "/slow/50")

        async def asked() -> bool:
            return bool(daemon.asked)

        await until(asked, "the daemon is asked")
        await live.activator.end(signal.SIGKILL)
        refused = await get(live.port, "b.localhost")
        assert refused.status == 503
        assert "retry-after: 5" in refused.head
        await live.start_activator()
        daemon.delay = 0
        assert (await get(live.port, "b.localhost")).body == b"pod-b"
    assert held[0].status == 502
    assert download[0].status == 200
    assert len(download[0].body) == 500_000


async def test_a_restart_of_the_daemon_keeps_what_is_held(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    first, second = Daemon(pod, nursery, delay=1000), Daemon(pod, nursery)
    await live.facade.publish("a", [HOST])
    async with trio.open_nursery() as old:
        await old.start(serve_wakes, live.wake_socket, first.answer)
        answers = []

        async def one() -> None:
            answers.append(await get(live.port, HOST))

        nursery.start_soon(one)

        async def asked() -> bool:
            return bool(first.asked)

        await until(asked, "the first daemon is asked")
        old.cancel_scope.cancel()
    await trio.sleep(0.2)
    assert not answers
    await nursery.start(serve_wakes, live.wake_socket, second.answer)

    async def answered() -> bool:
        return bool(answers)

    await until(answered, "the held request is answered")
    assert answers[0].status == 200
    assert second.asked == [0]


async def test_refusals_say_why_and_when_to_come_back(tmp_path: Path, nursery):
    args = ("--wake-limit", "0.5", "--max-held", "2")
    async with live_facade(tmp_path, activator_args=args) as live:
        daemon = Daemon(Pod("pod-a"), nursery)
        daemon.refusal = WakeRefusal("its funds have ended", 60)
        await nursery.start(serve_wakes, live.wake_socket, daemon.answer)
        await live.facade.publish("a", [HOST])
        refused = await get(live.port, HOST)
        assert refused.status == 503
        assert "retry-after: 60" in refused.head
        assert b"its funds have ended" in refused.body
        daemon.delay = 1000
        answers = []

        async def one() -> None:
            answers.append(await get(live.port, HOST, body=b"x" * 100_000))

        with trio.fail_after(5):
            async with trio.open_nursery() as clients:
                for _ in range(5):
                    clients.start_soon(one)
        assert [answer.status for answer in answers] == [503] * 5
        bodies = [answer.body for answer in answers]
        assert sum(b"too many requests wait" in body for body in bodies) == 3
        assert sum(b"not ready within 0.5 seconds" in body for body in bodies) == 2


async def test_slow_headers_and_greedy_clients_are_turned_away(tmp_path: Path):
    async with live_facade(tmp_path, limits=FacadeLimits(header_s=1, per_source=5)) as live:
        async with await trio.open_tcp_stream("127.0.0.1", live.port) as slow:
            await slow.send_all(b"GET / HTTP/1.1\r\nHost: a.localhost\r\nX-Slow: ")
            with trio.fail_after(5):
                assert parse(await everything(slow)).status == 408
        streams = [await trio.open_tcp_stream("127.0.0.1", live.port) for _ in range(5)]
        with pytest.raises((OSError, trio.BrokenResourceError, AssertionError)):
            await get(live.port, "a.localhost")
        for stream in streams:
            await stream.aclose()


async def test_a_client_that_leaves_frees_its_place(tmp_path: Path, nursery):
    async with live_facade(tmp_path, activator_args=("--max-held", "1")) as live:
        pod = Pod("pod-a")
        daemon = Daemon(pod, nursery, delay=1000)
        await nursery.start(serve_wakes, live.wake_socket, daemon.answer)
        slot = (await live.facade.publish("a", [HOST])).slot
        with trio.move_on_after(0.3):
            await get(live.port, HOST)

        async def gone() -> bool:
            return (await live.facade.stats([slot]))[slot].current == 0

        await until(gone, "HAProxy lets go of it")
        daemon.delay = 0

        async def answered() -> bool:
            return (await get(live.port, HOST)).status == 200

        await until(answered, "the place is free")


async def test_sigterm_lets_what_runs_finish(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    await nursery.start(serve_wakes, live.wake_socket, Daemon(pod, nursery).answer)
    await live.facade.publish("a", [HOST])
    answers = []

    async def one() -> None:
        answers.append(await get(live.port, HOST, "/hold"))

    nursery.start_soon(one)

    async def served() -> bool:
        return pod.served == 1

    await until(served, "the request is at the pod")
    assert live.activator.popen
    live.activator.popen.send_signal(signal.SIGTERM)
    await trio.sleep(0.2)
    assert live.activator.popen.poll() is None
    pod.hold.set()
    assert await trio.to_thread.run_sync(live.activator.popen.wait) == 0
    assert answers[0].body == b"held by pod-a"


async def test_slots_run_out_and_hosts_have_one_owner(live: LiveFacade):
    for number in range(4):
        await live.facade.publish(f"l{number}", [f"h{number}.localhost"])
    assert live.facade.free_slots == 0
    with pytest.raises(Refused) as full:
        await live.facade.publish("l5", ["h5.localhost"])
    assert full.value.rule == "slots"
    with pytest.raises(Refused) as taken:
        await live.facade.publish("l1", ["h1.localhost", "h2.localhost"])
    assert taken.value.rule == "host-taken"
    again = await live.facade.publish("l1", ["other.localhost"])
    assert again.slot == 1
    assert (await get(live.port, "h1.localhost")).status == 404

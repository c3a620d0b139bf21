# SPDX-License-Identifier: Apache-2.0
"""What a restart, a kill, a drain or a refusing pod may cut, on real HAProxy: only its own."""

import signal

import pytest
import trio

from tests.provider.facade.parts import (
    HOST,
    POOLS,
    WAIT_S,
    Daemon,
    LiveFacade,
    Pod,
    cleared,
    everything,
    get,
    parse,
    until,
)
from trustedpods.provider.core.traffic import SlotStats, Traffic, combine, mark_of, traffic_since
from trustedpods.provider.facade.activator.wake import serve_wakes
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.haproxy.files import install
from trustedpods.provider.facade.haproxy.maps import SlotMap
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.slots import FacadeState, ServiceSpec, SlotLimits

pytestmark = pytest.mark.live


async def test_a_restart_of_haproxy_is_replayed(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    await nursery.start(pod.run)
    published = await live.facade.publish("a", [HOST])
    await live.facade.set_pods(published.slot, [pod.address])
    wanted = FacadeState((ServiceSpec("a", (HOST,), (pod.address,)),))
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


@pytest.mark.parametrize("how", ["killed", "reloaded"])
async def test_another_process_is_seen_at_once_by_its_sockets_file(live: LiveFacade, how):
    await live.facade.sync()
    assert not await live.facade.restarted()
    before = live.haproxy.popen
    if how == "killed":
        await live.haproxy.end(signal.SIGKILL)
    else:
        live.haproxy.args = [*live.haproxy.args, "-sf", str(live.haproxy.pid)]
    await live.start_haproxy()
    assert await live.facade.restarted()
    with trio.fail_after(WAIT_S):
        await trio.to_thread.run_sync(before.wait)
    assert (await live.facade.sync()).restarted
    assert not await live.facade.restarted()


async def test_a_new_daemon_finds_the_slots_in_the_map_and_cleans_up(live: LiveFacade, nursery):
    pods = [Pod("pod-a"), Pod("pod-b")]
    for pod, label in zip(pods, "ab", strict=True):
        await nursery.start(pod.run)
        slot = (await live.facade.publish(label, [f"{label}.localhost"])).slot
        await live.facade.set_pods(slot, [pod.address])
    fresh = Facade(live.runtime, map_file=live.config.map_file, pools=live.config.pools)
    synced = await fresh.sync(FacadeState((ServiceSpec("b", ("b.localhost",), (pods[1].address,)),)))
    assert synced.slots == {"b": 1}
    assert synced.unfinished == ()
    assert (await get(live.port, "b.localhost")).body == b"pod-b"
    assert (await get(live.port, "a.localhost")).status == 404
    assert [server.name for server in await live.runtime.servers()] == ["pod-b"]
    assert fresh.free_slots == live.config.pools.http - 1


async def test_slots_that_a_new_daemon_is_to_leave_alone_go_on_until_their_pod_is_published(
    live: LiveFacade, nursery
):
    """It has no key of what stands behind them: nothing of them is known but that it runs."""
    pods = [Pod("pod-a"), Pod("pod-b"), Pod("pod-c")]
    for pod, label in zip(pods, "abc", strict=True):
        await nursery.start(pod.run)
        slot = (await live.facade.publish(label, [f"{label}.localhost"])).slot
        await live.facade.set_pods(slot, [pod.address])
    fresh = Facade(live.runtime, map_file=live.config.map_file, pools=live.config.pools)
    wants = (ServiceSpec("b", ("b.localhost",), (pods[1].address,)),)
    synced = await fresh.sync(FacadeState(wants, untouched=frozenset({"a"})))
    assert synced.slots == {"a": 0, "b": 1}
    await fresh.sync()
    for label, body in (("a", b"pod-a"), ("b", b"pod-b")):
        assert (await get(live.port, f"{label}.localhost")).body == body
    assert (await get(live.port, "c.localhost")).status == 404
    assert (await fresh.publish("a", ["a.localhost"])).slot == 0
    await fresh.set_pods(0, [pods[2].address])
    await fresh.sync()
    assert (await get(live.port, "a.localhost")).body == b"pod-c"
    await fresh.withdraw(0)
    assert (await get(live.port, "a.localhost")).status == 404


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
        fresh = Facade(live.runtime, map_file=live.config.map_file, pools=live.config.pools)
        assert (await fresh.publish("a", [HOST])).slot == slot
        await fresh.sync(FacadeState((ServiceSpec("a", (HOST,)),)))
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
    with trio.fail_after(WAIT_S):
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


async def test_all_slots_are_restored_within_a_second(live: LiveFacade, nursery):
    """From HAProxy's start to the first answer; on a busy machine, in one of three crashes."""
    pod = Pod("pod-a")
    await nursery.start(pod.run)
    for number in range(POOLS.http):
        published = await live.facade.publish(f"p{number}.web", [f"p{number}-{HOST}"])
        await live.facade.set_pods(published.slot, [pod.address])
    took = []
    while not took or (took[-1] >= 1 and len(took) < 3):
        await live.haproxy.end(signal.SIGKILL)
        await live.start_haproxy()
        began = trio.current_time()
        await live.facade.sync()
        assert (await get(live.port, f"p{number}-{HOST}")).body == b"pod-a"
        took.append(trio.current_time() - began)
    assert took[-1] < 1, took


async def test_everything_is_restored_and_nothing_counted_twice(live: LiveFacade, nursery):
    """Pitfall 34, and counters over a restart: three protocols, limits, bytes to the last one."""
    pod = Pod("pod-a")
    await nursery.start(pod.run)
    limits = SlotLimits(connections=50, rate=1000, body_bytes=1000)
    web = await live.facade.publish("p.web", [HOST], limits=limits)
    await live.facade.publish("p.rpc", [f"rpc-{HOST}"], SlotProtocol.H2)
    await live.facade.publish("p.raw", [], SlotProtocol.TCP)
    labels = ("p.web", "p.rpc", "p.raw")
    slots = {label: live.facade.slot_of(label) for label in labels}
    for slot in slots.values():
        await live.facade.set_pods(slot, [pod.address])
    begun = combine({web.slot: web.stats})
    for _ in range(5):
        await get(live.port, HOST, "/bulk/1")
    await live.facade.sync()
    counted, mark = traffic_since(mark_of(begun), combine(await live.facade.stats([web.slot])))
    await live.haproxy.end(signal.SIGKILL)
    await live.start_haproxy()
    assert (await live.facade.sync()).restarted
    assert (await get(live.port, HOST)).body == b"pod-a"
    assert {label: live.facade.slot_of(label) for label in labels} == slots
    assert {server.slot for server in await live.runtime.servers()} == set(slots.values())
    assert (await get(live.port, HOST, "/count/1001", body=b"x" * 1001)).status == 413
    for _ in range(3):
        await get(live.port, HOST, "/bulk/1")
    more, mark = traffic_since(mark, combine(await live.facade.stats([web.slot])))
    again, _ = traffic_since(mark, combine(await live.facade.stats([web.slot])))
    assert again == Traffic()
    total = counted + more
    assert 8_000_000 <= total.bytes_out < 8_010_000
    assert 9 <= total.requests <= 10


async def test_a_changed_set_of_slots_counts_nothing_of_others(live: LiveFacade):
    """A slot's counters hold what its last tenant did: they are nobody's usage but its own."""
    stats = SlotStats("1.1", 0, 10, 1000, 2000)
    mark = mark_of(combine({0: stats}))
    passed, mark = traffic_since(mark, combine({0: stats, 7: SlotStats("1.1", 0, 99, 99_999, 99_999)}))
    assert passed == Traffic()
    later = {0: stats, 7: SlotStats("1.1", 0, 100, 100_000, 100_001)}
    assert traffic_since(mark, combine(later))[0] == Traffic(1, 1, 2)


async def test_an_update_loses_no_limit_before_haproxy_is_told_nor_after(live: LiveFacade):
    """A new daemon at a HAProxy whose file has no map of who asks for anything; then a new file, first."""
    file, asking = live.home / "haproxy.cfg", SlotMap.ASKING.beside(live.config.map_file)
    await live.haproxy.end()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if SlotMap.ASKING not in line))
    await live.start_haproxy()
    await live.facade.publish("p.web", [HOST], https_only=True)
    await live.facade.sync()
    assert (await get(live.port, HOST)).status == 308
    asking.unlink()
    await live.haproxy.end()
    install(live.config, file)
    await live.start_haproxy()
    assert (await get(live.port, HOST)).status == 308

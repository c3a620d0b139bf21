# SPDX-License-Identifier: Apache-2.0
"""The facade on real HAProxy: cold wake-ups, drains, restarts and what a client sees."""

import signal
from pathlib import Path

import pytest
import trio

from tests.provider.facade.parts import (
    HOST,
    Daemon,
    LiveFacade,
    Pod,
    cleared,
    everything,
    get,
    live_facade,
    parse,
    until,
)
from trustedpods.protocol.errors import Refused
from trustedpods.provider.facade import pages
from trustedpods.provider.facade.activator.wake import WakeRefusal, serve_wakes
from trustedpods.provider.facade.haproxy.config import FacadeLimits

pytestmark = pytest.mark.live


async def test_fifty_requests_to_a_sleeping_pod_are_all_answered(live: LiveFacade, nursery):
    daemon = Daemon(Pod("pod-a"), nursery, delay=2)  # all fifty have come by then
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
        assert refused.body == pages.cannot_wake(60).body, "the reason is the publisher's"
        daemon.delay = 1000
        answers = []

        async def one() -> None:
            answers.append(await get(live.port, HOST, body=b"x" * 100_000))

        with trio.fail_after(30):  # the usual wake limit is a minute
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
    assert full.value.rule == "capacity-services"
    with pytest.raises(Refused) as taken:
        await live.facade.publish("l1", ["h1.localhost", "h2.localhost"])
    assert taken.value.rule == "host-taken"
    again = await live.facade.publish("l1", ["other.localhost"])
    assert again.slot == 1
    assert (await get(live.port, "h1.localhost")).status == 404

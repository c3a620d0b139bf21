# SPDX-License-Identifier: Apache-2.0
"""Clients keep their replica by address, header, cookie: over more, a wake, a reload; a restart forgets."""

import re
import signal

import pytest
import trio

from tests.provider.facade.parts import HOST, WAIT_S, Daemon, LiveFacade, Pod, get, reply, until
from trustedpods.provider.facade.activator.wake import serve_wakes
from trustedpods.provider.facade.slots import ServiceSpec

pytestmark = pytest.mark.live

CLIENTS = 20
NAMES = ("pod-a", "pod-b", "pod-c")
RESYNCED = 0x3
"""Of HAProxy's flags of a peers section: nothing is to be learned any more, from this machine or another."""

HEADS = [f"X-Session: {number}\r\n" for number in range(CLIENTS)]


class CookiePod(Pod):
    """Gives each client that has none a cookie of its own."""

    async def on_(self, stream, method, path, rest):
        if b"sid=" in self.heads[-1]:
            await reply(stream, self.name.encode())
            return
        cookie = f"Set-Cookie: sid={self.name}-{self.served}\r\n".encode()
        head = b"HTTP/1.1 200 OK\r\n" + cookie + b"Content-Length: %d\r\n\r\n" % len(self.name)
        await stream.send_all(head + self.name.encode())
        await stream.aclose()


async def published(live: LiveFacade, nursery, affinity: str | None, kind=Pod, count: int = 2):
    """The slot and three replicas, of which *count* get requests."""
    pods = [kind(name) for name in NAMES]
    for pod in pods:
        await nursery.start(pod.run)
    want = ServiceSpec("a", (HOST,), affinity=affinity)
    slot = (await live.facade.publish_all([want]))["a"].slot
    await live.facade.set_pods(slot, [pod.address for pod in pods[:count]])
    return slot, pods


async def asked(live: LiveFacade, head: str = "") -> bytes:
    """Who answers."""
    return (await get(live.port, HOST, head=head)).body


async def each(live: LiveFacade, order: int = 1) -> list[bytes]:
    """Who answers each client. -1: asked the other way round, as HAProxy picks alike after each start."""
    found = {head: await asked(live, head) for head in HEADS[::order]}
    return [found[head] for head in HEADS]


async def test_clients_of_a_header_keep_their_replica_when_more_come_and_when_it_ends(live, nursery):
    slot, pods = await published(live, nursery, "header:X-Session")
    first = await each(live)
    assert set(first) == {b"pod-a", b"pod-b"}
    await live.facade.set_pods(slot, [pod.address for pod in pods])
    assert await each(live) == first
    assert {await asked(live) for _ in range(10 * CLIENTS)} == {b"pod-a", b"pod-b", b"pod-c"}
    await live.facade.set_pods(slot, [pod.address for pod in pods[1:]])
    after = await each(live)
    assert all(now == before for before, now in zip(first, after, strict=True) if before == b"pod-b")
    assert b"pod-a" not in after
    assert await each(live) == after


async def test_a_client_of_an_address_has_one_replica_and_without_affinity_all(live, nursery):
    await published(live, nursery, "ip", count=3)
    assert len({await asked(live) for _ in range(CLIENTS)}) == 1
    await live.facade.publish_all([ServiceSpec("a", (HOST,))])
    assert len({await asked(live) for _ in range(10 * CLIENTS)}) == 3


async def test_a_cookie_leads_back_to_the_replica_that_set_it(live, nursery):
    await published(live, nursery, "cookie:sid", CookiePod, 3)
    for _ in range(CLIENTS):
        answer = await get(live.port, HOST)
        cookie = answer.head.split("set-cookie: ")[1].split("\r\n")[0]
        for _ in range(3):
            assert await asked(live, f"Cookie: {cookie}\r\n") == answer.body


async def test_nobody_sticks_to_the_activator(live, nursery):
    pod = Pod("pod-a")
    daemon = Daemon(pod, nursery)
    await nursery.start(serve_wakes, live.wake_socket, daemon.answer)
    want = ServiceSpec("a", (HOST,), affinity="header:X-Session")
    slot = (await live.facade.publish_all([want]))["a"].slot
    assert await asked(live, HEADS[0]) == b"pod-a"
    await live.facade.set_pods(slot, [pod.address])
    assert await asked(live, HEADS[0]) == b"pod-a"
    assert daemon.asked == [slot]


async def test_a_restart_loses_the_table_and_clients_keep_what_they_get_then(live, nursery):
    await published(live, nursery, "header:X-Session", count=3)
    first = await each(live)
    await live.haproxy.end(signal.SIGKILL)
    await live.start_haproxy()
    await live.facade.sync()
    after = await each(live, -1)
    assert after != first
    assert await each(live) == after


async def knows_its_tables(live: LiveFacade) -> bool:
    """Whether it has what the process before knew, or has waited long enough for it: only then it teaches."""
    flags = re.search(r"flags=0x([0-9a-f]+) resync", await live.runtime.command("show peers"))
    return flags is not None and int(flags[1], 16) & RESYNCED == RESYNCED


async def reloaded(live: LiveFacade) -> None:
    """As `systemctl reload` does by way of the master: a new process, which bids the one before to end."""
    await until(lambda: knows_its_tables(live), "HAProxy knows its tables")
    before = live.haproxy.popen
    assert before is not None
    args = live.haproxy.args
    live.haproxy.args = [*args, "-sf", str(before.pid)]
    try:
        await live.start_haproxy()
    finally:
        live.haproxy.args = args
    await live.facade.sync()
    with trio.fail_after(WAIT_S):
        assert await trio.to_thread.run_sync(before.wait) == 0


async def test_clients_keep_their_replica_over_reloads(live, nursery):
    await published(live, nursery, "header:X-Session", count=3)
    first = await each(live)
    for order in (-1, 1):
        await reloaded(live)
        assert await each(live, order) == first

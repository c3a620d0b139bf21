# SPDX-License-Identifier: Apache-2.0
"""Bodies without a length are ended at their limit, in every version of HTTP, and nothing else is."""

import csv
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import grpc
import pytest
import trio

from tests.live.clients import protocols
from tests.provider.facade.echo import EchoPod
from tests.provider.facade.parts import HOST, WAIT_S, LiveFacade, get, until
from trustedpods.provider.facade.haproxy.sessions import UNSEEN
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.slots import SlotLimits

pytestmark = pytest.mark.live

LIMIT = 100_000
OURS = SlotLimits(body_bytes=LIMIT, stream_bytes=LIMIT)
in_thread = trio.to_thread.run_sync


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[EchoPod]:
    made = EchoPod(tmp_path)
    await made.start()
    yield made
    await made.process.end()


def upload(live: LiveFacade, size: int, *how: str) -> tuple[int, str]:
    """Send *size* bytes without saying so; status and body of the answer."""
    argv = ["curl", "-sS", "--max-time", "60", "-T", "-", "-H", "Expect:", "-H", f"Host: {HOST}", *how]
    argv += ["-w", "\n%{http_code}", f"http://127.0.0.1:{live.port}/count"]
    done = subprocess.run(argv, input=b"x" * size, capture_output=True, check=False)
    body, _, status = done.stdout.decode().rpartition("\n")
    return int(status), body


@pytest.mark.parametrize("how", [(), ("--http2-prior-knowledge",)], ids=["chunked", "h2"])
@pytest.mark.parametrize("protocol", [SlotProtocol.HTTP, SlotProtocol.H2])
async def test_a_body_is_ended_at_the_limit(live: LiveFacade, pod: EchoPod, protocol: SlotProtocol, how):
    slot = (await live.facade.publish("p.web", [HOST], protocol, limits=OURS)).slot
    await live.facade.set_pods(slot, [pod.web])
    for size in (0, 1, LIMIT):
        status, counted = await in_thread(upload, live, size, *how)
        assert (status, counted.split()[0]) == (200, str(size))
    status, page = await in_thread(upload, live, LIMIT + 2, *how)
    assert (status, "larger than this service takes" in page) == (413, True)
    status, _ = await in_thread(upload, live, 5_000_000, *how)
    assert status in (413, 0), "who goes on sending may lose the page with the connection"
    await until(partial(nothing_in_flight, live, slot), "no stream is left behind")
    stats = (await live.facade.stats([slot]))[slot]
    assert stats.total == 5
    assert stats.bytes_in < 4 * LIMIT, "nothing beyond the limit passed"


async def test_what_has_a_length_or_no_limit_is_not_counted(live: LiveFacade, pod: EchoPod):
    limits = SlotLimits(body_bytes=1000, stream_bytes=LIMIT)
    slot = (await live.facade.publish("p.web", [HOST], limits=limits)).slot
    await live.facade.set_pods(slot, [pod.web])
    assert (await get(live.port, HOST, "/count", body=b"x" * 1000)).status == 200
    assert (await get(live.port, HOST, "/count", body=b"x" * 1001)).status == 413
    assert await measured(live) == 0
    assert (await in_thread(upload, live, 10))[0] == 200
    assert await measured(live) == 1
    await live.facade.publish("p.web", [HOST], limits=SlotLimits(body_bytes=LIMIT))
    assert (await in_thread(upload, live, LIMIT * 10))[0] == 200
    assert await measured(live) == 1


async def test_streams_in_both_directions_trailers_and_sources_stay(live: LiveFacade, pod: EchoPod):
    """What takes the longer way is the same to the pod and in the books."""
    slot = (await live.facade.publish("p.rpc", [HOST], SlotProtocol.H2, limits=OURS)).slot
    await live.facade.set_pods(slot, [pod.web])

    def calls() -> list[bytes]:
        with protocols.channel(f"http://{HOST}:{live.port}") as channel:
            return [protocols.call(channel, b"%d" % n, 60) for n in range(20)]

    assert await in_thread(calls) == [b"%d" % n for n in range(20)]
    assert await measured(live) == 20

    def refused() -> grpc.StatusCode:
        with protocols.channel(f"http://{HOST}:{live.port}") as channel:
            with pytest.raises(grpc.RpcError) as caught:
                protocols.call(channel, b"x" * (LIMIT + 1), 60)
            code: grpc.StatusCode = caught.value.code()
            return code

    assert await in_thread(refused) is not grpc.StatusCode.OK
    stats = (await live.facade.stats([slot]))[slot]
    assert (stats.total, stats.current) == (21, 0)


async def test_websockets_are_no_bodies(live: LiveFacade, pod: EchoPod):
    slot = (await live.facade.publish("p.web", [HOST], limits=OURS)).slot
    await live.facade.set_pods(slot, [pod.web])

    def talk() -> list[str | bytes]:
        with protocols.websocket(f"http://{HOST}:{live.port}") as socket:
            for _ in range(20):
                socket.send(b"x" * 10_000)
            return [socket.recv() for _ in range(20)]

    assert await in_thread(talk) == [b"x" * 10_000] * 20


async def test_a_long_upload_is_one_session_and_can_be_shut(live: LiveFacade, pod: EchoPod):
    slot = (await live.facade.publish("p.web", [HOST], limits=OURS)).slot
    await live.facade.set_pods(slot, [pod.web])
    async with await trio.open_tcp_stream("127.0.0.1", live.port) as client:
        head = f"POST /count HTTP/1.1\r\nHost: {HOST}\r\nTrustedpods-Slot: slot9\r\n"
        await client.send_all(f"{head}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n".encode())

        async def seen() -> bool:
            return [one.source for one in await live.facade.sessions() if one.slot == slot] == [UNSEEN]

        await until(seen, "the upload is one session of its slot")
        (session,) = [one for one in await live.facade.sessions() if one.slot == slot]
        await live.facade.shut(session)
        with trio.fail_after(WAIT_S):
            assert b" 502 " in await client.receive_some(1000)
        await until(partial(nothing_in_flight, live, slot), "it is gone")


async def nothing_in_flight(live: LiveFacade, slot: int) -> bool:
    return (await live.facade.stats([slot]))[slot].current == 0


async def measured(live: LiveFacade) -> int:
    """Requests that took the way on which bodies are counted."""
    rows = csv.DictReader((await live.runtime.command("show stat")).removeprefix("# ").splitlines())
    (total,) = [row["stot"] for row in rows if (row["pxname"], row["svname"]) == ("measured", "BACKEND")]
    return int(total)

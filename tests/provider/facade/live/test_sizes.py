# SPDX-License-Identifier: Apache-2.0
"""As many slots as there may be: HAProxy and the activator start with them, the first and the last serve."""

import pytest
import trio

from tests.provider.facade.parts import HOST, Daemon, Pod, get, live_facade
from trustedpods.provider.facade.activator.wake import serve_wakes
from trustedpods.provider.facade.pools import MAX_SLOTS, Pools, SlotProtocol

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_the_first_and_the_last_of_all_slots_wake_and_serve(tmp_path, nursery):
    async with live_facade(tmp_path, pools=Pools(http=MAX_SLOTS - 1, tcp=1)) as live:
        first = (await live.facade.publish("first", [HOST])).slot
        last = (await live.facade.publish("last", [], SlotProtocol.TCP)).slot
        assert (first, last) == (0, MAX_SLOTS - 1)
        daemon = Daemon(Pod("a"), nursery)
        await nursery.start(serve_wakes, live.wake_socket, daemon.answer)
        assert (await get(live.port, HOST)).body == b"a"
        stream = await trio.open_tcp_stream("127.0.0.1", live.config.tcp_binds[0].port)
        async with stream:
            await stream.send_all(REQUEST)
            assert b"".join([piece async for piece in stream]).endswith(b"\r\n\r\na")
        assert daemon.asked == [first, last]
        for slot in (first, last):
            await live.facade.set_pods(slot, [daemon.pod.address])
        assert (await get(live.port, HOST)).body == b"a"
        assert {one.slot for one in await live.runtime.servers()} == {first, last}
        assert (await live.facade.stats([first]))[first].total == 2

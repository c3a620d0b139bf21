# SPDX-License-Identifier: Apache-2.0
"""A facade whose daemon does not lead: it leads nowhere, says so, and cuts nothing that is under way."""

from pathlib import Path

import pytest
import trio

from tests.provider.facade.parts import HOST, LiveFacade, Pod, cleared, get, live_facade, until
from trustedpods.provider.facade import filler, pages
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.slots import FacadeState, ServiceSpec

pytestmark = pytest.mark.live

ME = "node-a:0011"


@pytest.fixture
async def live(tmp_path: Path):
    async with live_facade(tmp_path) as facade:
        facade.facade = facade_of(facade)
        yield facade


def facade_of(live: LiveFacade, daemon: str = ME) -> Facade:
    """As a daemon holds it that was just started."""
    return Facade(live.runtime, map_file=live.config.map_file, pools=live.config.pools, daemon=daemon)


def serving(pod: Pod) -> FacadeState:
    return FacadeState((ServiceSpec("a", (HOST,), (pod.address,)),))


async def test_a_resting_facade_leads_nowhere_and_says_that_another_node_serves(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    await nursery.start(pod.run)
    await live.facade.sync(serving(pod))
    assert (await get(live.port, HOST)).status == 200
    for host in (HOST, "nobody.localhost"):
        await facade_of(live).rest()
        answer = await get(live.port, host)
        assert (answer.status, answer.body) == (503, pages.STANDING_BY.body)
        assert "retry-after: 5" in answer.head
    assert await live.runtime.servers() == ()
    again = facade_of(live)
    await again.rest()
    await again.sync(serving(pod))
    assert (await get(live.port, HOST)).status == 200
    assert (await get(live.port, "nobody.localhost")).status == 404


async def test_it_rests_after_a_restart_of_haproxy_too(live: LiveFacade, nursery):
    await live.facade.rest()
    await live.haproxy.end()
    await live.start_haproxy()
    assert (await get(live.port, HOST)).status == 503


async def test_a_request_under_way_gets_its_answer_and_the_next_one_does_not_get_there(
    live: LiveFacade, nursery
):
    pod, answers = Pod("pod-a"), []
    await nursery.start(pod.run)
    await live.facade.sync(serving(pod))
    (slot,) = live.facade.slots_of("a").values()

    async def ask() -> None:
        answers.append(await get(live.port, HOST, "/hold"))

    async with trio.open_nursery() as asking:
        asking.start_soon(ask)
        await until(lambda: in_flight(live, slot), "the request is with the pod")
        await live.facade.rest()
        assert (await get(live.port, HOST)).status == 503
        (left,) = await live.runtime.servers()
        assert left.maint
        pod.hold.set()
    assert [answer.status for answer in answers] == [200]


async def in_flight(live: LiveFacade, slot: int) -> bool:
    return (await live.runtime.stats([slot]))[slot].current == 1


async def test_ports_of_tcp_are_closed(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    await nursery.start(pod.run)
    spec = ServiceSpec("a", (), (pod.address,), protocol=SlotProtocol.TCP, wished=7)
    await live.facade.sync(FacadeState((spec,)))
    assert live.facade.slots_of("a") == {"a": 7}
    port = live.config.tcp_binds[0].port_plus(1).port
    assert (await get(port, HOST)).status == 200
    await live.facade.rest()
    assert await heard_at(port) == b""


async def heard_at(port: int) -> bytes:
    """What a request to a port of tcp gets, until its connection is closed."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        try:
            await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
            return bytes(await stream.receive_some())
        except trio.BrokenResourceError:
            return b""


async def test_what_another_daemon_of_this_node_serves_stays(live: LiveFacade, nursery):
    pod = Pod("pod-a")
    await nursery.start(pod.run)
    await facade_of(live, "node-a:0022").sync(serving(pod))
    await live.facade.rest()
    assert (await get(live.port, HOST)).status == 200
    filler.note(live.config.map_file, ME, await live.runtime.boot())
    await live.facade.rest()
    assert (await get(live.port, HOST)).status == 503


async def test_books_in_a_file_have_no_other_node_to_rest_for(live: LiveFacade, nursery):
    pod, alone = Pod("pod-a"), Facade(live.runtime, map_file=live.config.map_file, pools=live.config.pools)
    await nursery.start(pod.run)
    await alone.sync(serving(pod))
    await alone.rest()
    assert (await get(live.port, HOST)).status == 200
    live.facade = alone
    await until(lambda: cleared(live, min(alone.slots_of("a").values())), "it is taken down")

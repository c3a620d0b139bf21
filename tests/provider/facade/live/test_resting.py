# SPDX-License-Identifier: Apache-2.0
"""A facade whose daemon does not lead: it leads nowhere, says so, and cuts nothing that is under way."""

from pathlib import Path

import pytest
import trio

from tests.provider.facade.parts import HOST, LiveFacade, Pod, cleared, get, live_facade, until
from trustedpods.provider.facade import filler, pages
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.haproxy.maps import SlotMap
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.slots import FacadeState, ServiceSpec

pytestmark = pytest.mark.live

ME = "node-a:0011"

CUT_WITHIN_S = 20
"""A third of the time for which the activator would keep a request."""


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


async def has_some(answers: list[bytes]) -> bool:
    return bool(answers)


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


async def test_services_keep_their_ports_for_the_daemon_that_comes_back(live: LiveFacade):
    """It wishes for no slot, and publishes in another order."""
    first, second = (ServiceSpec(label, (), protocol=SlotProtocol.TCP) for label in ("a", "b"))
    await live.facade.sync(FacadeState((first, second)))
    before = {label: live.facade.slot_of(label) for label in ("a", "b")}
    await live.facade.rest()
    again = facade_of(live)
    await again.publish_all([second, first])
    assert {label: again.slot_of(label) for label in ("a", "b")} == before
    await again.sync(FacadeState((first,)))
    assert again.slot_of("b") is None


async def test_who_is_held_for_a_replica_is_not_held_for_the_slots_next_one(live: LiveFacade, nursery):
    answers = []
    await live.facade.sync(FacadeState((ServiceSpec("a", (HOST,)),)))
    (slot,) = live.facade.slots_of("a").values()

    async def ask() -> None:
        answers.append(await heard_at(live.port, HOST))

    async with trio.open_nursery() as asking:
        asking.start_soon(ask)
        await until(lambda: in_flight(live, slot), "the activator holds it")
        with trio.fail_after(CUT_WITHIN_S):
            await live.facade.rest()
            await until(lambda: has_some(answers), "it is cut")
    assert b" 200 " not in answers[0]


async def test_a_haproxy_without_the_map_leads_nowhere_too(live: LiveFacade, nursery):
    """It runs with the file of an older version: it cannot say why."""
    pod, file = Pod("pod-a"), live.home / "haproxy.cfg"
    await nursery.start(pod.run)
    await live.haproxy.end()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if SlotMap.RESTING not in line))
    await live.start_haproxy()
    await live.facade.sync(serving(pod))
    assert (await get(live.port, HOST)).status == 200
    assert await live.facade.rest()
    assert (await get(live.port, HOST)).status == 404
    assert await live.runtime.servers() == ()


async def heard_at(port: int, host: str = "") -> bytes:
    """What a request gets, to a port of tcp too, until its connection is closed."""
    try:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            return bytes(await stream.receive_some())
    except (OSError, trio.BrokenResourceError):  # closed as soon as it was opened
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

# SPDX-License-Identifier: Apache-2.0
"""The door to the agent that leads ports: what is asked, and what is taken as an answer."""

import json
from pathlib import Path

import pytest
import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.kernel_ways.door import KernelWaysDoor, parse_told
from trustedpods.provider.core.facade_ways.ways import (
    LEASE_S,
    KernelWay,
    LedConnection,
    WayLoad,
    WaysTold,
    WaysWanted,
)

TOLD = {
    "leading": [31000],
    "loads": [
        {"port": 31000, "address": "10.0.1.2", "open": 1, "moved": 9, "newest": 4},
        {"port": 31001, "address": "10.0.1.3", "open": 0, "moved": 0, "newest": -1},
    ],
    "connections": [
        {"source": "192.0.2.1:5000", "port": 31000, "address": "10.0.1.2", "target": 7000, "age": 3}
    ],
}


async def test_all_that_is_wanted_is_said_in_turn(tmp_path: Path) -> None:
    path, asked = tmp_path / "s", list[dict[str, object]]()
    listener = trio.socket.socket(trio.socket.AF_UNIX)
    await listener.bind(str(path))
    listener.listen()

    async def talk(stream: trio.SocketStream) -> None:
        async with stream:
            asked.append(json.loads(b"".join([data async for data in stream])))
            await stream.send_all(json.dumps(TOLD).encode())

    cut = LedConnection("192.0.2.1", 5000, 31000, "10.0.1.2", 7000)
    wanted = WaysWanted((KernelWay(31000, "shop", "10.0.1.2", 7000, 5),), {31000: "shop"}, 9)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, talk, [trio.SocketListener(listener)])
        door = KernelWaysDoor(path)
        told = await door.tell(wanted, [cut], connections=True)
        await door.tell(wanted)
        nursery.cancel_scope.cancel()
    assert told == parse_told(json.dumps(TOLD).encode(), "x")
    first, second = (int(str(one.pop("turn"))) for one in asked)
    assert 0 < first < second
    assert asked[0] == {
        "ways": [{"port": 31000, "pod": "shop", "address": "10.0.1.2", "target": 7000, "most": 5}],
        "owners": {"31000": "shop"},
        "perSource": 9,
        "seconds": LEASE_S,
        "cut": [{"source": "192.0.2.1:5000", "port": 31000, "address": "10.0.1.2", "target": 7000}],
        "list": True,
    }


def test_an_answer_is_read_as_it_is_said() -> None:
    assert parse_told(json.dumps(TOLD).encode(), "x") == WaysTold(
        frozenset({31000}),
        (WayLoad(31000, "10.0.1.2", 1, 9, 4), WayLoad(31001, "10.0.1.3", 0, 0, None)),
        (LedConnection("192.0.2.1", 5000, 31000, "10.0.1.2", 7000, 3),),
    )


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]",
        b"{}",
        b'{"leading": [true], "loads": []}',
        b'{"leading": [], "loads": [{"port": -1, "address": "a", "open": 0, "moved": 0, "newest": -1}]}',
        b'{"leading": [], "loads": [{"port": 1, "address": 5, "open": 0, "moved": 0, "newest": -1}]}',
        b'{"leading": [], "loads": [], "connections": [{"source": "x"}]}',
        b'{"leading": [], "loads": [], "wrong": "port 22 is none of 31000-31063"}',
    ],
)
def test_what_makes_no_sense_or_is_refused_is_nothing_known(said: bytes) -> None:
    with pytest.raises(NetworkFailure):
        parse_told(said, "x")

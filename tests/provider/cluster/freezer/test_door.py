# SPDX-License-Identifier: Apache-2.0
"""The door to the nodes' agents: what is asked, what is taken as an answer."""

import json
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.freezer.door import (
    ANSWER_LIMIT_S,
    LEASE_S,
    Freezer,
    FrozenView,
    NodeMemory,
    parse_answer,
)
from trustedpods.provider.cluster.freezer.listening import Listener

ONE, OTHER = "11111111-2222-3333-4444-555555555555", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"


@asynccontextmanager
async def agent(path: Path, pods: dict[str, dict[str, object]], **more: object):
    """An agent that always says this; yields what it was asked."""
    asked: list[dict[str, object]] = []
    said = {"pods": pods, "memory": {"total": 9, "available": 4}, **more}
    listener = trio.socket.socket(trio.socket.AF_UNIX)
    await listener.bind(str(path))
    listener.listen()

    async def talk(stream: trio.SocketStream) -> None:
        async with stream:
            asked.append(json.loads(b"".join([data async for data in stream])))
            await stream.send_all(json.dumps(said).encode())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, talk, [trio.SocketListener(listener)])
        yield asked
        nursery.cancel_scope.cancel()


async def test_every_node_is_asked_and_each_tells_of_its_own(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    freezer = Freezer([first, second])
    async with (
        agent(first, {ONE: {"frozen": True, "memory": 3 * 1024 * 1024 + 5}}) as asked,
        agent(second, {OTHER: {"frozen": True, "memory": 0, "restores": True}}),
    ):
        answers = await freezer.freeze({ONE, OTHER})
        assert asked == [{"verb": "freeze", "pods": [ONE, OTHER], "seconds": LEASE_S}]
        told = {uid: view for one in answers for uid, view in one.replicas.items()}
        assert told == {ONE: FrozenView(True, 3), OTHER: FrozenView(True, 0, True)}
        assert answers[0].memory == NodeMemory(9, 4)
        assert await freezer.size([ONE, OTHER]) == told
        with pytest.raises(NetworkFailure, match="2 replicas are not thawed"):
            await freezer.thaw([ONE, OTHER])


async def test_each_node_says_whether_it_pages_out(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    async with agent(first, {}, paging="/dev/sda2 is no compressed memory"), agent(second, {}):
        told = await Freezer([first, second]).paging()
        assert told == ["/dev/sda2 is no compressed memory", "off"]
        with pytest.raises(NetworkFailure):
            await Freezer([first, tmp_path / "3"]).paging()


async def test_a_node_that_is_away_counts_only_for_what_may_be_there(tmp_path: Path) -> None:
    async with agent(tmp_path / "1", {ONE: {"frozen": False, "memory": 0}}):
        both = Freezer([tmp_path / "1", tmp_path / "2"])
        await both.thaw([ONE])
        with pytest.raises(NetworkFailure, match="does not answer"):
            await both.thaw([ONE, OTHER])
        await Freezer([tmp_path / "1"]).thaw([ONE, OTHER])


async def test_a_node_that_hangs_holds_up_nothing_of_the_others(tmp_path: Path) -> None:
    listener = trio.socket.socket(trio.socket.AF_UNIX)
    await listener.bind(str(tmp_path / "2"))
    listener.listen()
    with listener:
        async with agent(tmp_path / "1", {ONE: {"frozen": False, "memory": 0}}):
            with trio.fail_after(ANSWER_LIMIT_S / 2):
                await Freezer([tmp_path / "1", tmp_path / "2"]).thaw([ONE])


async def test_many_are_kept_though_a_node_is_away(tmp_path: Path) -> None:
    async with agent(tmp_path / "1", {ONE: {"frozen": True, "memory": 0}}):
        answers, away = await Freezer([tmp_path / "1", tmp_path / "2"]).keep([ONE, OTHER])
    assert [list(one.replicas) for one in answers] == [[ONE]]
    assert [error.where for error in away] == [str(tmp_path / "2")]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"pods": {}}',
        b'{"pods": {}, "memory": {"total": 1}}',
        b'{"pods": {}, "memory": {"total": -1, "available": 0}}',
        b'{"pods": {"a": {"frozen": 1, "memory": 0}}, "memory": {"total": 1, "available": 0}}',
        b'{"pods": {"a": {"frozen": true, "memory": "0"}}, "memory": {"total": 1, "available": 0}}',
        b'{"pods": {"a": {"frozen": true}}, "memory": {"total": 1, "available": 0}}',
        b'{"pods": {}, "paging": 1, "memory": {"total": 1, "available": 0}}',
        b'{"pods": {}, "paging": "a\\u0007", "memory": {"total": 1, "available": 0}}',
        b'{"pods": {"a": {"frozen": true, "memory": 0, "restores": 1}},"memory": {"total": 1,"available":0}}',
        b'{"pods": {}, "listens": [], "memory": {"total": 1, "available": 0}}',
        b'{"pods": {}, "listens": {"a": ["here:80"]}, "memory": {"total": 1, "available": 0}}',
    ],
)
def test_other_answers_are_refused(answer: bytes) -> None:
    with pytest.raises(NetworkFailure):
        parse_answer(answer, "here")


async def test_where_replicas_listen(tmp_path: Path) -> None:
    told = {"pods": {}, "listens": {ONE: ["0.0.0.0:9999", "127.0.0.1:81"]}}
    async with agent(tmp_path / "1", **told) as asked:
        found = await Freezer([tmp_path / "1", tmp_path / "2"]).listening([ONE, OTHER])
        assert [one["verb"] for one in asked] == ["listening"]
    assert found == {ONE: (Listener(81, own=True), Listener(9999, own=False))}


def test_without_agents_nothing_is_frozen() -> None:
    assert not Freezer().there
    assert Freezer([Path("here")]).there

# SPDX-License-Identifier: Apache-2.0
"""The door to the agent's counters: what it understands, and what it says when it cannot."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from trustedpods.protocol.errors import NetworkFailure, RemoteProtocolError
from trustedpods.provider.cluster.pod_counters import (
    NoTraffic,
    PodCounters,
    TrafficDoor,
    parse_counters,
    parse_policies,
    traffic_source,
)

if TYPE_CHECKING:
    from trio_typing import TaskStatus

ENTRY = {"uid": "u-1", "namespace": "tp-a", "pod": "main-1", "ingressBytes": 7, "egressBytes": 1 << 60}
LIMITED = {**ENTRY, "refusedPackets": 3}
MEANS = PodCounters("u-1", "tp-a", "main-1", 7, 1 << 60)


async def _agent(path: Path, answer: bytes, task_status: "TaskStatus[None]") -> None:
    """An agent's socket that says one thing."""
    with trio.socket.socket(trio.socket.AF_UNIX) as listening:
        await listening.bind(str(path))
        listening.listen(1)
        task_status.started()
        connection, _ = await listening.accept()
        async with trio.SocketStream(connection) as stream:
            await stream.send_all(answer)


async def _ask(path: Path, answer: bytes) -> list[PodCounters]:
    async with trio.open_nursery() as nursery:
        await nursery.start(_agent, path, answer)
        return await TrafficDoor(path).counters()


async def test_counters_are_read_from_the_socket(tmp_path: Path) -> None:
    found = await _ask(tmp_path / "s", json.dumps({"pods": [ENTRY]}).encode())
    assert found == [MEANS]


def test_refused_packets_are_read_where_an_agent_knows_them() -> None:
    assert parse_counters(json.dumps({"pods": [LIMITED, ENTRY]}).encode(), "x") == [
        PodCounters("u-1", "tp-a", "main-1", 7, 1 << 60, 3),
        MEANS,
    ]
    for wrong in (-1, "3", 1.5, None, True):
        with pytest.raises(RemoteProtocolError):
            parse_counters(json.dumps({"pods": [{**ENTRY, "refusedPackets": wrong}]}).encode(), "x")


async def test_an_agent_that_is_away_is_a_network_failure(tmp_path: Path) -> None:
    with pytest.raises(NetworkFailure, match="does not answer"):
        await TrafficDoor(tmp_path / "none").counters()


async def test_every_node_s_agent_is_read_and_one_that_is_away_hides_no_other(tmp_path: Path) -> None:
    other = {**ENTRY, "uid": "u-2"}
    async with trio.open_nursery() as nursery:
        for name, said in (("here", [ENTRY]), ("there", [other]), ("broken", 3)):
            await nursery.start(_agent, tmp_path / name, json.dumps({"pods": said}).encode())
        paths = [str(tmp_path / name) for name in ("here", "there", "broken", "away")]
        found = await traffic_source(paths[0], paths[1:]).counters()
    assert sorted(one.uid for one in found) == ["u-1", "u-2"]


async def test_agents_that_are_all_away_are_a_network_failure(tmp_path: Path) -> None:
    with pytest.raises(NetworkFailure, match="does not answer"):
        await traffic_source(str(tmp_path / "none"), [str(tmp_path / "none either")]).counters()


async def test_a_cluster_without_an_agent_counts_nothing() -> None:
    assert await NoTraffic().counters() == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b'{"pods": 3}',
        b'{"pods": [3]}',
        json.dumps({"pods": [{**ENTRY, "egressBytes": -1}]}).encode(),
        json.dumps({"pods": [{**ENTRY, "egressBytes": True}]}).encode(),
        json.dumps({"pods": [{**ENTRY, "ingressBytes": 1.5}]}).encode(),
        json.dumps({"pods": [{**ENTRY, "uid": ""}]}).encode(),
        json.dumps({"pods": [{"uid": "u"}]}).encode(),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(answer: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not a list of counters"):
        parse_counters(answer, "here")


@pytest.mark.parametrize(
    ("answer", "version"), [({"policies": 1 << 40}, 1 << 40), ({"policies": 0}, 0), ({}, None)]
)
async def test_the_policies_that_stand_are_told_by_their_newest_version(
    tmp_path: Path, answer: dict[str, int], version: int | None
) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(_agent, tmp_path / "s", json.dumps({"pods": [], **answer}).encode())
        assert await TrafficDoor(tmp_path / "s").policies_seen() == version


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b'{"policies": -1}', b'{"policies": "7"}', b'{"policies": true}']
)
def test_a_version_that_makes_no_sense_is_an_error(answer: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_policies(answer, "socket")

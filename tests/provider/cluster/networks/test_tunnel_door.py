# SPDX-License-Identifier: Apache-2.0
"""The door to the program that makes tunnels: what is said, and what is understood of its answer."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from trustedpods.protocol.errors import NetworkFailure, RemoteProtocolError
from trustedpods.provider.cluster.networks.tunnel_door import TunnelDoor, TunnelView, parse_tunnels

if TYPE_CHECKING:
    from trio_typing import TaskStatus


async def _program(path: Path, answer: bytes, heard: list[bytes], task_status: "TaskStatus[None]") -> None:
    """Its socket, for one call."""
    with trio.socket.socket(trio.socket.AF_UNIX) as listening:
        await listening.bind(str(path))
        listening.listen(1)
        task_status.started()
        connection, _ = await listening.accept()
        async with trio.SocketStream(connection) as stream:
            heard.append(b"".join([data async for data in stream]))
            await stream.send_all(answer)


async def test_all_that_is_wanted_is_told_and_what_stands_is_read(tmp_path: Path) -> None:
    heard: list[bytes] = []
    answer = json.dumps({"tp-a": {"since": 7, "heard": {"b": -1}}}).encode()
    async with trio.open_nursery() as nursery:
        await nursery.start(_program, tmp_path / "s", answer, heard)
        found = await TunnelDoor(tmp_path / "s").keep({"tp-a": {"port": 51820}})
    assert json.loads(heard[0]) == {"tp-a": {"port": 51820}}
    assert found == {"tp-a": TunnelView(7, {"b": -1})}


async def test_a_program_that_is_away_is_a_network_failure(tmp_path: Path) -> None:
    with pytest.raises(NetworkFailure, match="does not answer"):
        await TunnelDoor(tmp_path / "none").keep({})


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"{", b'{"a": 1}', b'{"a": {"since": 1}}', b'{"a": {"since": "1", "heard": {}}}',
     b'{"a": {"since": 1, "heard": {"b": 1.5}}}', b'{"a": {"since": 1, "heard": [], "more": 1}}'],
)  # fmt: skip
def test_an_answer_without_sense(answer: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not a list of tunnels"):
        parse_tunnels(answer, "s")

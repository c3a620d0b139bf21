# SPDX-License-Identifier: Apache-2.0
"""The door to HAProxy, against a socket that behaves badly."""

from contextlib import suppress

import pytest
import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError
from trustedpods.provider.core.traffic import PodTraffic, SlotStats
from trustedpods.provider.facade.haproxy.runtime import ASK_EVERY_S, Runtime, parse_stats
from trustedpods.provider.unix_socket import open_listener

STATS = """# pxname,svname,qcur,scur,stot,bin,bout,status,lastsess,
slot4,activator,0,1,3,10,20,no check,2,
slot4,pod-a,0,2,7,100,200,UP,0,
slot4,pod-b,0,1,1,1,2,MAINT,9,
slot4,BACKEND,0,3,10,110,220,UP,0,

# pxname,svname,qcur,scur,stot,bin,bout,status,lastsess,
slot5,activator,0,0,0,0,0,no check,-1,
slot5,BACKEND,0,0,0,0,0,UP,-1,
"""
INFO = "Name: HAProxy\nPid: 77\nUptime_sec: 3\nStart_time_sec: 1795260173\n\n"


class Answering:
    """Replies to every line with the same bytes, slowly if told to."""

    def __init__(self, tmp_path, nursery):
        self.path = tmp_path / "haproxy.sock"
        self.nursery = nursery
        self.lines: list[str] = []

    async def start(self, reply: bytes, *, delay: float = 0, **bounds: float) -> Runtime:
        async def talk(stream: trio.SocketStream) -> None:
            async with stream:
                self.lines.append((await stream.receive_some(65536)).decode())
                await trio.sleep(delay)
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(reply)

        listener = await open_listener(self.path)
        self.nursery.start_soon(trio.serve_listeners, talk, [listener])
        return Runtime(self.path, **{"timeout": 30, **bounds})


@pytest.fixture
def answering(tmp_path, nursery):
    return Answering(tmp_path, nursery)


def test_counters_are_the_backends_and_pods_their_own():
    assert parse_stats("1.2", STATS) == {
        4: SlotStats(
            boot="1.2",
            current=3,
            total=10,
            bytes_in=110,
            bytes_out=220,
            held=1,
            pods=(PodTraffic("pod-a", 2, serving=True), PodTraffic("pod-b", 1, serving=False)),
            last_session_s=0,
        ),
        5: SlotStats("1.2", 0, 0, 0, 0, 0, (), None),
    }


async def test_statistics_are_asked_for_by_slot_together_with_the_process(answering):
    door = await answering.start((INFO + STATS).encode())
    found = await door.stats([5, 4, 4])
    assert answering.lines == ["show info;show stat 1004 6 -1;show stat 1005 6 -1\n"]
    assert found[4].boot == "77.1795260173"
    assert await door.stats([]) == {}


async def test_nobody_there_is_a_network_failure(tmp_path):
    with pytest.raises(NetworkFailure):
        await Runtime(tmp_path / "none.sock").boot()


async def test_no_answer_in_time_is_a_network_failure(answering):
    door = await answering.start(b"", delay=60, timeout=0.5)
    with pytest.raises(NetworkFailure, match="no answer within"):
        await door.command("show info")


async def test_a_refused_command_says_which_and_stops_there(answering):
    door = await answering.start(b"No such server.\n\n")
    with pytest.raises(Refused, match="del server slot0/a: No such server"):
        await door.run(["del server slot0/a", "del server slot0/b"])
    assert len(answering.lines) == 1


async def test_of_a_refused_command_with_a_whole_page_in_it_little_is_said(answering):
    door = await answering.start(b"Unknown map identifier.\n\n")
    with pytest.raises(Refused, match=r"add map .*: Unknown map identifier") as refused:
        await door.run([f"add map public.map k1.example.org/ {'a' * 8000}"])
    assert len(str(refused.value)) < 500


async def test_a_reply_without_end_is_cut_off(answering):
    door = await answering.start(b"x" * 2000, most=1000)
    with pytest.raises(RemoteProtocolError, match="too long"):
        await door.command("show stat")


@pytest.mark.parametrize("reply", [b"", b"garbage", b"Pid: x\nStart_time_sec: 1\n"])
async def test_an_unknown_voice_is_refused(answering, reply):
    door = await answering.start(reply)
    with pytest.raises(RemoteProtocolError):
        await door.boot()


@pytest.mark.parametrize("table", ["# pxname,svname\nslot1,BACKEND\n", STATS.replace("110", "many")])
async def test_statistics_of_another_shape_are_refused(answering, table):
    door = await answering.start((INFO + table).encode())
    with pytest.raises(RemoteProtocolError):
        await door.stats([4])


async def test_servers_of_an_unknown_backend_are_refused(answering):
    door = await answering.start(b"Can't find backend.\n\n")
    with pytest.raises(Refused):
        await door.servers("slot9")


async def test_the_same_process_is_asked_no_oftener_than_it_must_be(answering, mock_clock):
    door = await answering.start(INFO.encode())
    name = await door.boot()
    answering.lines.clear()
    for _ in range(8):
        assert await door.still(name)
    assert len(answering.lines) == 1
    mock_clock.jump(ASK_EVERY_S)
    assert await door.still(name)
    assert len(answering.lines) == 2


async def test_another_process_is_seen_at_once_by_the_file_of_its_socket(answering, nursery):
    door = await answering.start(INFO.encode())
    name = await door.boot()
    assert await door.still(name)
    answering.path.unlink()
    await answering.start(INFO.replace("77", "78").encode())
    assert not await door.still(name)
    assert not await door.still(name), "what was not taken note of is told again"
    assert await door.still(await door.boot())


async def test_a_process_whose_file_is_gone_is_asked_in_vain(answering):
    door = await answering.start(INFO.encode())
    name = await door.boot()
    assert await door.still(name)
    answering.path.unlink()
    with pytest.raises(NetworkFailure):
        await door.still(name)

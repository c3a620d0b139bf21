# SPDX-License-Identifier: Apache-2.0
"""Sockets that outlive the process that listens on them: nobody is refused while it is started again."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.localnet.processes.test_supervisor import seen, stop, supervised
from trustedpods.localnet.processes.fd_store import FdStore
from trustedpods.localnet.processes.units import Part
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.facade.activator.socket_activation import FIRST_DESCRIPTOR, KeptSockets
from trustedpods.provider.facade.activator.wake import WakeRefusal, serve_wakes
from trustedpods.provider.facade.haproxy.config import socket_path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FdStore]:
    made = FdStore(tmp_path / "notify")
    yield made
    made.close()


@pytest.fixture
async def keeping(store: FdStore, nursery: trio.Nursery) -> FdStore:
    nursery.start_soon(store.run)
    return store


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


async def named(store: FdStore, names: str) -> None:
    with trio.fail_after(5):
        while store.environment.get("LISTEN_FDNAMES", "") != names:
            await trio.sleep(0.01)


async def test_what_a_part_sends_is_kept_by_name(keeping, tmp_path):
    sockets = KeptSockets({"NOTIFY_SOCKET": str(keeping.notify)})
    read, write = os.pipe()
    sockets.keep(tmp_path / "a.sock", read)
    sockets.keep(tmp_path / "b.sock", write)
    await named(keeping, "a.sock:b.sock")
    assert keeping.environment["LISTEN_FDS"] == "2"
    copies = keeping.descriptors()
    assert [os.fstat(one).st_ino for one in copies] == [os.fstat(one).st_ino for one in (read, write)]
    assert min(copies) >= FIRST_DESCRIPTOR + 2
    sockets.keep(tmp_path / "a.sock", write)  # in place of the other
    await named(keeping, "b.sock:a.sock")
    for number in (read, write, *copies):
        os.close(number)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.sampled_from(["FDSTORE=1", "FDSTORE=1\nFDNAME=a:b", "FDSTORE=1\nFDNAME=", "READY=1"]))
def test_what_is_not_kept_is_closed(store, text):
    read, write = os.pipe()
    store.take_in(text, [read, write])
    assert not is_open(read)
    assert not is_open(write)
    assert "LISTEN_FDS" not in store.environment


def test_what_is_removed_is_closed(store):
    read, write = os.pipe()
    store.take_in("FDSTORE=1\nFDNAME=pipe", [read])
    store.take_in("FDSTOREREMOVE=1\nFDNAME=pipe", [])
    assert not is_open(read)
    os.close(write)


def test_a_manager_that_is_away_or_hangs_costs_a_moment(tmp_path, caplog):
    KeptSockets({}).keep(tmp_path / "a.sock", 0)
    assert not caplog.text
    sockets = KeptSockets({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    sockets.keep(tmp_path / "a.sock", 0)
    sockets.keep(tmp_path / "b.sock", 0)
    assert caplog.text.count("keeps no sockets") == 1


@pytest.mark.parametrize(
    "told",
    [
        {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a"},
        {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a"},
        {"LISTEN_FDS": "-1", "LISTEN_FDNAMES": "a"},
        {"LISTEN_FDNAMES": "a"},
    ],
)
def test_words_for_another_process_are_not_believed(tmp_path, told):
    environment = dict(told)
    assert KeptSockets(environment).take(tmp_path / "a") is None
    assert not environment


async def test_a_killed_activator_refuses_nobody(tmp_path: Path, nursery: trio.Nursery) -> None:
    asked: list[int] = []

    async def answer(slot: int) -> WakeRefusal:
        asked.append(slot)
        return WakeRefusal("this pod cannot be had", 3)

    await nursery.start(serve_wakes, tmp_path / "wake.sock", answer)
    slots = tmp_path / "slots"
    slots.mkdir()
    command = [
        "-m",
        "trustedpods.provider.facade.activator.activator",
        "--sockets",
        str(slots),
        "--slots",
        "2",
    ]
    command += ["--wake-socket", str(tmp_path / "wake.sock")]
    last = socket_path(slots, 1)

    def probe() -> None:
        if not last.is_socket():
            raise NetworkFailure("it does not listen yet")

    part = Part("activator", (sys.executable, *command), probe, keeps_sockets=True)
    async with supervised(tmp_path, part):
        before = await seen(tmp_path, "activator", "ready")
        assert before.pid is not None
        assert b"cannot be started" in await ask(last)
        inode = last.stat().st_ino
        for round_ in range(2):
            pid = (await seen(tmp_path, "activator", "ready")).pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await seen(tmp_path, "activator", "restarting", after=before.since)
            assert b"cannot be started" in await ask(last)  # it is accepted by the next one
            before = await seen(tmp_path, "activator", "ready", after=before.since)
            assert before.restarts == round_ + 1
        assert last.stat().st_ino == inode
        assert asked == [1, 1, 1]
    await stop(tmp_path)


async def ask(path: Path) -> bytes:
    with trio.fail_after(20):
        stream = await trio.open_unix_socket(str(path))
        async with stream:
            await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
            return b"".join([piece async for piece in stream])


async def test_a_socket_whose_path_is_gone_is_not_taken(tmp_path, keeping):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "gone.sock"))
        listening.listen()
        sockets = KeptSockets({"NOTIFY_SOCKET": str(keeping.notify)})
        sockets.keep(tmp_path / "gone.sock", listening.fileno())
        await named(keeping, "gone.sock")
        sockets._found["gone.sock"] = listening.dup()  # as a process that is started with it has it
        taken = sockets.take(tmp_path / "gone.sock")
        assert taken is not None
        taken.close()
        sockets._found["gone.sock"] = listening.dup()
        (tmp_path / "gone.sock").unlink()
        assert sockets.take(tmp_path / "gone.sock") is None
        await named(keeping, "")

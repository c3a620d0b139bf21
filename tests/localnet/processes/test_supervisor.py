# SPDX-License-Identifier: Apache-2.0
"""The supervisor starts units in order, starts parts again, and takes over what it finds running."""

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from trustedpods.localnet import folders
from trustedpods.localnet.processes import probes, processes
from trustedpods.localnet.processes.supervisor import Supervisor, read_status
from trustedpods.localnet.processes.units import Part, Step, Unit, UnitStatus
from trustedpods.protocol.errors import NetworkFailure

SLEEP = ("sleep", "1000")
LIMIT_S = 20


@asynccontextmanager
async def supervised(state: Path, *units: Unit) -> AsyncIterator[None]:
    """A supervisor at work while the block runs; its parts live on, as after kill -9."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Supervisor(state, units).run)
        yield
        nursery.cancel_scope.cancel()


async def seen(state: Path, unit: str, *states: str, after: float = 0) -> UnitStatus:
    """What the status file says of the unit, once it is in one of the states (since *after*)."""
    with trio.fail_after(LIMIT_S):
        while True:
            for status in read_status(state):
                if status.name == unit and status.state in states and status.since > after:
                    return status
            await trio.sleep(0.02)


async def stop(state: Path) -> None:
    for status in read_status(state):
        process = processes.find(status.pid, status.started)
        if process is not None:
            os.kill(process.pid, signal.SIGKILL)
            await process.ended()


async def test_a_unit_waits_for_what_it_needs(tmp_path: Path) -> None:
    order: list[str] = []
    first = Step("first", lambda: order.append("first"))
    part = Part("part", SLEEP, probes.always, ("first",))
    last = Step("last", lambda: order.append("last"), ("part",))
    async with supervised(tmp_path, last, part, first):
        await seen(tmp_path, "last", "done")
        assert order == ["first", "last"]
    await stop(tmp_path)


async def test_every_change_of_a_unit_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    one = Supervisor(
        tmp_path, [Step("one", lambda: None)], told=lambda status: told.append((status.name, status.state))
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        await seen(tmp_path, "one", "done")
        nursery.cancel_scope.cancel()
    assert told == [("one", "starting"), ("one", "done")]


async def test_a_part_that_ends_is_started_again(tmp_path: Path) -> None:
    async with supervised(tmp_path, Part("part", SLEEP, probes.always)):
        before = await seen(tmp_path, "part", "ready")
        assert before.pid is not None
        os.kill(before.pid, signal.SIGKILL)
        ended = await seen(tmp_path, "part", "restarting")
        assert ended.note == "killed by signal 9"
        after = await seen(tmp_path, "part", "ready")
        assert after.pid != before.pid
        assert after.restarts == 1
    await stop(tmp_path)


async def test_last_words_of_a_part_are_shown(tmp_path: Path) -> None:
    part = Part("part", ("sh", "-c", "echo the reason; exit 3"), probes.always)
    async with supervised(tmp_path, part):
        status = await seen(tmp_path, "part", "restarting")
        assert status.note == "ended with code 3: the reason"
    await stop(tmp_path)


async def test_a_step_is_tried_until_it_works(tmp_path: Path) -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise NetworkFailure("not yet")

    async with supervised(tmp_path, Step("step", work)):
        assert (await seen(tmp_path, "step", "failing")).note == "not yet"
        await seen(tmp_path, "step", "done")


async def test_a_new_supervisor_takes_over_running_parts(tmp_path: Path) -> None:
    part = Part("part", SLEEP, probes.always)
    async with supervised(tmp_path, part):
        before = await seen(tmp_path, "part", "ready")
    async with supervised(tmp_path, part):
        after = await seen(tmp_path, "part", "ready", after=before.since)
        assert after.pid == before.pid
        assert after.pid is not None
        os.kill(after.pid, signal.SIGKILL)
        await seen(tmp_path, "part", "restarting")
    await stop(tmp_path)


async def test_a_part_that_changed_is_replaced(tmp_path: Path) -> None:
    async with supervised(tmp_path, Part("part", SLEEP, probes.always)):
        before = await seen(tmp_path, "part", "ready")
    async with supervised(tmp_path, Part("part", ("sleep", "999"), probes.always)):
        with trio.fail_after(LIMIT_S):
            while (await seen(tmp_path, "part", "ready")).pid == before.pid:
                await trio.sleep(0.02)
    assert processes.find(before.pid, before.started) is None
    await stop(tmp_path)


def test_logs_are_cut_and_their_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    with log.open("ab") as writer:
        writer.write(b"x" * (processes.MAX_LOG_BYTES + 1))
        writer.flush()
        processes.cut_log(log)
        assert log.stat().st_size == 0
        assert log.with_name("part.log.1").stat().st_size == processes.MAX_LOG_BYTES + 1
        writer.write(b"\nnew\n")
    assert log.read_bytes() == b"\nnew\n"
    assert processes.last_line(log) == "new"


def test_a_lock_has_one_holder_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert folders.holder(path) is None
    with folders.exclusive(path, "a test") as lock:
        os.write(lock, b"123")
        assert folders.holder(path) == 123
    assert not path.exists()


async def test_what_was_written_before_a_reboot_does_not_count(tmp_path: Path) -> None:
    async with supervised(tmp_path, Part("part", SLEEP, probes.always)):
        await seen(tmp_path, "part", "ready")
    file = folders.status_file(tmp_path)
    text = file.read_text()
    await stop(tmp_path)
    file.write_text(json.dumps({**json.loads(text), "boot": "another"}))
    assert read_status(tmp_path) == []

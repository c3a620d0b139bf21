# SPDX-License-Identifier: Apache-2.0
"""What a pod wrote can be read while it sleeps, after it crashed, and after it was replaced."""

import sqlite3
from dataclasses import replace

import pytest
import trio

from tests.fakes.provider.caller import Caller, image_of, in_phase, manifest_of, serving, until
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import DeleteBody, LogLines, LogsBody, PodStatus, StatusBody
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.disk import NO_SIZES, DiskSizes
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.core.scaler.types import ScalePhase
from trustedpods.provider.facade.activator.wake import ask
from trustedpods.provider.serving.log_keeper import LogReading, reading_of, whole_lines
from trustedpods.provider.store import last_logs
from trustedpods.provider.store.last_logs import KEPT_RUN_BYTES

RUNNING = PodView("n", "p", "u", "l", "Running", "10.0.0.1", True, 1, None, None, None, 0, 100, 64, 0, "node")
ENDING = replace(RUNNING, deleted_at=5)
OVER = replace(ENDING, over=True)


@pytest.mark.parametrize(
    ("before", "now", "reading"),
    [
        (None, RUNNING, None),
        (RUNNING, RUNNING, None),
        (RUNNING, replace(RUNNING, restarts=1), LogReading.BEFORE),
        (RUNNING, ENDING, LogReading.ENDING),
        (None, ENDING, LogReading.ENDING),
        (ENDING, ENDING, None),
        (ENDING, OVER, None),
        (RUNNING, replace(RUNNING, over=True, phase="Failed"), LogReading.ENDED),
        (OVER, OVER, None),
    ],
)
def test_what_a_change_asks_to_be_read(before, now, reading):
    assert reading_of(before, now) is reading


def test_whole_lines_are_kept():
    assert whole_lines(b"one\ntwo\n") == b"one\ntwo\n"
    long = b"".join(b"line %d\n" % number for number in range(10_000))
    kept = whole_lines(long)
    assert len(kept) <= KEPT_RUN_BYTES
    assert kept.startswith(b"line ")
    assert long.endswith(kept)
    assert whole_lines(b"x" * 2 * KEPT_RUN_BYTES) == b"x" * KEPT_RUN_BYTES


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def logs_of(caller, **body):
    """All pieces of one answer."""
    private, request = caller.signed("logs", LogsBody(**body))
    pieces, final = [], False
    async with caller.talk(private, request) as (_, reply):
        while not final:
            piece, final = await reply(LogLines)
            pieces.append(piece)
    return pieces


def scaler_phase(parts, caller):
    return parts.autoscaler.pod_scaler(caller.ref.channel).state.phase


async def test_a_pod_that_sleeps_has_logs(world, tmp_path, virtual_time):
    async with serving(world) as (parts, caller):
        for text in (b"first\n", b"second\n"):
            await ask(tmp_path / "wake.sock", 0)
            world.cluster.written["web"] = b"begin\n" + text
            (running,) = await logs_of(caller)
            assert (running.data, running.ended_at) == (b"begin\n" + text, None)
            await until(lambda: scaler_phase(parts, caller) is ScalePhase.ASLEEP)
            await until(lambda: not next(iter(world.cluster.lives.values())).pods)
            world.cluster.written.clear()
            (kept,) = await logs_of(caller, tail=1)
            assert kept.data == text
            assert kept.ended_at is not None
        previous = await logs_of(caller, previous=True)
        assert [piece.data for piece in previous] == [b"begin\nfirst\n", b"begin\nsecond\n"]
        assert len({piece.replica for piece in previous}) == 2


async def test_the_run_before_a_restart_is_kept(world, virtual_time):
    async with serving(world) as (parts, caller):
        (life,) = world.cluster.lives.values()
        (pod,) = life.pods.values()
        world.cluster.written["web"] = b"panic\n"
        world.cluster._put(life, replace(pod, restarts=1))
        await until(lambda: kept_runs(parts, caller))
        (piece,) = await logs_of(caller, previous=True)
        assert (piece.data, piece.replica) == (b"panic\n", pod.name)


async def kept_runs(parts, caller):
    return await parts.doors.store.read(last_logs.runs_of, caller.ref.channel)


GONE = [
    b'failed to try resolving symlinks in path "/var/log/pods/n_p_u/web/4.log": lstat: no such file',
    b"unable to retrieve container logs for containerd://0123",
    b'failed to open log file "/var/log/pods/n_p_u/web/4.log": no such file',
]


@pytest.mark.parametrize("words", GONE)
async def test_the_kubelet_s_word_that_a_log_is_gone_is_no_log(world, virtual_time, words):
    """It comes with status 200, names paths of the host, and must not replace what was read before."""
    async with serving(world) as (parts, caller):
        world.cluster.written["web"] = b"last words\n"
        logs = world.cluster.logs

        async def gone_while_it_ends(namespace, pod, container, tail=100, **more):
            data = await logs(namespace, pod, container, tail, **more)
            ending = world.cluster.lives[namespace].pods[pod].deleted_at is not None
            return words if ending else data

        world.cluster.logs = gone_while_it_ends
        await until(lambda: scaler_phase(parts, caller) is ScalePhase.ASLEEP)
        await until(lambda: not next(iter(world.cluster.lives.values())).pods)
        await trio.sleep(1)
        assert [run.data for run in await kept_runs(parts, caller)] == [b"last words\n"]


async def test_a_version_that_failed_leaves_its_logs(world, virtual_time):
    async with serving(world) as (parts, caller):
        world.cluster.written["web"] = b"cannot open the database\n"
        caller.blobs = image_of(b"broken")
        world.ready = False
        with pytest.raises(Refused):
            await caller.provision()
        world.ready = True
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert any(run.data == b"cannot open the database\n" for run in await kept_runs(parts, caller))


async def test_a_first_deploy_that_failed_leaves_its_logs(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        world.cluster.written["web"] = b"no such table\n"
        world.ready = False
        with pytest.raises(Refused):
            await caller.provision()
        world.pass_time(10)
        await until(lambda: in_phase(parts, caller, Phase.FAILED))
        (piece,) = await logs_of(caller)
        assert piece.data == b"no such table\n"


async def test_a_failing_probe_is_told_with_what_the_pod_wrote(world, tmp_path, virtual_time):
    async with serving(world) as (parts, caller):
        await until(lambda: scaler_phase(parts, caller) is ScalePhase.ASLEEP)
        world.ready = False
        world.cluster.written["web"] = b"one\ntwo\n"
        await ask(tmp_path / "wake.sock", 0)

        async def told():
            failure = (await caller.ask("status", StatusBody(), PodStatus)).failure
            return failure is not None and failure.lines == "one\ntwo"

        await until(told)


async def test_of_a_pod_that_was_removed_nothing_is_kept(world, tmp_path, virtual_time):
    async with serving(world) as (parts, caller):
        world.cluster.written["web"] = b"line\n"
        await until(lambda: scaler_phase(parts, caller) is ScalePhase.ASLEEP)
        await until(lambda: kept_runs(parts, caller))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_pass_time, world)
            await caller.ask("delete", DeleteBody(), Done)
            nursery.cancel_scope.cancel()

        async def forgotten():  # once the pod is gone, which is what the delete waits for
            return await kept_runs(parts, caller) == []

        await until(forgotten)
        with pytest.raises(Refused) as caught:
            await logs_of(caller)
        assert caught.value.rule == "phase"


async def test_a_log_that_is_read_until_its_pod_was_removed_is_not_kept(world, virtual_time):
    async with serving(world) as (parts, caller):
        world.cluster.written["web"] = b"line\n"
        logs, removed, asked = world.cluster.logs, trio.Event(), trio.Event()

        async def slow(*arguments, **more):
            asked.set()
            await removed.wait()
            return await logs(*arguments, **more)

        world.cluster.logs = slow
        (life,) = world.cluster.lives.values()
        (pod,) = life.pods.values()
        world.cluster._put(life, replace(pod, restarts=1))
        with trio.fail_after(1):
            await asked.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_pass_time, world)
            await caller.ask("delete", DeleteBody(), Done)
            nursery.cancel_scope.cancel()
        removed.set()
        await trio.sleep(1)
        assert await kept_runs(parts, caller) == []


async def test_a_full_disk_keeps_no_removal_back_and_the_next_end_takes_the_logs(world, virtual_time):
    async with serving(world) as (parts, caller), trio.open_nursery() as nursery:
        other = Caller(world, caller.address)
        await other.provision()
        world.cluster.written["web"] = b"line\n"
        await until(lambda: kept_runs(parts, caller))
        nursery.start_soon(_pass_time, world)
        with world.disk.failing(sqlite3.SQLITE_FULL, ("DELETE FROM kept_logs",)):
            await caller.ask("delete", DeleteBody(), Done)
            await until(lambda: in_phase(parts, caller, Phase.GONE))
            assert await kept_runs(parts, caller)
        await parts.doors.store.write(last_logs.trim_ended)
        assert await kept_runs(parts, caller) == []
        assert await kept_runs(parts, other)
        nursery.cancel_scope.cancel()


async def test_what_is_left_of_a_disk_is_for_the_books(world, tmp_path, virtual_time):
    async with serving(world) as (parts, caller):
        disk = parts.doors.store.disk
        for sizes, kept in ((DiskSizes(reserve=0, least=1 << 62), []), (NO_SIZES, [b"line\n"])):
            disk._sizes = sizes
            await ask(tmp_path / "wake.sock", 0)
            world.cluster.written["web"] = b"line\n"
            await until(lambda: scaler_phase(parts, caller) is ScalePhase.ASLEEP)
            await until(lambda: not next(iter(world.cluster.lives.values())).pods)
            await trio.sleep(1)
            assert [run.data for run in await kept_runs(parts, caller)] == kept


async def _pass_time(world):
    while True:
        await trio.sleep(0.5)
        world.pass_time(1)


async def test_where_nothing_was_written_it_is_said(world):
    async with serving(world) as (_, caller):
        for body, rule in (({"previous": True}, "no-replica"), ({"container": "nobody"}, "container")):
            with pytest.raises(Refused) as caught:
                await logs_of(caller, **body)
            assert caught.value.rule == rule


async def test_a_log_that_cannot_be_read_delays_no_scale_down(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of()

        async def stuck(*_arguments, **_more):
            await trio.sleep_forever()

        world.cluster.logs = stuck
        await caller.provision()
        await until(lambda: scaler_phase(parts, caller) is ScalePhase.ASLEEP)
        await until(lambda: not next(iter(world.cluster.lives.values())).pods)

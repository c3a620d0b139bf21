# SPDX-License-Identifier: Apache-2.0
"""What is kept of logs: sealed, the newest, and never more than its bounds."""

import sqlite3

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.provider.records import pod_record
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.store import last_logs, open_store, pods
from trustedpods.provider.store.last_logs import KEPT_POD_BYTES, KEPT_RUN_BYTES, KEPT_RUNS, KeptRun
from trustedpods.provider.store.vault import Vault

POD = pod_record(phase=Phase.SERVING)
CHANNEL = POD.channel


def run_of(container="web", uid="u1", restarts=0, data=b"hello\n"):
    return KeptRun(container, uid, f"pod-{uid}", restarts, 100, data)


async def test_a_run_is_kept_over_a_restart_of_the_daemon_and_not_of_the_machine(book):
    async with book(b"boot one") as store:
        await store.write(pods.save, POD)
        await store.write(last_logs.keep, CHANNEL, run_of(data=b"a line with a password\n"))
    assert b"password" not in book.everything()
    async with book(b"boot one") as store:
        (run,) = await store.read(last_logs.runs_of, CHANNEL)
        assert run == run_of(data=b"a line with a password\n")
    async with book(b"boot two") as store:
        assert await store.read(last_logs.runs_of, CHANNEL) == []


async def test_a_later_look_at_a_run_takes_the_place_of_an_earlier_one(book):
    async with book(b"boot") as store:
        await store.write(pods.save, POD)
        for run in (run_of(data=b"1\n"), run_of(restarts=1, data=b"x\n"), run_of(data=b"1\n2\n")):
            await store.write(last_logs.keep, CHANNEL, run)
        found = await store.read(last_logs.runs_of, CHANNEL)
    assert [(run.restarts, run.data) for run in found] == [(0, b"1\n2\n"), (1, b"x\n")]


RUNS = st.lists(
    st.tuples(
        st.sampled_from([f"c{number}" for number in range(16)]),
        st.integers(0, 40),
        st.integers(1, 3 * KEPT_RUN_BYTES),
    ),
    max_size=60,
)


@given(RUNS)
@settings(max_examples=15, deadline=None)
def test_no_pod_keeps_more_than_its_bounds(tmp_path_factory, runs):
    trio.run(_fill, tmp_path_factory.mktemp("books") / "store.db", runs)


async def _fill(path, runs):
    async with open_store(path, Vault(b"boot")) as store:
        await store.write(pods.save, POD)
        for container, uid, size in runs:
            await store.write(last_logs.keep, CHANNEL, run_of(container, f"u{uid}", data=b"x" * size))
        found = await store.read(last_logs.runs_of, CHANNEL)
        sealed = sqlite3.connect(path).execute("select sum(length(sealed_text)) from kept_logs").fetchone()[0]
    assert (sealed or 0) <= KEPT_POD_BYTES
    for container in {run.container for run in found}:
        assert sum(run.container == container for run in found) <= KEPT_RUNS
    if runs:
        container, uid, size = runs[-1]
        newest = next(run for run in found if (run.container, run.uid) == (container, f"u{uid}"))
        assert newest.data == b"x" * min(size, KEPT_RUN_BYTES)


async def test_what_is_kept_of_failed_pods_is_bounded_for_all_of_them_together(book):
    failed, standing = pod_record(phase=Phase.FAILED), pod_record(phase=Phase.SERVING)
    standing = pod_record(
        ref=standing.ref.__class__(standing.ref.owner, standing.ref.publisher, b"\x09" * 32)
    )
    async with book(b"boot") as store:
        for record in (failed, standing):
            await store.write(pods.save, record)
            for container in ("a", "b", "c", "d"):
                run = run_of(container, data=b"x" * KEPT_RUN_BYTES)
                await store.write(last_logs.keep, record.channel, run)
        await store.write(last_logs.trim_ended, 3 * KEPT_RUN_BYTES)
        assert [run.container for run in await store.read(last_logs.runs_of, failed.channel)] == ["c", "d"]
        assert len(await store.read(last_logs.runs_of, standing.channel)) == 4
        await store.write(last_logs.forget, standing.channel)
        assert await store.read(last_logs.runs_of, standing.channel) == []


async def test_what_was_being_read_of_a_pod_while_it_was_removed_comes_too_late(book):
    async with book(b"boot") as store:
        await store.write(pods.save, pod_record(phase=Phase.GONE))
        await store.write(last_logs.keep, CHANNEL, run_of())
        assert await store.read(last_logs.runs_of, CHANNEL) == []
        await store.write(pods.save, POD)
        await store.write(last_logs.keep, CHANNEL, run_of())
        await store.write(pods.erase, CHANNEL)
        await store.write(last_logs.keep, CHANNEL, run_of())
        assert await store.read(last_logs.runs_of, CHANNEL) == []
        await store.write(pods.save, POD)
        assert await store.read(last_logs.runs_of, CHANNEL) == []

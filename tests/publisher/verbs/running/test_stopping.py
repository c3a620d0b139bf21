# SPDX-License-Identifier: Apache-2.0
"""`stop` and `start`: from any machine with the key, as often as one likes; what is said meanwhile."""

import json
import shutil

import pytest
import trio

from tests.publisher.test_cli import cli
from tests.publisher.verbs.offers.test_planned import WITH_MODE
from tests.publisher.verbs.test_watch import watched
from trustedpods.protocol.errors import ExitCode, NetworkFailure, Refused
from trustedpods.protocol.messages.pod import PodFailure
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.aftermath import in_turn
from trustedpods.publisher.verbs.networks.whole.books import NewestBooks
from trustedpods.publisher.verbs.running.stopping import start, stop

__all__ = ["cli"]

SOON_S = 60.0
"""More than a provider that answers takes, also where other work has the processors."""


async def turn(bench, act, wait_s=SOON_S):
    return await act(bench.account, "hello", VisitProgress(), bench.journal(), wait_s)


async def test_it_waits_until_no_replica_is_left_and_until_those_are_ready(bench):
    bench.wait(update_look_s=0.01)
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.late = 3
        stopped = await turn(bench, stop)
        assert (stopped.phase, stopped.replicas, stopped.since) == ("parked", 0, bench.chain.now)
        peer.late, peer.least_replicas = 3, 2
        started = await turn(bench, start)
        assert (started.phase, started.ready, started.since) == ("serving", 2, None)


async def test_both_may_be_repeated_from_a_machine_that_has_the_key_alone(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        first = await turn(bench, stop)
        shutil.rmtree(bench.folder / "home")
        assert (await turn(bench, stop)).since == first.since
        await turn(bench, start)
        assert (await turn(bench, start)).since is None
        assert peer.log.count("stop") == peer.log.count("start") == 2


async def test_who_does_not_want_to_wait_is_told_at_once(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.late = 1000
        assert (await turn(bench, stop, 0.0)).replicas == 1
        assert peer.log[-1] == "stop"


async def test_what_takes_too_long_goes_on_and_says_so(bench):
    bench.wait(update_look_s=0.01)
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.late = 100_000
        with pytest.raises(NetworkFailure) as caught:
            await turn(bench, stop, 0.1)
        assert caught.value.rule == "timeout"
        assert "its provider goes on" in caught.value.hint
        assert peer.parked_at is not None


async def test_the_wait_is_for_the_turn_and_the_replicas_together(bench, virtual_time):
    """Another verb here has the pod for most of it, as a deploy does that sends its image."""
    held_s, wait_s = 50.0, 60.0
    holds = trio.Event()

    async def other():
        async with in_turn(bench.account, "hello", "deploy", bench.journal()):
            holds.set()
            await trio.sleep(held_s)

    async with bench.peer().serve() as peer, trio.open_nursery() as nursery:
        await bench.deploy()
        peer.late = 100_000
        nursery.start_soon(other)
        await holds.wait()
        began = trio.current_time()
        bench.wait(turn_s=wait_s)
        with pytest.raises(NetworkFailure, match="after 1 min") as caught:
            await turn(bench, stop, wait_s)
        assert caught.value.rule == "timeout"
        assert peer.parked_at is not None, "it was asked all the same"
        assert trio.current_time() - began < wait_s + 2


async def test_one_that_does_not_start_says_why(bench):
    bench.wait(update_look_s=0.01)
    async with bench.peer().serve() as peer:
        await bench.deploy()
        await turn(bench, stop)
        peer.late, peer.least_replicas = 1000, 1
        peer.failure = PodFailure(
            reason="hello: CrashLoopBackOff",
            container="hello",
            exit_code=1,
            ended_at=1,
            lines="",
            tries=1,
            next_try_at=2,
            by_itself=True,
        )
        with pytest.raises(Refused) as caught:
            await turn(bench, start)
        assert caught.value.rule == "start"
        assert "CrashLoopBackOff" in caught.value.what


async def test_a_deploy_leaves_it_stopped_and_its_plan_says_so(bench, cli):
    file = bench.folder / "pod.yaml"
    async with bench.peer().serve() as peer:
        await bench.deploy()
        await turn(bench, stop)
        same = await cli("deploy", file, "--dry-run")
        assert same.exit_code == 0
        assert "it stays stopped" in same.stdout
        file.write_text(file.read_text().replace(*WITH_MODE))
        planned = await cli("deploy", file, "--dry-run")
        assert planned.exit_code == ExitCode.PLAN_HAS_CHANGES
        assert "one replica runs to prove the new version, then it stays stopped: --start" in planned.stdout
        tree = json.loads((await cli("deploy", file, "--dry-run", "-o", "json")).stdout)
        assert tree["parked"]
        done = await cli("deploy", file, "--yes")
        assert done.exit_code == 0, done.output
        assert "hello is stopped, as before" in done.stderr
        assert "start" not in peer.log
        again = await cli("deploy", file, "--yes", "--start", "-o", "json")
        assert again.exit_code == 0, again.output
        assert "parked" not in json.loads(again.stdout)
        assert peer.log[-1] == "start"
        assert peer.parked_at is None


async def test_the_commands(bench, cli):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        done = await cli("stop", "hello")
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines()[0].startswith("hello is stopped")
        assert "`trustedpods start hello`" in done.stdout
        told = await cli("status", "hello")
        assert "stopped since" in told.stdout
        assert "`trustedpods start hello` lets it run again" in told.stdout
        assert json.loads((await cli("status", "hello", "-o", "json")).stdout)["parked_at"] == peer.parked_at
        listed = (await cli("list")).stdout
        assert "parked" in listed
        assert "`trustedpods start hello`" in listed
        assert json.loads((await cli("list", "-o", "json")).stdout)["pods"][0]["parked_at"] == peer.parked_at
        refused = await cli("restart", "hello")
        assert refused.exit_code == ExitCode.REFUSED
        tree = json.loads((await cli("start", "hello", "-o", "json")).stdout)
        assert (tree["phase"], tree["parked_at"], tree["ready"]) == ("serving", None, 1)
        assert "hello runs: 1 ready of 1" in (await cli("start", "hello")).stdout
        assert "stopped since" not in (await cli("status", "hello")).stdout
        peer.phase = "retained"
        refused = await cli("stop", "hello")
        assert refused.exit_code == ExitCode.REFUSED
        assert "not-serving" in refused.stderr
        wrong = await cli("stop", "hello", "--wait", "soon")
    assert wrong.exit_code == ExitCode.BAD_INPUT


async def test_watch_finds_nothing_wrong_with_it(bench, cli):
    async with bench.peer().serve():
        await bench.deploy()
        await turn(bench, stop)
        watched = await cli("watch", "--once", "-o", "json")
        assert watched.exit_code == 0, watched.output
        (pod,) = json.loads(watched.stdout)["pods"]
        assert (pod["state"], pod["phase"]) == ("ok", "parked")


async def test_a_node_that_is_stopped_is_told_where_the_others_are_and_its_claims_are_looked_at(
    bench, monkeypatch
):
    async def bring(*_):
        return True

    monkeypatch.setattr(NewestBooks, "bring", bring)
    async with bench.peer().serve():
        await bench.deploy()
        await turn(bench, stop)
        assert (await watched(bench)).actions == ("told where other nodes are",)
        bench.chain.pass_time(49 * 3600)
        assert "not claimed for 49 h" in (await watched(bench)).problems[0]

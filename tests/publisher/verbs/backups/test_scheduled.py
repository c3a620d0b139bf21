# SPDX-License-Identifier: Apache-2.0
"""Schedules that `watch` follows, over real libp2p: made when due, one at a time; failures are said."""

import json
from dataclasses import replace

import pytest
import trio

from tests.publisher.test_cli import cli
from tests.publisher.verbs.test_watch import rebooted
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.backups.folder import FolderStore
from trustedpods.publisher.backups.pod_backups import PodBackups
from trustedpods.publisher.commands.options import Common, Run
from trustedpods.publisher.commands.watch import _rounds, _single
from trustedpods.publisher.core.watch import TopUp
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.aftermath import alone
from trustedpods.publisher.verbs.backups.places import backup_records, scope_of
from trustedpods.publisher.verbs.backups.scheduled import follow, make_due, schedule, unschedule
from trustedpods.publisher.verbs.backups.states import state_of, states
from trustedpods.publisher.verbs.pods import visit
from trustedpods.publisher.verbs.running.backup import BackupOptions
from trustedpods.publisher.verbs.watch import WatchOptions, watch_round
from trustedpods.publisher.visits import records

__all__ = ["cli"]

DAY = 24 * 3600


def begun(bench, place, pod="hello", **options):
    return schedule(bench.account, pod, DAY, BackupOptions(str(place), **options), bench.journal())


def earlier(bench, seconds):
    """As if what is kept of the pod's backups had been so many seconds ago."""
    kept, scope = backup_records(), scope_of(bench.account)
    record = kept.load(scope, "hello")
    moved = {"scheduled": record.scheduled.model_copy(update={"since": record.scheduled.since - seconds})}
    if record.last:
        moved["last"] = record.last.model_copy(update={"began": record.last.began - seconds})
    if record.stopped_at:
        moved["stopped_at"] = record.stopped_at - seconds
    if record.failed:
        moved["failed"] = record.failed.model_copy(update={"at": record.failed.at - seconds})
    kept.save(record.model_copy(update=moved))


def names(bench, place):
    return PodBackups(FolderStore(place), "hello", bench.account.publisher.secret).names()


async def test_one_is_made_when_it_is_due_and_the_newest_stay(bench, served, place):
    told = begun(bench, place, keep=2).schedule
    assert (told.every_s, told.keep, told.last, told.failures) == (DAY, 2, None, 0)
    for count in (1, 0):
        assert await make_due(bench.account, (), bench.journal()) == count
    (first,) = names(bench, place)
    for _ in range(2):
        earlier(bench, 3 * DAY)
        assert await make_due(bench.account, (), bench.journal()) == 1
    left = names(bench, place)
    assert (len(left), first in left) == (2, False)
    (state,) = states(bench.account, (), bench.journal())
    assert (state.last, state.failures, state.exit_code) == (left[-1], 0, 0)
    assert "into" in state.line
    assert states(bench.account, ("other",), bench.journal()) == ()


async def test_a_failure_is_kept_with_why_and_tried_again_after_a_pause(bench, served, place):
    begun(bench, place)
    sound, served.programs = served.programs, {}
    for number in (1, 2):
        assert await make_due(bench.account, (), bench.journal()) == 1
        assert "no backup was made" in bench.last.show.warnings[-1]
        state = state_of(bench.account, "hello", bench.journal())
        assert (state.failures, state.exit_code) == (number, 6)
        assert "no tar in hello" in state.line
        assert await make_due(bench.account, (), bench.journal()) == 0
        earlier(bench, 3600)
    served.programs = sound
    assert (await bench.status()).backups.failures == 2
    assert await make_due(bench.account, (), bench.journal()) == 1
    state = state_of(bench.account, "hello", bench.journal())
    assert (state.failures, state.why, state.last) == (0, "", names(bench, place)[0])


async def test_a_stopped_pod_has_nothing_to_back_up_which_is_no_failure_and_said_once(bench, served, place):
    begun(bench, place)

    async def is_stopped():
        raise Refused("no replica of the pod runs: its publisher has stopped it", rule="parked")

    sound = served.programs
    served.programs = sound | {"before the start": is_stopped}
    said = []
    for _ in range(2):
        assert await make_due(bench.account, (), bench.journal()) == 1
        said += [line for line in bench.last.show.lines if "stopped, nothing to back up" in line]
        assert not any("no backup was made" in text for text in bench.last.show.warnings)
        assert await make_due(bench.account, (), bench.journal()) == 0
        state = state_of(bench.account, "hello", bench.journal())
        assert (state.failures, state.exit_code, state.stopped) == (0, 0, True)
        assert "the pod is stopped: nothing to back up" in state.line
        earlier(bench, 3600)
    assert len(said) == 1
    served.programs = sound
    assert await make_due(bench.account, (), bench.journal()) == 1
    state = state_of(bench.account, "hello", bench.journal())
    assert (state.stopped, state.last) == (False, names(bench, place)[0])


async def test_a_place_that_cannot_be_written_stops_nothing_else(bench, served, place):
    place.write_text("a file")
    begun(bench, place)
    await make_due(bench.account, (), bench.journal())
    state = state_of(bench.account, "hello", bench.journal())
    assert (state.exit_code, "[backup-store]" in state.why) == (11, True)


async def test_never_two_at_a_time(bench, served, place):
    begun(bench, place)
    at_once, most = 0, 0
    tar = served.programs["tar"]

    async def slow(command):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await trio.sleep(0.05)
        code = await tar(command)
        at_once -= 1
        return code

    served.programs = served.programs | {"tar": slow}
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(make_due, bench.account, (), bench.journal())
    assert (most, len(names(bench, place))) == (1, 1)


async def test_one_whose_process_died_counts_as_failed(bench, served, place):
    begun(bench, place)
    kept, scope = backup_records(), scope_of(bench.account)
    sound, died = served.programs, trio.CancelScope()

    async def dies(_command):
        died.cancel()
        await trio.sleep_forever()

    served.programs = served.programs | {"tar": dies}
    with died:
        await make_due(bench.account, (), bench.journal())
    state = state_of(bench.account, "hello", bench.journal())
    assert (state.begun is not None, state.failures, state.exit_code) == (True, 0, 0)
    assert await make_due(bench.account, (), bench.journal()) == 0
    record = kept.load(scope, "hello")
    kept.save(record.model_copy(update={"begun": record.begun - 3600}))
    served.programs = {}
    assert await make_due(bench.account, (), bench.journal()) == 1
    assert state_of(bench.account, "hello", bench.journal()).failures == 2
    served.programs = sound
    earlier(bench, 3600)
    assert await make_due(bench.account, (), bench.journal()) == 1
    state = state_of(bench.account, "hello", bench.journal())
    assert (state.failures, state.begun) == (0, None)


async def test_a_schedule_is_followed_until_it_is_taken_away(bench, served, place):
    begun(bench, place)
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow, bench.account, (), bench.journal)
            while not names(bench, place):
                await trio.sleep(0.01)
            while state_of(bench.account, "hello", bench.journal()).last is None:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    assert unschedule(bench.account, "hello").schedule is None
    earlier_names = names(bench, place)
    assert await make_due(bench.account, (), bench.journal()) == 0
    assert names(bench, place) == earlier_names


async def test_only_of_pods_that_are_kept_here(bench, served, place):
    with pytest.raises(Refused) as error:
        begun(bench, place, "other")
    assert error.value.rule == "unknown-pod"


async def test_a_damaged_record_is_said_and_stops_no_round(bench, served, place):
    begun(bench, place)
    (path,) = (bench.folder / "home" / ".local/state/trustedpods/backups").glob("*.pod.json")
    path.write_text("{}")
    assert await make_due(bench.account, (), bench.journal()) == 0
    assert "damaged" in bench.last.show.warnings[0]
    assert (await bench.status()).backups is None


async def test_as_it_is_typed(bench, served, place, cli):
    store = ("--store", place)
    told = json.loads((await cli("backup", "hello", *store, "--every", "1d", "-o", "json")).stdout)[
        "schedule"
    ]
    assert (told["every_s"], told["store"], told["last"], told["exit"]) == (DAY, str(place), None, 0)
    watched = json.loads((await cli("watch", "--once", "-o", "json")).stdout)
    (state,) = watched["backups"]
    assert (state["pod"], state["failures"], state["last"]) == ("hello", 0, names(bench, place)[0])
    assert watched["exit"] == 0
    status = await cli("status", "hello")
    assert f"into {place}  last {state['last']}" in status.stdout
    found = json.loads((await cli("backup", "hello", "--list", "-o", "json")).stdout)
    assert [one["name"] for one in found["backups"]] == [state["last"]]
    served.programs = {}
    earlier(bench, 2 * DAY)
    failed = await cli("watch", "--once")
    assert (failed.exit_code, "FAILED once" in failed.stdout) == (6, True)
    wrong = await cli("backup", "hello", "--every", "1m")
    assert (wrong.exit_code, "from 10m to 366d, or off" in wrong.stderr) == (2, True)
    off = await cli("backup", "hello", "--every", "off")
    assert (off.exit_code, "not backed up by itself" in off.stdout) == (0, True)
    both = await cli("backup", "hello", "--every", "1d", "--list")
    assert both.exit_code == 2


async def test_a_watch_that_goes_on_makes_them_beside_its_rounds(bench, served, place, capsys):
    begun(bench, place)
    run = Run(Common(None, None, "json"))
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_rounds, run, bench.account, WatchOptions(), 0.05)
            told = []
            while not (told and told[-1]["backups"][0]["last"]):
                await trio.sleep(0.05)
                told += [json.loads(line) for line in capsys.readouterr().out.splitlines()]
            nursery.cancel_scope.cancel()
    assert told[-1]["backups"][0]["last"] == names(bench, place)[0]
    assert told[-1]["exit"] == 0


async def test_rounds_go_on_while_a_single_watch_makes_a_long_backup(bench, served, place, monkeypatch):
    """No payment waits for a backup: the pod is looked after until the backup is there."""
    begun(bench, place)
    rounds, tar = 0, served.programs["tar"]

    async def until_more_rounds(command):
        while rounds < 3:
            await trio.sleep(0.01)
        return await tar(command)

    async def counted(*given):
        nonlocal rounds
        rounds += 1
        return await watch_round(*given)

    served.programs = served.programs | {"tar": until_more_rounds}
    monkeypatch.setattr("trustedpods.publisher.verbs.watch.watch_round", counted)
    with trio.fail_after(120):
        told = await _single(Run(Common(None, None, "json")), bench.account, WatchOptions(), 0.05)
    assert rounds >= 3
    assert [one.name for one in told.pods] == ["hello"]
    assert told.backups[0].last == names(bench, place)[0]


async def test_a_schedule_that_was_ended_while_another_pods_backup_was_made_stays_ended(bench, served, place):
    (one,) = records.mine(bench.account, bench.journal())
    records.keep(one.model_copy(update={"name": "later", "channel": "f" * len(one.channel)}), bench.journal())
    begun(bench, place)
    begun(bench, place, "later")
    tar = served.programs["tar"]

    async def ends_the_other(command):
        unschedule(bench.account, "later")
        return await tar(command)

    served.programs = served.programs | {"tar": ends_the_other}
    assert await make_due(bench.account, (), bench.journal()) == 1
    assert backup_records().load(scope_of(bench.account), "later").scheduled is None


async def test_what_cannot_be_kept_ends_no_rounds(bench, served, place):
    begun(bench, place)
    folder = bench.folder / "home" / ".local/state/trustedpods/backups"
    (path,) = folder.glob("*.pod.json")
    raw = path.read_bytes()

    async def damages(_command):
        path.write_bytes(b"{}")
        return 1

    served.programs = served.programs | {"tar": damages}
    with pytest.raises(BadInput, match="damaged"):
        await make_due(bench.account, (), bench.journal())
    path.write_bytes(raw)
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow, bench.account, (), bench.journal)
            while path.read_bytes() != b"{}":
                await trio.sleep(0.01)
            while not any("no backup can be made" in one for one in bench.last.show.warnings):
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()


async def test_a_fault_of_ours_is_a_failure_that_is_told(bench, served, place):
    begun(bench, place)

    async def breaks(*_):
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError("marker")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trustedpods.publisher.verbs.backups.scheduled.backup", breaks)
        assert await make_due(bench.account, (), bench.journal()) == 1
    state = state_of(bench.account, "hello", bench.journal())
    assert (state.failures, "ZeroDivisionError: marker" in state.why) == (1, True)


async def test_a_backup_that_is_drawn_out_keeps_no_notice_back(bench, served):
    """A provider that cheats might make a backup last for hours: the deposit's notice does not wait."""
    served.faults.add("forged-report")
    options = WatchOptions(patience_s=0, unlock=True)
    with alone(bench.account, "hello", "backup"):
        (pod,) = (await watch_round(bench.account, options, bench.journal())).pods
    assert pod.actions == ("deposit unlocking",)


async def test_what_watch_paid_stays_counted_beside_a_visit_that_lasts(bench, served):
    async with (
        visit(bench.account, "hello", VisitProgress(), bench.journal()) as long,
        visit(bench.account, "hello", VisitProgress(), bench.journal()) as paying,
    ):
        paying.remember(paid_day="2026-11-29", paid=7)
        long.remember(holder=None)
    (kept,) = records.mine(bench.account, bench.journal())
    assert (kept.paid_day, kept.paid, kept.holder) == ("2026-11-29", 7, None)


async def test_rounds_of_a_single_watch_add_up(bench, served):
    first = await watch_round(bench.account, WatchOptions(), bench.journal())
    served.faults.add("forged-report")
    second = await watch_round(bench.account, WatchOptions(patience_s=0), bench.journal())
    (sound,), (bad,) = first.pods, second.pods
    paid = replace(sound, paid=TokenUnits(5), actions=("paid",))
    assert (sound.exit_code, bad.exit_code) == (0, 9)
    for one, other in ((paid, bad), (bad, paid)):
        both = one.followed_by(other)
        assert (both.exit_code, both.state, both.problems) == (9, bad.state, bad.problems)
        assert (both.paid, both.actions) == (5, ("paid",))
    assert paid.followed_by(paid).paid == 10
    assert replace(first, pods=()).followed_by(second).pods == second.pods
    assert first.followed_by(replace(second, pods=())).pods == first.pods


async def test_two_that_watch_pay_no_more_than_the_day_allows(bench, served):
    """A long backup of `watch --once` lets rounds of two processes meet."""
    ((_, life),) = bench.chain.lives.items()
    served.runway, before, allowed = 600, life.channel.left, TopUp(24 * 3600, 1)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(
                watch_round, bench.account, WatchOptions(patience_s=0, top_up=allowed), bench.journal()
            )
    ((_, life),) = bench.chain.lives.items()
    assert life.channel.left - before == 1


async def test_what_a_reboot_asks_for_is_left_to_the_rounds(bench, place):
    async with rebooted(bench) as peer:
        begun(bench, place)
        assert await make_due(bench.account, (), bench.journal()) == 1
        assert "provision" not in peer.log
        assert state_of(bench.account, "hello", bench.journal()).failures == 1

# SPDX-License-Identifier: Apache-2.0
"""A provider takes its row out of the registry: nothing that needs only the chain needs the row."""

import shutil

import pytest

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.money import Funding
from trustedpods.publisher.market.locations import find_pod
from trustedpods.publisher.market.unlisted import is_channel
from trustedpods.publisher.results.money import CloseProgress, FundProgress
from trustedpods.publisher.results.pods import DeleteProgress
from trustedpods.publisher.verbs import money, pods
from trustedpods.publisher.verbs.bill import bill
from trustedpods.publisher.verbs.watch import WatchOptions, watch_round
from trustedpods.publisher.visits.records import pod_records


@pytest.fixture
async def vanished(bench):
    """A pod that serves at a provider whose row is gone; the bench, and the channel's life."""
    async with bench.peer().serve():
        await bench.deploy()
        bench.chain.rows.clear()
        ((_, life),) = bench.chain.lives.items()
        yield bench, life


def forget_everything():
    shutil.rmtree(state_dir())


def forget_the_names():
    (state_dir() / "names.json").unlink()


def forget_the_record():
    for channel in pod_records().channels():
        pod_records().forget(channel)


WAYS = {
    "by name": lambda _: "hello",
    "by id": lambda life: channel_hex(life.channel.id),
}
LOSSES = {
    "all is kept": lambda: None,
    "no record": forget_the_record,
    "no names": forget_the_names,
    "nothing is kept": forget_everything,
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("way", WAYS)
async def test_the_exit_needs_no_row(vanished, way, loss):
    bench, life = vanished
    LOSSES[loss]()
    await money.close(bench.account, WAYS[way](life), False, CloseProgress(), bench.journal())
    assert life.channel.unlock_at > 0
    bench.chain.pass_time(life.channel.terms.unlock_s + 1)
    result = await money.close(bench.account, WAYS[way](life), False, CloseProgress(), bench.journal())
    assert life.closed is not None
    assert [one.outcome.state for one in result.channels] == ["closed"]


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_channel_is_itself_alone_and_no_other_pod_of_the_key(bench, loss):
    async with bench.peer().serve():
        await bench.deploy("one")
        await bench.deploy("other")
        LOSSES[loss]()
        one, other = bench.chain.lives.values()
        found, more = await find_pod(bench.account, channel_hex(one.channel.id), everywhere=True)
        assert (found.ref.channel, more) == (one.channel.id, [])
        with pytest.raises(Refused) as caught:
            await find_pod(bench.account, "0" * 48, everywhere=True)
        assert caught.value.rule == "unknown-pod"
        told = await money.close(
            bench.account, channel_hex(one.channel.id), False, CloseProgress(), bench.journal()
        )
        assert [each.channel for each in told.channels] == [one.channel.id]
        assert (one.channel.unlock_at > 0, other.channel.unlock_at) == (True, 0)


@pytest.mark.parametrize("way", WAYS)
async def test_a_top_up_needs_none(vanished, way):
    bench, life = vanished
    left = life.channel.left
    await money.fund(
        bench.account, WAYS[way](life), Funding(seconds=3600), None, FundProgress(), bench.journal()
    )
    assert life.channel.left > left


@pytest.mark.parametrize(
    "verb",
    [
        pods.status,
        pods.delete,
        lambda account, name, progress, journal: bill(account, name, None, progress, journal),
        lambda account, name, progress, journal: pods.logs(
            account, name, LogsBody(), print, progress, journal
        ),
    ],
    ids=["status", "delete", "bill", "logs"],
)
async def test_what_needs_the_provider_says_how_to_leave_it(vanished, verb):
    bench, life = vanished
    progress = DeleteProgress()
    with pytest.raises(Refused) as caught:
        await verb(bench.account, "hello", progress, bench.journal())
    assert caught.value.rule == "no-provider"
    assert f"trustedpods close {channel_hex(life.channel.id)}" in caught.value.hint
    assert progress.channel is not None
    assert progress.channel.live.left == life.channel.left


@pytest.mark.parametrize("unlock", [False, True])
async def test_watch_raises_an_alarm_and_gives_notice_where_it_may(vanished, unlock):
    bench, life = vanished
    found = await watch_round(bench.account, WatchOptions(patience_s=0, unlock=unlock), bench.journal())
    (pod,) = found.pods
    assert (pod.state, pod.exit_code) == ("alarm", 3)
    assert any("no longer in the registry" in problem for problem in pod.problems)
    assert (life.channel.unlock_at > 0) == unlock


async def test_a_channel_elsewhere_is_closed_too(bench):
    """One provider has a row and one has none: `close` takes what lies at both."""
    async with bench.peer().serve():
        await bench.deploy()
        bench.chain.rows.clear()
        async with bench.peer().serve():
            await bench.deploy()
            forget_everything()
            await money.close(bench.account, "hello", False, CloseProgress(), bench.journal())
    assert [life.channel.unlock_at > 0 for life in bench.chain.lives.values()] == [True, True]


async def test_a_row_that_is_there_serves_dialling_by_id_too(bench):
    async with bench.peer().serve():
        await bench.deploy()
        ((_, life),) = bench.chain.lives.items()
        result = await bench.status(channel_hex(life.channel.id))
    assert result.phase == "serving"


async def test_a_damaged_record_hides_nothing(vanished):
    bench, life = vanished
    for path in (state_dir() / "pods").glob("*.json"):
        path.write_text("{")
    location, _ = await find_pod(bench.account, "hello")
    assert (location.ref.channel, location.listed) == (life.channel.id, False)


def test_ids_are_told_from_names():
    assert is_channel("0" * 48)
    for name in ("hello", "0" * 47, "0" * 49, "G" * 48, ""):
        assert not is_channel(name)

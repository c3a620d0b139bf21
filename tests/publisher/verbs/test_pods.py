# SPDX-License-Identifier: Apache-2.0
"""Verbs on a pod that exists, over real libp2p."""

import json

import pytest
import trio

from tests.publisher.test_cli import cli
from tests.publisher.verbs.test_watch import watched
from trustedpods.contracts.terms import due
from trustedpods.protocol.errors import BadInput, ExitCode, NetworkFailure, Refused, RemoteProtocolError
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.protocol.units import Usage
from trustedpods.publisher.commands.lines.pods import status_lines
from trustedpods.publisher.core.money import Funding, parse_funding
from trustedpods.publisher.results.money import CloseProgress, FundProgress
from trustedpods.publisher.results.pods import DeleteProgress, VisitProgress
from trustedpods.publisher.verbs import money, pods
from trustedpods.publisher.verbs.bill import bill

__all__ = ["cli"]


async def close(bench):
    """What became of the pod's only channel."""
    result = await money.close(bench.account, "hello", False, CloseProgress(), bench.journal())
    return result.channels[0].outcome


def channel_of(bench):
    ((_, life),) = bench.chain.lives.items()
    return life.channel


async def test_status_says_what_deploy_said(bench):
    async with bench.peer().serve():
        deployed = await bench.deploy()
        status = await bench.status()
    assert status.confirmed == deployed.confirmed
    assert status.pod.channel.provider == deployed.chosen.provider
    assert status.pod.channel.id == deployed.chosen.channel
    assert (status.phase, status.runway_s) == ("serving", 3600)


async def test_a_statement_by_another_key_is_refused(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.statement = peer.statement.model_copy(update={"signature": bytes(64)})
        with pytest.raises(RemoteProtocolError):
            await bench.status()


async def test_no_such_pod(bench):
    async with bench.peer().serve():
        with pytest.raises(Refused) as caught:
            await bench.status()
    assert caught.value.rule == "unknown-pod"


async def test_a_chain_that_cannot_be_read_is_not_no_pod(bench):
    async with bench.peer().serve():
        await bench.deploy()
        bench.chain.broken = True
        with pytest.raises(NetworkFailure):
            await bench.status()


async def test_logs(bench):
    pieces = []
    async with bench.peer().serve():
        await bench.deploy()
        await pods.logs(bench.account, "hello", LogsBody(), pieces.append, VisitProgress(), bench.journal())
    assert [(piece.container, piece.data) for piece in pieces] == [
        ("hello", b"line one\n"),
        ("hello", b"line two\n"),
    ]


async def test_delete_reports_the_refund(bench):
    before = bench.chain.tokens[bench.address]
    async with bench.peer().serve():
        await bench.deploy(funding=Funding(seconds=3600))
        deleted = await bench.delete()
        assert bench.chain.tokens[bench.address] == before
        assert deleted.money.state == "released"
        ended = await bench.status()
    assert ended.pod.channel.live is None


async def test_delete_says_what_it_keeps_and_purge_ends_that_too(bench):
    asked = []

    def agree(volumes):
        asked.append(volumes)
        return len(asked) > 1

    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.outliving = {"data-pod-0": 512, "data-pod-1": 512}
        with pytest.raises(Refused) as caught:
            await bench.delete(agree=agree)
        assert (caught.value.rule, peer.phase) == ("not-agreed", "serving")
        deleted = await bench.delete(agree=agree)
        assert deleted.money is None
        assert deleted.retained == asked[1]
        assert deleted.retained.claims == peer.outliving
        assert channel_of(bench).left > 0
        status = await bench.status()
        assert (status.phase, status.confirmed) == ("retained", None)
        expected = due(Usage(storage_mib_s=1024), peer.prices)
        assert status.outliving.day in range(expected * 86_400, (expected + 1) * 86_400)
        left = channel_of(bench).left - peer.accrued
        lasts = status.outliving.lasts_s
        cost = due(Usage(storage_mib_s=1024 * (lasts + 60)), peer.prices)
        assert cost <= left < due(Usage(storage_mib_s=1024 * (lasts + 61)), peer.prices) + 1
        assert "outlive a delete" in status_lines(status)[-2]
        ended = await bench.delete(purge=True)
        assert (ended.retained, ended.money.state) == (None, "released")


@pytest.mark.parametrize(
    ("faults", "state"), [({"hangs-up-late"}, "released"), ({"hangs-up-late", "keeps-money"}, "open")]
)
async def test_a_removal_that_breaks_off_says_where_the_deposit_is(bench, faults, state):
    bench.wait(unsure_s=0.1)
    progress = DeleteProgress()
    async with bench.peer().serve() as peer:
        await bench.deploy()
        left, peer.faults = channel_of(bench).left, faults
        with pytest.raises(NetworkFailure):
            await pods.delete(bench.account, "hello", progress, bench.journal())
    assert (progress.money.state, progress.money.refund or progress.money.left) == (state, left)
    assert progress.machine is not None


async def test_a_provider_that_tells_steps_for_ever_keeps_nobody(bench):
    bench.wait(delete_s=0.5, unsure_s=0.1)
    progress = DeleteProgress()
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.faults = {"tells-steps-for-ever"}
        with trio.fail_after(30), pytest.raises(NetworkFailure, match="not removed the pod within"):
            await pods.delete(bench.account, "hello", progress, bench.journal())
    assert progress.money.state == "open"


async def test_a_removal_that_breaks_off_when_the_chain_is_silent_too(bench):
    progress = DeleteProgress()
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.faults = {"hangs-up-late"}
        release = bench.chain.release

        async def then_silent(*arguments):
            await release(*arguments)
            bench.chain.broken = True

        bench.chain.release = then_silent
        with pytest.raises(NetworkFailure):
            await pods.delete(bench.account, "hello", progress, bench.journal())
    assert progress.money.state == "unknown"


async def test_fund_by_amount_by_cap_and_by_size(bench):
    async with bench.peer().serve():
        await bench.deploy()
    before = channel_of(bench).left
    progress = FundProgress()
    await money.fund(bench.account, "hello", parse_funding("2.5", "x"), None, progress, bench.journal())
    assert channel_of(bench).left == before + 2_500_000
    cap = channel_of(bench).terms.cap_per_day
    assert money.top_up_amount(bench.account, channel_of(bench), Funding(seconds=86400), None) == cap
    with pytest.raises(BadInput):
        money.top_up_amount(bench.account, channel_of(bench), parse_funding("1" + "0" * 25, "x"), None)


async def test_fund_for_a_duration_pays_what_deploy_would(bench, tmp_path, monkeypatch):
    async with bench.peer().serve():
        await bench.deploy(funding=Funding(seconds=7200))
    before = channel_of(bench).left
    await money.fund(bench.account, "hello", Funding(seconds=7200), None, FundProgress(), bench.journal())
    assert 0 <= 2 * before - channel_of(bench).left <= before // 100, "deploy adds a grace period"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of another machine"))
    progress = FundProgress()
    await money.fund(bench.account, "hello", Funding(seconds=86400), None, progress, bench.journal())
    assert progress.done.paid == channel_of(bench).terms.cap_per_day


async def test_close_gives_notice_then_closes(bench):
    async with bench.peer().serve():
        await bench.deploy()
    before = bench.chain.tokens[bench.address]
    left = channel_of(bench).left
    for _ in range(2):
        assert (await close(bench)).state == "unlocking"
    bench.chain.pass_time(61)
    outcome = await close(bench)
    assert (outcome.state, outcome.refund) == ("closed", left)
    assert bench.chain.tokens[bench.address] == before + left
    assert [verb for verb, _ in bench.chain.log] == ["open", "unlock", "close"]


async def test_balance_names_every_channel(bench):
    async with bench.peer().serve():
        await bench.deploy()
        await bench.deploy(name="second")
        await bench.delete("second")
    result = await money.balance(bench.account)
    states = {channel.name: channel.state for channel in result.channels}
    assert states == {"hello": "open", "second": "closed"}
    assert result.balance == bench.chain.tokens[bench.address]


async def test_a_balance_tells_all_that_was_paid_in_of_channels_that_are_open_and_ended(bench):
    async with bench.peer().serve():
        await bench.deploy()
        await bench.deploy(name="second")
        for name in ("hello", "second"):
            funding = parse_funding("2.5", "x")
            await money.fund(bench.account, name, funding, None, FundProgress(), bench.journal())
        await bench.delete("second")
    for one in (await money.balance(bench.account)).channels:
        assert one.paid_in == one.deposit + 2_500_000
        assert one.left is None or one.left == one.paid_in, "nothing was claimed"


async def test_a_balance_asks_about_channels_side_by_side_and_keeps_their_order(bench, monkeypatch):
    events, inside, all_in = bench.chain.channel_events, [], trio.Event()

    async def together(owner, channel):
        inside.append(channel)
        if len(inside) == 3:
            all_in.set()
        await all_in.wait()
        return await events(owner, channel)

    names = ["hello", "second", "third"]
    async with bench.peer().serve():
        for name in names:
            await bench.deploy(name=name)
    monkeypatch.setattr(bench.chain, "channel_events", together)
    with trio.fail_after(30):
        assert [one.name for one in (await money.balance(bench.account)).channels] == names


async def test_a_channel_that_closes_meanwhile_is_not_told_without_its_refund(bench, monkeypatch):
    events, channels, ended = bench.chain.channel_events, bench.chain.channels, []

    async def then_closed(owner, channel):
        found = await events(owner, channel)
        ended.append(channel)
        return found

    async def of_now(owner, ids):
        return [
            None if one in ended else found
            for one, found in zip(ids, await channels(owner, ids), strict=True)
        ]

    async with bench.peer().serve():
        await bench.deploy()
    monkeypatch.setattr(bench.chain, "channel_events", then_closed)
    monkeypatch.setattr(bench.chain, "channels", of_now)
    (one,) = (await money.balance(bench.account)).channels
    assert ended
    assert one.state == "open"


async def test_the_bill_of_a_pod_without_usage(bench):
    async with bench.peer().serve():
        await bench.deploy()
        result = await bill(bench.account, "hello", None, VisitProgress(), bench.journal())
    assert (result.bill.total, result.claimed, result.problems) == (0, 0, ())


async def test_a_top_up_that_was_mined_is_told_though_the_chain_falls_silent(bench):
    async with bench.peer().serve():
        await bench.deploy()
    top_up = bench.chain.top_up

    async def then_silent(*arguments):
        receipt = await top_up(*arguments)
        bench.chain.broken = True
        return receipt

    bench.chain.top_up = then_silent
    progress = FundProgress()
    with pytest.raises(NetworkFailure):
        await money.fund(bench.account, "hello", parse_funding("2.5", "x"), None, progress, bench.journal())
    assert progress.done.paid == 2_500_000
    assert progress.done.transaction.hash


async def test_a_close_that_fails_at_the_second_channel_tells_of_the_first(bench):
    async with bench.peer().serve() as first:
        await bench.deploy()
        row = bench.chain.rows.pop((first.owner, 0))
        async with bench.peer().serve():
            await bench.deploy()
    bench.chain.rows[first.owner, 0] = row
    unlock, progress = bench.chain.unlock, CloseProgress()

    async def then_silent(*arguments):
        bench.chain.broken = bool(progress.channels)
        return await unlock(*arguments)

    bench.chain.unlock = then_silent
    with pytest.raises(NetworkFailure):
        await money.close(bench.account, "hello", False, progress, bench.journal())
    assert [one.outcome.state for one in progress.channels] == ["unlocking"]


async def test_what_the_contract_owes_is_withdrawn_once(bench, cli):
    async with bench.peer().serve():
        await bench.deploy()
        refused = await cli("withdraw", "hello", "2.5")
        assert refused.exit_code == ExitCode.REFUSED
        assert "whole-deposit" in refused.stderr
        assert "`trustedpods delete hello`" in refused.stderr
        await cli("close", "hello")
        assert "`trustedpods close hello --wait 30d`" in (await cli("withdraw", "hello")).stderr
    assert "owes you nothing" in (await cli("withdraw")).stdout
    assert "withdraw" not in (await cli("balance")).stdout
    address = bench.account.publisher.address
    bench.chain.credit[address] = 2_500_000
    before = bench.chain.tokens[address]
    assert "`trustedpods withdraw`" in (await cli("balance")).stdout
    tree = json.loads((await cli("withdraw", "-o", "json")).stdout)
    assert (tree["paid"], len(tree["tx"])) == ("2.5", 66)
    assert bench.chain.tokens[address] == before + 2_500_000
    again = await cli("withdraw")  # killed and repeated
    assert again.exit_code == 0
    assert bench.chain.tokens[address] == before + 2_500_000


async def test_a_provider_that_removes_all_its_pods_is_told_with_the_time(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.drain_at = 1_800_000_000
        result = await watched(bench)
    assert (result.state, result.exit_code) == ("drained", int(ExitCode.REFUSED))
    [problem] = result.problems
    assert "2027-01-15 08:00:00Z" in problem
    assert "deploy --provider" in problem

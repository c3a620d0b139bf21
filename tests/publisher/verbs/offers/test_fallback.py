# SPDX-License-Identifier: Apache-2.0
"""A provider that fails in the middle of a deploy: the next one takes the pod, and no money is lost."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import trio

from tests.fakes.provider.peer import ProviderPeer
from trustedpods.protocol.errors import InsufficientFunds, NetworkFailure, Refused
from trustedpods.protocol.ids import channel_hex
from trustedpods.publisher.core.channels.fallback import MAX_LEFT
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.results.money import CloseProgress
from trustedpods.publisher.state.files import write_whole
from trustedpods.publisher.verbs import money
from trustedpods.publisher.verbs.watch import WatchOptions, watch_round

WRITES = "trustedpods.publisher.state.pod_records.write_whole"
TRANSACTIONS = ("open_with_permit", "unlock", "cancel_unlock", "close")


@dataclass
class Unheard:
    """The line ends as the last word is said."""

    answers: Any

    async def send(self, reply, final):
        await self.answers.stream.reset()


class FailingPeer(ProviderPeer):
    """Takes the pod and its money, then fails in the way that `end` says."""

    end = "dies"
    dead: trio.Event

    async def outcome(self, request, answers, bundle, channel):
        if self.end == "refuses":
            self.phase = "failed"
            raise Refused("no single node has room", rule="capacity-node")
        if self.end == "serves-unheard":
            await super().outcome(request, Unheard(answers), bundle, channel)
            return
        if self.end == "dies":
            self.dead.set()
        await trio.sleep_forever()

    async def _status(self, request, answers):
        if self.end == "hangs":
            await trio.sleep_forever()
        await super()._status(request, answers)


@asynccontextmanager
async def failing(bench, end, **more):
    """A provider that is cheaper than all others and fails so; once it is dead, nobody answers there."""
    peer = FailingPeer(bench.chain, bench.root, cpu_price=more.pop("cpu_price", 1), **more)
    peer.end, peer.dead = end, trio.Event()

    async def until_dead(task_status):
        async with peer.serve():
            task_status.started()
            await peer.dead.wait()

    async with trio.open_nursery() as nursery:
        await nursery.start(until_dead)
        yield peer
        peer.dead.set()


def standing(bench):
    """Channels that pay for something: open, and without a notice."""
    return [
        life.channel
        for life in bench.chain.lives.values()
        if life.closed is None and not life.channel.unlock_at
    ]


def stands_at(bench, peer):
    return bench.account.publisher.ref(peer.owner, 0, "hello").channel in [one.id for one in standing(bench)]


@pytest.fixture(autouse=True)
def quick(bench):
    bench.wait(release_s=0.1, silent_s=0.1, unsure_s=0.1)


@pytest.mark.parametrize("end", ["dies", "refuses"])
async def test_the_next_provider_takes_the_pod_and_the_first_is_given_notice(bench, end):
    async with failing(bench, end) as first, bench.peer().serve() as second:
        result = await bench.deploy()
    assert result.chosen.provider.owner == second.owner
    assert [verb for verb, _ in bench.chain.log] == ["open", "unlock", "open"]
    (pays,) = standing(bench)
    assert pays.id == result.chosen.channel
    (left,) = result.left
    assert (left.provider.owner, left.money.state) == (first.owner, "unlocking")
    (said,) = [event for event in bench.last.events if event["event"] == "next-provider"]
    assert said["channel"] == channel_hex(left.channel)
    assert f"trustedpods close {channel_hex(left.channel)}" in said["text"]
    assert "trustedpods watch" in said["text"]
    assert any(first.owner in text for text in bench.last.show.warnings)
    told: Any = json_of(result)
    assert told["left_behind"][0]["money"]["state"] == "unlocking"
    advised = [line for line in bench.last.show.lines if "trustedpods close" in line]
    assert advised
    assert not any("trustedpods close hello" in line for line in advised)  # that would end the new one too


async def test_what_was_left_behind_comes_back_by_itself_and_nothing_else_does(bench):
    async with failing(bench, "dies"), bench.peer().serve():
        result = await bench.deploy()
        bench.chain.now += 60
        round_ = await watch_round(bench.account, WatchOptions(patience_s=0), bench.journal())
    assert sorted((one.state, one.actions) for one in round_.pods) == [
        ("ended", ("channel closed",)),
        ("ok", ()),
    ]
    assert round_.exit_code == 0
    (pays,) = standing(bench)
    assert pays.id == result.chosen.channel
    assert [verb for verb, _ in bench.chain.log] == ["open", "unlock", "open", "close"]


async def test_what_is_said_of_a_channel_that_was_left_would_not_end_the_pod(bench):
    """`close NAME` takes every channel of that name, and one of them pays for the pod now."""
    async with failing(bench, "dies") as first, bench.peer().serve():
        result = await bench.deploy()
        (left,) = result.left
        del bench.chain.rows[first.owner, first.daemon]
        round_ = await watch_round(bench.account, WatchOptions(patience_s=0, unlock=True), bench.journal())
    (alarm,) = [one for one in round_.pods if one.state == "alarm"]
    said = [*alarm.problems, *bench.last.show.lines]
    assert [text for text in said if f"trustedpods close {channel_hex(left.channel)}" in text]
    assert not [text for text in said if "trustedpods close hello" in text]


async def test_a_channel_at_a_provider_that_left_the_registry_is_told(bench):
    """Nothing of the registry leads there any more, and its meter may still claim."""
    async with failing(bench, "dies") as first, bench.peer().serve() as second:
        with pytest.raises(NetworkFailure):
            await bench.deploy(choice=Choice(first.owner))
        (stands,) = standing(bench)
        del bench.chain.rows[first.owner, first.daemon]
        result = await bench.deploy()
    assert result.chosen.provider.owner == second.owner
    (warning,) = bench.last.show.warnings
    assert f"`trustedpods close {channel_hex(stands.id)}`" in warning


async def test_a_provider_that_hangs_is_given_up(bench, virtual_time):
    async with failing(bench, "hangs"), bench.peer().serve() as second:
        result = await bench.deploy()
    assert result.chosen.provider.owner == second.owner
    assert [left.money.state for left in result.left] == ["unlocking"]
    assert len(standing(bench)) == 1


async def test_by_hand_nothing_else_is_tried_and_the_next_commands_are_said(bench):
    async with failing(bench, "refuses") as first, bench.peer().serve():
        with pytest.raises(Refused) as caught:
            await bench.deploy(choice=Choice(first.owner))
        assert "`trustedpods deploy` without --provider takes another" in caught.value.hint
        assert standing(bench) == []
    async with failing(bench, "dies") as first, bench.peer().serve() as second:
        with pytest.raises(NetworkFailure) as caught:
            await bench.deploy(choice=Choice(first.owner))
        assert len(standing(bench)) == 1
        assert "first `trustedpods close hello`, then" in caught.value.hint
        await money.close(bench.account, "hello", False, CloseProgress(), bench.journal())
        result = await bench.deploy()  # as it was told
    assert result.chosen.provider.owner == second.owner
    assert len(standing(bench)) == 1


async def test_a_pod_that_does_not_start_is_not_tried_elsewhere(bench):
    async with bench.peer("crashes", cpu_price=1).serve(), bench.peer().serve() as other:
        with pytest.raises(Refused, match="CrashLoopBackOff"):
            await bench.deploy()
    assert other.log in ([], ["attest"])
    assert [verb for verb, _ in bench.chain.log] == ["open", "release"]
    async with bench.peer("crashes", "keeps-money", cpu_price=1).serve(), bench.peer().serve():
        with pytest.raises(Refused, match="CrashLoopBackOff"):
            await bench.deploy(name="second")
    assert any("trustedpods close second" in line for line in bench.last.show.lines)


async def test_a_pod_that_serves_there_after_all_keeps_its_money_and_has_no_twin(bench):
    async with failing(bench, "serves-unheard"), bench.peer().serve() as other:
        with pytest.raises(NetworkFailure):
            await bench.deploy()
        assert bench.progress.money.state == "open"
        assert len(standing(bench)) == 1
    assert "provision" not in other.log


async def test_a_payment_that_may_be_mined_still_keeps_all_others_away(bench):
    async def not_in_time(*_):
        raise NetworkFailure("not mined in time")

    bench.chain.open_with_permit = not_in_time
    async with bench.peer(cpu_price=1).serve(), bench.peer().serve() as other:
        with pytest.raises(NetworkFailure, match="not mined"):
            await bench.deploy()
    assert bench.progress.money.state == "untouched"
    assert "provision" not in other.log


async def paid_in(bench, ref):
    await bench.chain.top_up(bench.key, ref.owner, ref.channel, 1000)


async def claimed(bench, ref):
    life = bench.chain.lives[ref.owner, ref.channel]
    life.channel = replace(life.channel, left=life.channel.left - 1)


@pytest.mark.parametrize("trace", [paid_in, claimed])
async def test_a_silent_provider_whose_channel_somebody_used_is_given_no_notice(bench, trace):
    """Another client may have had its newer pod served there, which notice would stop."""
    async with failing(bench, "dies") as first, bench.peer().serve() as other:
        dies = first.outcome

        async def outcome(request, *more):
            await trace(bench, bench.account.publisher.ref(first.owner, 0, "hello"))
            await dies(request, *more)

        first.outcome = outcome
        with pytest.raises(NetworkFailure):
            await bench.deploy()
    assert "unlock" not in [verb for verb, _ in bench.chain.log]
    assert bench.progress.money.state == "open"
    assert "provision" not in other.log


async def test_a_channel_that_another_client_opened_just_before_is_not_left_behind(bench):
    """It pays for the pod of that client, whatever becomes of ours."""
    open_it = bench.chain.open_with_permit

    async def rival_first(*arguments):
        await open_it(*arguments)
        return await open_it(*arguments)

    bench.chain.open_with_permit = rival_first
    async with failing(bench, "dies"), bench.peer().serve() as other:
        with pytest.raises(NetworkFailure):
            await bench.deploy()
    assert bench.progress.money.state == "open"
    assert bench.progress.left == ()
    assert len(standing(bench)) == 1
    assert "provision" not in other.log


async def test_a_client_that_takes_the_notice_back_at_once_has_the_pod(bench):
    """Then the name lives there, and no second one is paid elsewhere."""
    unlock = bench.chain.unlock

    async def taken_back(key, owner, salt):
        receipt = await unlock(key, owner, salt)
        await bench.chain.cancel_unlock(key, owner, salt)
        return receipt

    bench.chain.unlock = taken_back
    async with failing(bench, "refuses"), bench.peer().serve() as other:
        with pytest.raises(Refused) as caught:
            await bench.deploy()
    assert "`trustedpods status hello`" in caught.value.hint
    assert "anew" not in caught.value.hint
    assert len(standing(bench)) == 1
    assert "provision" not in other.log


async def test_where_nobody_comes_next_the_provider_is_not_given_up(bench):
    """Its daemon may be back in a minute, and a deploy again goes on there."""
    async with failing(bench, "dies"):
        with pytest.raises(NetworkFailure):
            await bench.deploy()
    assert [verb for verb, _ in bench.chain.log] == ["open"]
    assert bench.progress.money.state == "open"


async def test_where_the_money_for_the_next_is_in_the_notice_of_the_first_that_is_said(bench):
    unlock = bench.chain.unlock

    async def then_poor(*arguments):
        bench.chain.tokens[bench.address] = 0
        return await unlock(*arguments)

    bench.chain.unlock = then_poor
    async with failing(bench, "refuses") as first, bench.peer().serve():
        with pytest.raises(InsufficientFunds) as caught:
            await bench.deploy()
    assert "comes back when its notice is over" in caught.value.hint
    assert first.owner in caught.value.hint
    assert standing(bench) == []


async def test_so_many_are_left_behind_and_no_more(bench):
    async with trio.open_nursery() as nursery:

        async def one(task_status):
            async with failing(bench, "refuses"):
                task_status.started()
                await trio.sleep_forever()

        for _ in range(MAX_LEFT + 2):
            await nursery.start(one)
        with pytest.raises(Refused, match="no single node"):
            await bench.deploy()
        nursery.cancel_scope.cancel()
    assert len(bench.progress.left) == MAX_LEFT
    assert [verb for verb, _ in bench.chain.log].count("open") == MAX_LEFT + 1
    assert standing(bench) == []


@pytest.mark.parametrize("kill", range(6))
async def test_a_kill_at_any_transaction_and_the_same_command_again(bench, kill):
    """Before and after each one: never two that are paid, and a pod that serves in the end."""
    whole, door = bench.account, KillingChain(bench, kill)
    bench.account = replace(whole, market=replace(whole.market, chain=door))
    async with failing(bench, "dies") as first, bench.peer().serve() as second:
        with pytest.raises(KilledError):
            await bench.deploy()
        bench.account = whole
        first.dead.set()
        if stands_at(bench, first):
            with pytest.raises(NetworkFailure) as caught:  # what may serve there is not taken for gone
                await bench.deploy()
            assert "`trustedpods close hello`" in caught.value.hint
            await money.close(bench.account, "hello", False, CloseProgress(), bench.journal())
        result = await bench.deploy()
    assert result.chosen.provider.owner == second.owner
    (pays,) = standing(bench)
    assert pays.id == result.chosen.channel
    assert door.most <= 1


@pytest.mark.parametrize("kill", range(8))
async def test_a_kill_at_any_write_to_disk_loses_no_channel(bench, kill, monkeypatch):
    """What the first run paid comes back by `watch`, all but the channel of the pod that serves."""
    written, write = [], write_whole

    def killed_then(path, data):
        written.append(path)
        if len(written) > kill:
            raise KilledError
        write(path, data)

    async with failing(bench, "dies") as first, bench.peer().serve() as second:
        with monkeypatch.context() as patch:
            patch.setattr(WRITES, killed_then)
            with pytest.raises(KilledError):
                await bench.deploy()
        first.dead.set()
        if stands_at(bench, first):
            await money.close(bench.account, "hello", False, CloseProgress(), bench.journal())
        result = await bench.deploy()
        bench.chain.now += 60
        await watch_round(bench.account, WatchOptions(patience_s=0), bench.journal())
    assert result.chosen.provider.owner == second.owner
    assert [life.channel.id for life in bench.chain.lives.values() if life.closed is None] == [
        result.chosen.channel
    ]


class KilledError(BaseException):
    """No handler of ours catches it, as none runs in a process that was killed."""


class KillingChain:
    """A chain whose every transaction is two points to be killed at, before it and after it."""

    def __init__(self, bench, kill):
        self._bench, self._left = bench, kill
        self.most = 0

    def __getattr__(self, name):
        found = getattr(self._bench.chain, name)
        if name not in TRANSACTIONS:
            return found

        async def call(*arguments):
            self._pass()
            done = await found(*arguments)
            self.most = max(self.most, len(standing(self._bench)))
            self._pass()
            return done

        return call

    def _pass(self):
        self._left -= 1
        if self._left < 0:
            raise KilledError

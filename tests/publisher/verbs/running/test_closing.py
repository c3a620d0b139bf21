# SPDX-License-Identifier: Apache-2.0
"""`watch` closes a channel when the notice is over that was given from here, and no other one."""

import pytest

from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.channels.closing import NOTICE_WITHIN_S
from trustedpods.publisher.results.money import CloseProgress
from trustedpods.publisher.state.pod_lock import pod_lock
from trustedpods.publisher.verbs import money
from trustedpods.publisher.verbs.watch import WatchOptions, watch_round
from trustedpods.publisher.visits import records


async def watched(bench):
    (pod,) = (await watch_round(bench.account, WatchOptions(patience_s=0), bench.journal())).pods
    return pod


async def close(bench, name="hello"):
    return await money.close(bench.account, name, False, CloseProgress(), bench.journal())


def life(bench):
    ((_, one),) = bench.chain.lives.items()
    return one


def verbs(bench):
    return [verb for verb, _ in bench.chain.log]


def ref(bench, peer):
    return bench.account.publisher.ref(peer.owner, peer.daemon, "hello")


@pytest.fixture(autouse=True)
def quick(bench):
    bench.wait(release_s=0.1, silent_s=0.1, unsure_s=0.1)


async def test_a_provider_that_is_gone_keeps_no_money(bench):
    """Without a word of it: nobody answers, the notice passes, all comes back."""
    before = bench.chain.tokens[bench.address]
    async with bench.peer().serve():
        await bench.deploy()
    deposit = before - bench.chain.tokens[bench.address]
    await close(bench)
    result = await watched(bench)
    assert (result.state, result.exit_code, result.actions) == ("unlocking", 0, ())
    bench.chain.now += 60
    result = await watched(bench)
    assert (result.state, result.exit_code, result.actions) == ("ended", 0, ("channel closed",))
    assert (result.money.state, result.money.refund) == ("closed", deposit)
    assert bench.chain.tokens[bench.address] == before
    assert records.mine(bench.account, bench.journal()) == []
    assert (await watch_round(bench.account, WatchOptions(), bench.journal())).pods == ()


async def test_a_provider_that_knows_no_such_pod_any_more_is_no_trouble_while_its_notice_runs(bench):
    """As one that is back after a deploy has left it behind."""
    async with bench.peer().serve() as peer:
        await bench.deploy()

        async def unknown(_request, _answers):
            raise Refused("no such pod", rule="unknown-pod")

        peer._status = unknown
        assert (await watched(bench)).exit_code == 6
        await close(bench)
        result = await watched(bench)
    assert (result.state, result.exit_code, result.problems) == ("unlocking", 0, ())


async def test_notice_after_a_failed_deploy_is_closed_too(bench):
    async with bench.peer("crashes", "keeps-money").serve():
        with pytest.raises(Refused):
            await bench.deploy()
        bench.chain.now += 60
        assert (await watched(bench)).actions == ("channel closed",)
    assert verbs(bench) == ["open", "unlock", "close"]


async def test_a_notice_of_another_client_is_told_and_left_alone(bench):
    """It may be there to move the channel, which the contract allows when it is over."""
    async with bench.peer().serve() as peer:
        await bench.deploy()
        where = ref(bench, peer)
        await bench.chain.unlock(bench.key, where.owner, where.salt)
        bench.chain.now += 60
        result = await watched(bench)
    assert (result.state, result.exit_code) == ("unlocking", 0)
    assert "close" not in verbs(bench)
    assert any(f"trustedpods close {result.channel}" in text for text in result.problems)


async def test_a_notice_that_was_taken_back_and_given_anew_elsewhere_is_not_ours(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        await close(bench)
        where = ref(bench, peer)
        await bench.chain.cancel_unlock(bench.key, where.owner, where.salt)
        bench.chain.now += NOTICE_WITHIN_S + 1
        await bench.chain.unlock(bench.key, where.owner, where.salt)
        bench.chain.now += 60
        await watched(bench)
    assert "close" not in verbs(bench)


async def test_a_deploy_takes_the_notice_back_for_good(bench):
    async with bench.peer().serve():
        await bench.deploy()
        await close(bench)
        bench.chain.now += 60
        await bench.deploy()
        assert (await watched(bench)).state == "ok"
        (record,) = records.mine(bench.account, bench.journal())
        assert record.closing is None
    assert verbs(bench) == ["open", "unlock", "cancel_unlock"]


async def test_while_another_verb_is_at_the_pod_nothing_is_closed(bench):
    file = bench.account.market.file
    scope = f"{file.chain_id} {file.payments} {bench.address}".lower()
    async with bench.peer().serve():
        await bench.deploy()
        await close(bench)
        bench.chain.now += 60
        with pod_lock(state_dir(), scope, "hello", "deploy"):
            result = await watched(bench)
        assert (result.state, result.exit_code) == ("unlocking", 0)
        assert "close" not in verbs(bench)
        assert (await watched(bench)).actions == ("channel closed",)


async def test_another_machine_that_takes_it_back_in_the_last_moment_wins(bench):
    """Between our look and our transaction lies one block: the contract decides."""
    close_it = bench.chain.close
    async with bench.peer().serve() as peer:
        await bench.deploy()
        await close(bench)
        bench.chain.now += 60
        where = ref(bench, peer)

        async def rival_first(key, owner, salt):
            await bench.chain.cancel_unlock(bench.key, where.owner, where.salt)
            return await close_it(key, owner, salt)

        bench.chain.close = rival_first
        result = await watched(bench)
    assert result.exit_code == 0
    assert life(bench).closed is None


@pytest.mark.parametrize("mined", [False, True], ids=["before-it", "after-it"])
async def test_a_kill_as_notice_is_given(bench, mined):
    """Before the transaction there is no notice; after it the notice is known for ours."""
    unlock = bench.chain.unlock

    async def killed(*arguments):
        if mined:
            await unlock(*arguments)
        raise KilledError

    async with bench.peer().serve():
        await bench.deploy()
    bench.chain.unlock = killed
    with pytest.raises(KilledError):
        await close(bench)
    bench.chain.now += 60
    assert ("channel closed" in (await watched(bench)).actions) is mined


async def test_a_chain_that_cannot_be_read_forgets_nothing(bench):
    async with bench.peer().serve():
        await bench.deploy()
    await close(bench)
    bench.chain.now += 60

    async def broken(*_):
        raise NetworkFailure("not mined in time")

    working, bench.chain.close = bench.chain.close, broken
    assert (await watched(bench)).exit_code == 8
    assert len(records.mine(bench.account, bench.journal())) == 1
    bench.chain.close = working
    assert (await watched(bench)).actions == ("channel closed",)


class KilledError(BaseException):
    """No handler of ours catches it, as none runs in a process that was killed."""

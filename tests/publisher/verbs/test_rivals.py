# SPDX-License-Identifier: Apache-2.0
"""Two clients with one key and one name: whoever loses leaves alone what the other one has.

The rival is another machine, so no lock of this one keeps it away: it comes at each step of our verb.
"""

from contextlib import nullcontext
from dataclasses import dataclass, replace

import pytest
import trio

from tests.fakes.provider.peer import ProviderPeer
from trustedpods.protocol.errors import ExitCode, Locked, NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import address_bytes, channel_bytes
from trustedpods.protocol.messages.pod import Endpoint, Statement
from trustedpods.protocol.sealing.replies import sign_statement
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.results.money import CloseProgress
from trustedpods.publisher.state.pod_lock import pod_lock
from trustedpods.publisher.verbs import money, watch
from trustedpods.publisher.verbs.aftermath import TURN_LOOK_S, in_turn

STEPS = ("admit", "provision", "paid", "outcome", "asked", "waiting")
"""Before ours is taken, while it is paid for, before it ends, when we ask what is there, while we wait."""

ENDS = ("crashes", "hangs-up-late", "other-image", "theirs")
"""How our own deploy fails; *theirs*: the provider answers with the rival's statement."""

WAYS = [(at, end) for at in STEPS for end in ENDS if end != "theirs" or at not in ("asked", "waiting")]
"""A rival's statement comes from a rival that is there already."""


@dataclass
class Rival:
    """What the other client did; *serves*: whether its pod does already, or is on its way."""

    at: str
    serves: bool = True
    came: bool = False


class ContestedPeer(ProviderPeer):
    """Takes the rival's newer request as soon as ours has come to the rival's step."""

    rival = Rival("never")
    asked = 0

    def meet(self, step, request):
        """The rival comes now, if this is its step."""
        if self.rival.at != step or self.rival.came:
            return
        self.rival.came = True
        self.generation = request.generation + 1_000_000
        self.phase = "serving" if self.rival.serves else "importing"
        self.statement = None
        if self.rival.serves:
            self.statement = sign_statement(self.reply_key, self.theirs(request))

    def theirs(self, request):
        return Statement(
            channel=channel_bytes(request.ref.channel),
            generation=self.generation,
            namespace="tp-theirs-1",
            endpoints=[Endpoint(service="web", port=80, url="http://pabc.k1.test.localhost:18080/")],
            images={"hello": "sha256:" + "1" * 64},
            terms=0,
            meter=address_bytes(self.meter),
            issued_at=self.chain.now,
        )

    async def _admit(self, request, answers):
        self.meet("admit", request)
        await super()._admit(request, answers)

    async def _paid(self, request):
        self.meet("provision", request)
        channel = await super()._paid(request)
        self.meet("paid", request)
        return channel

    async def outcome(self, request, answers, bundle, channel):
        self.meet("outcome", request)
        if "theirs" in self.faults:
            self.meet(self.rival.at, request)
            await answers.send(sign_statement(self.reply_key, self.theirs(request)), final=True)
            return
        kept = (self.phase, self.statement)
        try:
            await super().outcome(request, answers, bundle, channel)
        finally:
            if self.rival.came:
                self.phase, self.statement = kept

    async def _status(self, request, answers):
        self.asked += 1
        self.meet("asked" if self.asked == 1 else "waiting", request)
        await super()._status(request, answers)


@pytest.fixture(autouse=True)
def quick(bench):
    """A provider that keeps the money is waited for shortly."""
    bench.wait(release_s=0.1, silent_s=0.1, unsure_s=0.1)


@pytest.mark.parametrize("serves", [True, False], ids=["serves", "on-its-way"])
@pytest.mark.parametrize(("at", "end"), WAYS)
async def test_a_deploy_that_lost_touches_nothing_and_ends_with_5(bench, at, end, serves):
    peer = ContestedPeer(bench.chain, bench.root, faults={end, "keeps-money"})
    peer.rival = Rival(at, serves)
    async with peer.serve():
        with pytest.raises(TrustedPodsError) as caught:
            await bench.deploy()
    assert peer.rival.came
    assert "unlock" not in [verb for verb, _ in bench.chain.log]
    if at != "waiting":  # there our own end was told before, and stays the error
        assert (type(caught.value), caught.value.exit_code) == (Locked, ExitCode.LOCKED)
        assert "a newer deploy of 'hello' won" in str(caught.value)
    assert bench.progress.money.state in ("open", "untouched")
    assert not any("trustedpods close" in line for line in bench.last.show.lines)


@pytest.mark.parametrize("end", ["crashes", "hangs-up-late", "other-image"])
async def test_without_a_rival_the_same_ends_give_notice(bench, end):
    """So that the test before shows the rival's doing, and not that nobody ever gives notice."""
    async with ContestedPeer(bench.chain, bench.root, faults={end, "keeps-money"}).serve():
        with pytest.raises(TrustedPodsError):
            await bench.deploy()
    assert [verb for verb, _ in bench.chain.log] == ["open", "unlock"]


async def reopened(bench, peer):
    """The provider released the channel, and the rival has opened it anew; its request is on the way."""
    (((owner, _), life),) = bench.chain.lives.items()
    ref = bench.account.publisher.ref(owner, peer.daemon, "hello")
    await bench.chain.release(peer.owner_key, [ref])
    await bench.chain.open_with_permit(bench.key, ref, peer.meter, life.channel.terms, 5_000_000)


@pytest.mark.parametrize("verb", ["deploy", "delete"])
async def test_a_channel_that_was_opened_anew_is_another_one(bench, monkeypatch, verb):
    """Between two looks at the chain: it seems never to have been gone, and the provider knows of nothing."""
    async with ContestedPeer(bench.chain, bench.root).serve() as peer:
        if verb == "delete":
            await bench.deploy()
        peer.faults = {"crashes", "keeps-money"}
        original = peer._status

        async def status(request, answers):
            if peer.asked == 0:
                peer.asked += 1
                await reopened(bench, peer)
            await original(request, answers)

        peer._status = status
        if verb == "deploy":
            with pytest.raises(Refused, match="CrashLoopBackOff"):
                await bench.deploy()
            outcome = bench.progress.money
        else:
            outcome = (await bench.delete()).money
    assert outcome.state == "open"
    assert [verb for verb, _ in bench.chain.log if verb == "unlock"] == []


async def test_a_removal_that_a_newer_deploy_overtook_gives_no_notice(bench):
    async with ContestedPeer(bench.chain, bench.root).serve() as peer:
        await bench.deploy()
        # The first question says what a delete would keep; the rival comes after the removal, at the second.
        peer.faults, peer.rival = {"keeps-money"}, Rival("waiting")
        deleted = await bench.delete()
    assert peer.rival.came
    assert deleted.money.state == "open"
    assert [verb for verb, _ in bench.chain.log] == ["open"]


async def test_a_removal_that_is_older_than_a_deploy_ends_with_5(bench):
    async with ContestedPeer(bench.chain, bench.root).serve() as peer:
        await bench.deploy()

        async def older(request, answers):
            raise Refused("1 came after 2", rule="generation")

        peer._delete = older
        with pytest.raises(Locked, match="a newer deploy"):
            await bench.delete()
    assert [verb for verb, _ in bench.chain.log] == ["open"]


async def test_a_close_that_waits_stops_when_a_deploy_takes_the_notice_back(bench, monkeypatch):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        ref = bench.account.publisher.ref(peer.owner, peer.daemon, "hello")

        async def pause(_seconds):
            await bench.chain.cancel_unlock(bench.key, ref.owner, ref.salt)

        monkeypatch.setattr("trustedpods.publisher.verbs.money.trio.sleep", pause)
        with pytest.raises(Locked, match="a newer deploy"):
            await money.close(bench.account, "hello", 60, CloseProgress(), bench.journal())
    assert [verb for verb, _ in bench.chain.log] == ["open", "unlock", "cancel_unlock"]


@pytest.mark.parametrize("verb", ["deploy", "delete", "close", "watch"])
async def test_on_one_machine_they_take_turns(bench, verb):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        log, requests = list(bench.chain.log), len(peer.log)
        file = bench.account.market.file
        scope = f"{file.chain_id} {file.payments} {bench.address}".lower()
        with pod_lock(state_dir(), scope, "hello", "deploy"):
            if verb == "watch":
                peer.faults.add("forged-report")
                options = watch.WatchOptions(unlock=True, patience_s=0)
                round_ = await watch.watch_round(bench.account, options, bench.journal())
                assert "has it since" in round_.pods[0].problems[-1]
            else:
                with pytest.raises(Locked, match=r"process \d+ \(deploy\) has it since"):
                    await {
                        "deploy": bench.deploy,
                        "delete": bench.delete,
                        "close": lambda: money.close(
                            bench.account, "hello", 0, CloseProgress(), bench.journal()
                        ),
                    }[verb]()
                assert len(peer.log) == requests
    assert bench.chain.log == log


@pytest.mark.parametrize(("turn_s", "waits"), [(60.0, True), (1.0, False)])
async def test_one_that_may_wait_has_its_turn_when_the_other_has_ended(bench, virtual_time, turn_s, waits):
    """By its lock alone: nobody dials meanwhile."""
    held_s, journal = 5, bench.journal()
    timing = replace(bench.account.publisher.timing, turn_s=turn_s)
    account = replace(bench.account, publisher=replace(bench.account.publisher, timing=timing))
    file = bench.account.market.file
    scope = f"{file.chain_id} {file.payments} {bench.address}".lower()

    async def other() -> None:
        with pod_lock(state_dir(), scope, "hello", "deploy"):
            holds.set()
            await trio.sleep(held_s)

    holds = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await holds.wait()
        began = trio.current_time()
        with nullcontext() if waits else pytest.raises(Locked, match="has it since"):
            async with in_turn(account, "hello", "delete", journal):
                assert trio.current_time() - began >= held_s
        assert trio.current_time() - began <= max(held_s, turn_s) + TURN_LOOK_S
    assert [one["event"] for one in journal.events] == ["turn"]


async def test_a_close_waits_no_longer_than_it_is_told(bench, virtual_time):
    async with bench.peer().serve():
        await bench.deploy()
        began = trio.current_time()
        with pytest.raises(NetworkFailure, match="the notice runs until") as caught:
            await money.close(bench.account, "hello", 90, CloseProgress(), bench.journal())
        assert caught.value.rule == "timeout"
        assert trio.current_time() - began == pytest.approx(90)
        bench.chain.now += 10**6
        closed = await money.close(bench.account, "hello", 90, CloseProgress(), bench.journal())
        assert [one.outcome.state for one in closed.channels] == ["closed"]


async def test_a_close_that_waited_for_its_turn_has_the_rest_for_the_notice(bench, virtual_time):
    timing = replace(bench.account.publisher.timing, turn_s=90)
    account = replace(bench.account, publisher=replace(bench.account.publisher, timing=timing))
    holds = trio.Event()

    async def other() -> None:
        async with in_turn(account, "hello", "deploy", bench.journal()):
            holds.set()
            await trio.sleep(80)

    async with bench.peer().serve(), trio.open_nursery() as nursery:
        await bench.deploy()
        nursery.start_soon(other)
        await holds.wait()
        began = trio.current_time()
        with pytest.raises(NetworkFailure, match="the notice runs until"):
            await money.close(account, "hello", 90, CloseProgress(), bench.journal())
        assert trio.current_time() - began == pytest.approx(90, abs=2 * TURN_LOOK_S)


async def test_a_bundle_that_another_client_replaced_is_not_released_again(bench):
    """After a reboot: an older version would take the place of the newer one."""
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.generation += 1_000_000
    peer.reboot()
    async with peer.serve():
        peer.log.clear()
        round_ = await watch.watch_round(bench.account, watch.WatchOptions(patience_s=0), bench.journal())
        assert "another client deployed the pod after this one" in " ".join(round_.pods[0].problems)
    assert "provision" not in peer.log


async def test_usage_of_a_version_from_elsewhere_is_no_violation(bench):
    """The bounds that are kept here are those of the version before."""
    async with bench.peer().serve() as peer:
        await bench.deploy()
        bench.chain.pass_time(100)
        peer.usage = peer.usage.model_copy(update={"open_usage": [100 * 100 * 1000, 0, 0, 0, 0]})
        options = watch.WatchOptions(unlock=True, patience_s=0)
        round_ = await watch.watch_round(bench.account, options, bench.journal())
        assert round_.pods[0].state == "violation"  # of this client's own version it would be one
        bench.chain.log.clear()
        peer.generation += 1_000_000
        round_ = await watch.watch_round(bench.account, options, bench.journal())
        assert round_.pods[0].state != "violation"
    assert bench.chain.log == []

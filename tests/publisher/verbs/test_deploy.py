# SPDX-License-Identifier: Apache-2.0
"""Deploy over real libp2p: what is sent, what is paid, and what happens when it fails."""

from dataclasses import replace

import pytest
import trio

from trustedpods.protocol import limits
from trustedpods.protocol.errors import (
    EvidenceRefused,
    ExitCode,
    InsufficientFunds,
    NetworkFailure,
    Refused,
    RemoteProtocolError,
)
from trustedpods.publisher.core.cost import cost_of, shape_of
from trustedpods.publisher.core.money import Funding
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.pod import read_pod
from trustedpods.publisher.results.money import DepositOutcome


async def test_a_pod_is_deployed(bench):
    async with bench.peer().serve() as peer:
        result = await bench.deploy(funding=Funding(seconds=3600))
    assert [endpoint.url for endpoint in result.confirmed.endpoints] == [
        "http://pabc.k1.test.localhost:18080/"
    ]
    assert result.chosen.provider.name == f"{peer.owner}/0"
    assert result.chosen.machine.verdict.trust == "sealed"
    assert result.chosen.machine.verdict.simulated is True
    assert peer.log[:3] == ["attest", "admit", "provision"]
    bundle = peer.bundles[0]
    assert bundle.secrets[0].files == {"password": b"marker-in-a-secret"}
    assert result.confirmed.images == {"hello": bundle.images[0].blobs[0].digest}
    assert {step.name for step in bench.last.steps} >= {
        "list",
        "select",
        "channel",
        "send",
        "create",
        "confirm",
    }
    ((_, channel),) = bench.chain.lives.items()
    assert channel.channel.left > 0
    assert result.sent.chunks == 3
    assert bench.last.show.bars[-1][1] == bench.last.show.bars[-1][2]


async def test_what_a_provider_says_again_and_again_is_told_once(bench):
    async with bench.peer().serve():
        await bench.deploy()
    told = [event["event"] for event in bench.last.events]
    assert told.count("provider:importing") == 1


async def test_again_is_the_same_channel_and_sends_nothing(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        sent = dict(peer.chunks)
        result = await bench.deploy()
    assert len(bench.chain.lives) == 1
    assert [verb for verb, _ in bench.chain.log] == ["open"]
    assert peer.chunks == sent
    assert result.sent.sealed_bytes == 0
    assert peer.log.count("admit") == 1


def shape_manifest(bench, payment):
    """Let the pod have three replicas, and this payment."""
    text = (bench.folder / "pod.yaml").read_text().partition("  scale:")[0]
    (bench.folder / "pod.yaml").write_text(text + f"  scale: {{max: 3}}\n  payment: {{{payment}}}\n")


async def test_a_limit_a_day_bounds_the_replicas_and_a_higher_one_raises_the_cap(bench):
    async with bench.peer().serve() as peer:
        shape_manifest(bench, 'deposit: "1"')
        pod = read_pod(bench.folder / "pod.yaml", bench.folder / "cache", None, None)
        cost = cost_of(shape_of(pod.manifest, pod.image_bytes), peer.prices, peer.least)
        one = cost.least_cap
        shape_manifest(bench, f'maxCostPerDay: "{bench.account.token.number(one)}"')
        await bench.deploy()
        assert "maxCostPerDay pays for 1 of 3 replicas at once, or some more" in bench.last.show.lines
        ((_, life),) = bench.chain.lives.items()
        assert one * 99 // 100 <= life.channel.terms.cap_per_day <= one
        shape_manifest(bench, 'deposit: "1"')
        await bench.deploy()
        assert [verb for verb, _ in bench.chain.log] == ["open", "raise_cap"]
        assert life.channel.terms.cap_per_day >= cost.full_cap
        assert not any("maxCostPerDay pays" in line for line in bench.last.show.lines)
        await bench.deploy()
        assert [verb for verb, _ in bench.chain.log] == ["open", "raise_cap"]


async def test_another_name_is_another_channel(bench):
    async with bench.peer().serve():
        await bench.deploy()
        result = await bench.deploy(name="second")
    assert result.sent.sealed_bytes == 0
    assert len(bench.chain.lives) == 2


async def test_the_cheapest_is_taken_and_the_dearer_when_it_is_gone(bench):
    async with bench.peer(cpu_price=4000).serve() as dear:
        cheap = bench.peer()
        async with cheap.serve():
            result = await bench.deploy()
            assert result.chosen.provider.owner == cheap.owner
        bench.chain.rows[cheap.owner, 0] = replace(cheap.row)  # it stays in the registry
        result = await bench.deploy(name="second")
    assert result.chosen.provider.owner == dear.owner
    assert any(cheap.owner in text and "cannot connect" in text for text in bench.last.show.warnings)
    tried = next(step for step in bench.last.steps if step.name == "select").facts["tried"]
    assert tried[0]["error"]["code"] == "network"


async def test_a_full_provider_is_passed_over_before_any_money_moves(bench):
    async with bench.peer("full").serve() as full, bench.peer(cpu_price=9000).serve() as other:
        result = await bench.deploy()
    assert result.chosen.provider.owner == other.owner
    assert full.log == ["attest", "admit"]
    assert "capacity-cpu" in bench.last.show.warnings[0]


async def test_a_pod_stays_where_it_lives(bench):
    async with bench.peer().serve() as home:
        await bench.deploy()
        async with bench.peer(cpu_price=1).serve() as cheaper:
            result = await bench.deploy()
            assert result.chosen.provider.owner == home.owner
            with pytest.raises(Refused) as caught:
                await bench.deploy(choice=Choice(cheaper.owner))
    assert caught.value.rule == "lives-elsewhere"


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("stale-nonce", "nonce"),
        ("forged-report", "signature"),
        ("other-report-data", "report-data"),
        ("other-peer-attested", "peer-id"),
        ("profile-by-other-key", "profile-signature"),
        ("other-owner", "profile-owner"),
        ("denies-simulation", "profile-class"),
        ("other-profile-in-row", "profile-digest"),
    ],
)
async def test_bad_evidence_ends_it_before_anything_is_sent(bench, fault, rule):
    async with bench.peer(fault).serve() as peer:
        with pytest.raises(EvidenceRefused) as caught:
            await bench.deploy()
    assert caught.value.rule == rule
    assert peer.log == ["attest"]
    assert bench.chain.log == []


async def test_evidence_of_another_localnet(bench):
    from tests.fakes.chain.chain import FakeChain
    from tests.fakes.provider.peer import make_root

    foreign = FakeChain()
    foreign.market = replace(foreign.market, chain_id=4242)
    bench.root = make_root(foreign)
    async with bench.peer().serve() as peer:
        with pytest.raises(EvidenceRefused) as caught:
            await bench.deploy()
    assert caught.value.rule == "foreign-localnet"
    assert peer.log == ["attest"]


async def test_prices_that_differ_from_the_row_are_refused(bench):
    async with bench.peer("other-prices-in-row").serve() as peer:
        with pytest.raises(Refused) as caught:
            await bench.deploy()
    assert caught.value.rule == "terms"
    assert peer.log == ["attest"]


@pytest.mark.parametrize("fault", ["replies-by-other-key", "replies-to-other-request", "skips-replies"])
async def test_replies_of_somebody_else_are_refused(bench, fault):
    async with bench.peer(fault).serve():
        with pytest.raises(RemoteProtocolError):
            await bench.deploy()
    assert bench.chain.log == []


async def test_a_silent_provider_costs_only_time(bench):
    bench.wait(attest_s=0.3)
    async with bench.peer("silent").serve(), bench.peer(cpu_price=9000).serve() as other:
        result = await bench.deploy()
    assert result.chosen.provider.owner == other.owner


async def test_a_crash_shows_its_words_and_the_refund(bench):
    before = bench.chain.tokens[bench.address]
    async with bench.peer("crashes").serve():
        with pytest.raises(Refused, match="CrashLoopBackOff"):
            await bench.deploy()
    assert bench.progress.money.state == "released"
    assert bench.chain.tokens[bench.address] == before
    assert any("came back" in line for line in bench.last.show.lines)


async def test_a_provider_that_keeps_the_money_is_given_notice(bench):
    bench.wait(release_s=0.2)
    async with bench.peer("crashes", "keeps-money").serve() as peer:
        with pytest.raises(Refused):
            await bench.deploy()
        assert bench.progress.money.state == "unlocking"
        assert any("trustedpods close hello" in line for line in bench.last.show.lines)
        peer.faults.clear()
        await bench.deploy()
    assert [verb for verb, _ in bench.chain.log] == ["open", "unlock", "cancel_unlock"]


async def test_a_failed_update_leaves_the_channel_to_the_pod_that_runs(bench):
    bench.wait(unsure_s=0.1)
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.faults = {"crashes", "keeps-money"}
        with pytest.raises(Refused):
            await bench.deploy()
    assert bench.progress.money.state == "open"
    assert not any("close hello" in line for line in bench.last.show.lines)
    assert [verb for verb, _ in bench.chain.log] == ["open"]


@pytest.mark.parametrize("broken", ["cancel_unlock", "head"])
async def test_a_notice_that_cannot_be_taken_back_is_told(bench, broken):
    bench.wait(unsure_s=0.1, silent_s=0.1)
    async with bench.peer().serve() as peer:
        await bench.deploy()
        ref = bench.account.publisher.ref(peer.owner, peer.daemon, "hello")
        await bench.chain.unlock(bench.key, ref.owner, ref.salt)
        working = getattr(bench.chain, broken)

        async def fails_once(*_):
            setattr(bench.chain, broken, working)
            raise NetworkFailure("not mined in time")

        setattr(bench.chain, broken, fails_once)
        with pytest.raises(NetworkFailure):
            await bench.deploy()
    if broken == "head":  # the notice was taken back, and the version before is in place
        assert bench.progress.money.state == "open"
        assert any("it pays for the version that is there" in line for line in bench.last.show.lines)
        return
    assert bench.progress.money.state == "unlocking"
    assert bench.progress.money.unlock_at > bench.chain.now


async def test_an_earlier_refund_is_not_told_again(bench):
    async with bench.peer("crashes").serve():
        for _ in range(2):
            with pytest.raises(Refused):
                await bench.deploy()
            assert bench.progress.money.state == "released"
    opened = bench.chain.open_with_permit

    async def broken(*arguments):
        raise NetworkFailure("not mined in time")

    bench.chain.open_with_permit = broken
    async with bench.peer().serve():
        with pytest.raises(NetworkFailure):
            await bench.deploy()
    bench.chain.open_with_permit = opened
    assert bench.progress.money == DepositOutcome("untouched")


async def test_a_provider_that_cannot_be_asked_is_not_given_notice(bench):
    """Another client with this key may have been faster: what cannot be read is not gone."""
    bench.wait(unsure_s=0.1)
    async with bench.peer("hangs-up-late", "tells-nothing").serve():
        with pytest.raises(NetworkFailure):
            await bench.deploy()
    assert [verb for verb, _ in bench.chain.log] == ["open"]
    assert bench.progress.money.state == "open"
    (told,) = [line for line in bench.last.show.lines if "keeps its" in line]
    assert "cannot be asked" in told
    assert "trustedpods close hello" in told


async def test_a_provider_that_lost_the_line_and_serves_nothing_is_given_notice(bench):
    bench.wait(silent_s=0.2)
    async with bench.peer("hangs-up-late").serve():
        with pytest.raises(NetworkFailure):
            await bench.deploy()
    assert [verb for verb, _ in bench.chain.log] == ["open", "unlock"]


@pytest.mark.parametrize("fault", ["other-image", "statement-by-other-key"])
async def test_a_false_confirmation_is_refused(bench, fault):
    bench.wait(silent_s=0.1)
    async with bench.peer(fault).serve():
        with pytest.raises(RemoteProtocolError):
            await bench.deploy()
    assert bench.progress.money.state == "unlocking"


async def test_chunks_that_arrived_are_not_sent_again(bench):
    bench.wait(silent_s=0.1)
    layer = bytes(range(256)) * (4 * limits.BLOB_CHUNK // 256) + b"end"
    bench.write_image(layers=(layer,))
    peer = bench.peer()
    async with peer.serve():
        peer.stop_after_chunks = 3
        with pytest.raises(NetworkFailure):
            await bench.deploy()
        arrived = sum(peer.chunks.values())
        assert 0 < arrived < 7
        peer.stop_after_chunks = None
        peer.chunks.clear()
        await bench.deploy()
    assert sum(peer.chunks.values()) == 7 - arrived
    assert len(bench.chain.lives) == 1


async def test_a_provider_that_comes_back_is_gone_on_with(bench):
    bench.write_image(layers=(bytes(4 * limits.BLOB_CHUNK + 100),))
    peer = bench.peer()
    done = trio.Event()

    async def deploy():
        await bench.deploy(patience_s=10)
        done.set()

    async with trio.open_nursery() as nursery:
        async with peer.serve():
            peer.stop_after_chunks = 3
            nursery.start_soon(deploy)
            while peer.stop_after_chunks > sum(peer.chunks.values()):
                await trio.sleep(0.01)
        peer.stop_after_chunks = None
        async with peer.serve():
            bench.chain.rows[peer.owner, 0] = peer.row
            with trio.fail_after(20):
                await done.wait()
    assert [verb for verb, _ in bench.chain.log] == ["open"]
    assert sum(peer.chunks.values()) == 7
    assert bench.progress.sent.chunks >= 7
    assert any("trying again" in text for text in bench.last.show.warnings)


async def test_a_home_that_is_gone_says_how_to_move(bench):
    peer = bench.peer()
    async with peer.serve():
        await bench.deploy()
    with pytest.raises(NetworkFailure) as caught:
        await bench.deploy()
    assert "trustedpods close hello" in caught.value.hint


async def test_a_blob_that_is_not_in_the_bundle_is_not_sent(bench):
    bench.wait(silent_s=0.1)
    async with bench.peer("asks-too-much").serve() as peer:
        with pytest.raises(RemoteProtocolError, match="not in the bundle"):
            await bench.deploy()
    assert "blob" not in peer.log


async def test_open_needs_to_be_asked_for(bench):
    async with bench.peer(trust="open").serve() as peer:
        with pytest.raises(Refused, match="operator could read"):
            await bench.deploy()
        assert peer.log == []
        result = await bench.deploy(trust="open")
    assert result.chosen.machine.verdict.trust == "open"
    assert any("OPEN" in line for line in bench.last.show.lines)


async def test_without_money_nothing_is_sent(bench):
    bench.chain.tokens[bench.address] = 3
    async with bench.peer().serve() as peer:
        with pytest.raises(InsufficientFunds) as caught:
            await bench.deploy()
    assert caught.value.rule == "token"
    assert "no coin of the chain" not in caught.value.what
    assert "provision" not in peer.log
    assert bench.chain.log == []


async def test_who_has_neither_tokens_nor_gas_is_told_of_both_at_once(bench):
    bench.chain.tokens[bench.address] = 3
    bench.chain.gas[bench.address] = 0
    async with bench.peer().serve():
        with pytest.raises(InsufficientFunds, match="no coin of the chain to pay for gas") as caught:
            await bench.deploy()
    assert "docs/money.md" in caught.value.hint
    assert caught.value.exit_code == ExitCode.FUNDS


async def test_nobody_in_the_market(bench):
    with pytest.raises(Refused) as caught:
        await bench.deploy()
    assert caught.value.rule == "no-provider"

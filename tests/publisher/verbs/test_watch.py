# SPDX-License-Identifier: Apache-2.0
"""`watch` and every other verb after a provider's reboot, over real libp2p and real evidence."""

import os
from contextlib import asynccontextmanager

import pytest

from tests.publisher.conftest import TOKEN
from trustedpods.contracts.records import meter_tag
from trustedpods.protocol.errors import EvidenceRefused, NetworkFailure, Refused
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.protocol.messages.usage import UsageReport
from trustedpods.publisher.core.money import Funding
from trustedpods.publisher.core.watch import TopUp
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs import pods
from trustedpods.publisher.verbs.networks.whole.books import NewestBooks
from trustedpods.publisher.verbs.watch import WatchOptions, watch_round
from trustedpods.publisher.visits import records


def channel_of(bench):
    ((_, life),) = bench.chain.lives.items()
    return life.channel


async def watched(bench, **options):
    """One round over one pod."""
    result = await watch_round(bench.account, WatchOptions(patience_s=0, **options), bench.journal())
    (pod,) = result.pods
    return pod


@asynccontextmanager
async def rebooted(bench, peer=None, **deploy):
    """A pod of a provider that was restarted since, and serves again under other keys."""
    peer = peer or bench.peer()
    async with peer.serve():
        await bench.deploy(**deploy)
    peer.reboot()
    async with peer.serve():
        peer.log.clear()
        yield peer


async def test_a_pod_that_is_well(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.log.clear()
        result = await watched(bench)
    assert (result.state, result.exit_code, result.actions, result.problems) == ("ok", 0, (), ())
    assert "provision" not in peer.log
    assert "SIMULATED" in result.line


async def test_a_restarted_provider_gets_the_pod_again(bench):
    async with rebooted(bench) as peer:
        result = await watched(bench)
        assert (result.state, result.exit_code) == ("released", 0)
        assert result.actions == ("moved", "released")
        assert channel_of(bench).meter_tag == meter_tag(peer.meter)
        assert peer.log[:3] == ["attest", "rotate", "status"]
        assert peer.bundles[0] == peer.bundles[1]
        assert "blob" not in peer.log
        again = await watched(bench)
        assert (again.state, again.actions) == ("ok", ())


async def test_the_generation_grows(bench):
    async with rebooted(bench):
        before = bench.progress.confirmed.generation
        await watched(bench)
        assert (await bench.status()).confirmed.generation > before


@pytest.mark.parametrize("verb", ["status", "logs"])
async def test_any_verb_releases(bench, verb):
    async with rebooted(bench) as peer:
        if verb == "status":
            assert (await bench.status()).phase == "serving"
        else:
            await pods.logs(
                bench.account, "hello", LogsBody(), lambda _: None, VisitProgress(), bench.journal()
            )
        assert peer.log.count("provision") == 1


async def test_a_deploy_moves_the_channel_and_releases(bench):
    async with rebooted(bench) as peer:
        await bench.deploy()
        assert (peer.log.count("rotate"), peer.log.count("provision")) == (1, 1)
        assert (await watched(bench)).actions == ()
    assert [verb for verb, _ in bench.chain.log].count("open") == 1


async def test_delete_moves_the_channel_and_sends_no_bundle(bench):
    async with rebooted(bench) as peer:
        deleted = await bench.delete()
        assert "provision" not in peer.log
        assert "rotate" in peer.log
    assert deleted.money.state == "released"


async def test_a_kill_between_move_and_release(bench):
    async with rebooted(bench) as peer:
        peer.faults.add("dies-after-rotation")
        assert (await watched(bench)).exit_code == 8
        result = await watched(bench)
        assert (result.actions, result.exit_code) == (("released",), 0)
        assert peer.log.count("rotate") == 1


async def test_short_outages_are_waited_for(bench, virtual_time):
    async with rebooted(bench) as peer:
        peer.faults.add("dies-after-rotation")
        result = await watch_round(bench.account, WatchOptions(patience_s=20), bench.journal())
        assert [(pod.state, pod.exit_code) for pod in result.pods] == [("released", 0)]


async def test_without_the_record_the_chain_knows_the_old_meter(bench):
    async with rebooted(bench) as peer:
        (record,) = records.mine(bench.account, bench.journal())
        records.pod_records().save(record.model_copy(update={"meter": None}))
        assert (await watched(bench)).state == "released"
        assert channel_of(bench).meter_tag == meter_tag(peer.meter)


async def test_on_another_machine_status_says_what_to_do(bench, monkeypatch):
    async with rebooted(bench) as peer:
        monkeypatch.setenv("XDG_STATE_HOME", str(bench.folder / "elsewhere"))
        assert (await bench.status()).phase == "awaiting-key"
        assert any("deploy FILE" in warning for warning in bench.last.show.warnings)
        assert "provision" not in peer.log


async def test_images_that_the_provider_lost_are_sent_again(bench):
    async with rebooted(bench) as peer:
        peer.received.clear()
        assert (await watched(bench)).state == "released"
        assert "blob" in peer.log


async def test_images_are_sent_again_of_a_pod_whose_manifest_is_in_no_file(bench, monkeypatch):
    """As of `deploy IMAGE` and of a network's templates; and from whatever folder it is watched."""
    async with rebooted(bench) as peer:
        peer.received.clear()
        (bench.folder / "pod.yaml").unlink()
        monkeypatch.chdir("/")
        assert (await watched(bench)).state == "released"
        assert "blob" in peer.log


async def test_other_images_in_the_same_place_are_not_sent(bench):
    async with rebooted(bench) as peer:
        peer.received.clear()
        bench.write_image((b"other" * 1000,))
        result = await watched(bench)
        assert result.exit_code == 2
        assert "others than those that were deployed" in result.problems[0]
        assert "blob" not in peer.log


async def test_a_provider_that_lies_about_the_move(bench):
    async with rebooted(bench, bench.peer("pretends-to-rotate")) as peer:
        result = await watched(bench)
        assert result.exit_code == 8
        assert "provision" not in peer.log


async def test_a_provider_that_will_not_move(bench):
    async with rebooted(bench, bench.peer("will-not-rotate")) as peer:
        assert (await watched(bench)).exit_code == 6
        assert "provision" not in peer.log


# ---- standing proof --------------------------------------------------------------------------


async def test_a_provider_that_stops_verifying_is_loud_and_gets_nothing(bench):
    async with rebooted(bench) as peer:
        peer.faults.add("forged-report")
        result = await watched(bench)
        assert (result.exit_code, result.state) == (9, "does not verify")
        assert "DOES NOT VERIFY" in result.line
        assert set(peer.log) == {"attest"}
        assert result.attested.refused
        assert channel_of(bench).unlock_at == 0  # only where the owner asked for it
        with pytest.raises(EvidenceRefused) as caught:
            await bench.status()
        assert "it verified last at" in caught.value.hint
        peer.faults.clear()
        assert (await watched(bench)).attested.refused is None


async def test_unlock_on_violation(bench):
    async with rebooted(bench) as peer:
        peer.faults.add("forged-report")
        result = await watched(bench, unlock=True)
        assert result.actions == ("deposit unlocking",)
        assert channel_of(bench).unlock_at
        assert (await watched(bench, unlock=True)).exit_code == 9  # a second notice is no error


async def test_an_outage_never_unlocks(bench):
    async with bench.peer().serve():
        await bench.deploy()
    result = await watched(bench, unlock=True)
    assert result.exit_code == 8
    assert channel_of(bench).unlock_at == 0


async def test_status_says_when_and_against_what(bench):
    async with bench.peer().serve():
        await bench.deploy()
        attested = (await bench.status()).pod.attested
    assert attested.at > 0
    assert attested.label == "built-in"


async def test_the_class_of_the_deploy_holds(bench):
    """A row that turned to class open later is not good enough for a pod of class sealed."""
    peer = bench.peer()
    async with peer.serve():
        await bench.deploy()
    peer.trust = "open"
    peer.reboot()
    async with peer.serve():
        assert (await watched(bench)).exit_code == 9
        with pytest.raises(EvidenceRefused):
            await bench.status()


# ---- money -----------------------------------------------------------------------------------


async def test_usage_beyond_the_pods_size(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.usage = UsageReport(leaves=[], open_usage=[10**12, 0, 0, 0, 0])
        result = await watched(bench, unlock=True)
        assert (result.exit_code, result.state) == (3, "violation")
        assert "CPU" in result.problems[0]
        assert channel_of(bench).unlock_at


async def test_a_claim_without_a_leaf(bench):
    async with bench.peer().serve():
        await bench.deploy(funding=Funding(seconds=3600))
        life = next(iter(bench.chain.lives.values()))
        object.__setattr__(life.channel, "left", life.channel.left - 5)
        result = await watched(bench)
        assert result.exit_code == 3
        assert "5 base units left the channel" in result.problems[0]


async def test_a_meter_that_waits_for_days(bench):
    async with bench.peer().serve():
        await bench.deploy()
        bench.chain.pass_time(49 * 3600)
        result = await watched(bench, unlock=True)
        assert (result.exit_code, result.state) == (3, "alarm")
        assert channel_of(bench).unlock_at == 0  # a late claim is no proof of anything
        assert "not claimed for 49 h" in result.problems[0]


async def test_low_funds_are_code_7(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.runway = 600
        result = await watched(bench)
        assert (result.exit_code, result.state, result.actions) == (7, "low", ())


async def test_topped_up_within_the_days_allowance(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.runway = 600
        left, allowed = channel_of(bench).left, TopUp(6 * 3600, 10**9)
        result = await watched(bench, top_up=allowed)
        paid = channel_of(bench).left - left
        assert paid > 0
        assert result.actions == (f"paid {TOKEN.text(paid)}",)
        assert result.exit_code == 0
        short = TopUp(24 * 3600, result.paid + 1)
        result = await watched(bench, top_up=short)
        assert channel_of(bench).left - left == paid + 1
        assert result.exit_code == 7
        assert (await watched(bench, top_up=short)).actions == ()


async def test_money_comes_before_where_other_nodes_are(bench, monkeypatch):
    """A node may take ten minutes for new addresses, and others wait for their turn meanwhile."""
    left = []

    async def bring(*_):
        left.append(channel_of(bench).left)
        return False

    monkeypatch.setattr(NewestBooks, "bring", bring)
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.runway, before = 600, channel_of(bench).left
        assert (await watched(bench, top_up=TopUp(6 * 3600, 10**9))).exit_code == 0
    assert left == [channel_of(bench).left]
    assert left[0] > before


async def test_no_money_for_false_books(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.runway = 600
        peer.usage = UsageReport(leaves=[], open_usage=[10**12, 0, 0, 0, 0])
        left = channel_of(bench).left
        assert (await watched(bench, top_up=TopUp(3600, 10**9))).exit_code == 3
        assert channel_of(bench).left == left


async def test_a_wallet_that_is_empty(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.runway = 600
        bench.chain.tokens[bench.address] = 0
        assert (await watched(bench, top_up=TopUp(3600, 10**9))).exit_code == 7


async def test_a_pod_whose_deposit_is_being_taken_back_is_left_alone(bench):
    async with rebooted(bench) as peer:
        publisher = bench.account.publisher
        ref = publisher.ref(peer.owner, peer.daemon, "hello")
        await bench.chain.unlock(bench.key, ref.owner, ref.salt)
        peer.runway = 10
        result = await watched(bench, top_up=TopUp(3600, 10**9))
        assert (result.state, result.actions) == ("unlocking", ("moved",))
        assert "provision" not in peer.log


# ---- what is kept ----------------------------------------------------------------------------


async def test_a_closed_channel_is_forgotten(bench):
    async with bench.peer().serve():
        await bench.deploy()
        await bench.delete()
        assert (await watched(bench)).state == "ended"
        assert (await watch_round(bench.account, WatchOptions(), bench.journal())).pods == ()


async def test_a_chain_that_cannot_be_read_forgets_nothing(bench):
    async with bench.peer().serve():
        await bench.deploy()
        bench.chain.broken = True
        assert (await watched(bench)).exit_code == 8
        bench.chain.broken = False
        assert (await watched(bench)).exit_code == 0


async def test_a_name_that_is_not_known(bench):
    with pytest.raises(Refused) as caught:
        await watch_round(bench.account, WatchOptions(names=("nobody",)), bench.journal())
    assert caught.value.rule == "unknown-pod"


async def test_the_kept_bundle_shows_no_secret(bench):
    async with bench.peer().serve():
        await bench.deploy()
    folder = bench.folder / "home" / ".local" / "state" / "trustedpods" / "pods"
    files = list(folder.iterdir())
    assert {file.suffix for file in files} == {".json", ".bundle", ".version"}
    for file in files:
        assert b"marker-in-a-secret" not in file.read_bytes()
        assert os.stat(file).st_mode & 0o077 == 0


async def test_a_damaged_bundle_is_said(bench):
    async with rebooted(bench) as peer:
        (record,) = records.mine(bench.account, bench.journal())
        folder = bench.folder / "home" / ".local" / "state" / "trustedpods" / "pods"
        (folder / f"{record.channel}.bundle").write_bytes(b"x" * 100)
        result = await watched(bench)
        assert result.exit_code == 2
        assert "provision" not in peer.log


async def test_a_damaged_record_stops_no_other_pod(bench):
    async with bench.peer().serve():
        await bench.deploy()
        folder = bench.folder / "home" / ".local" / "state" / "trustedpods" / "pods"
        (folder / f"{'ab' * 24}.json").write_text("{")
        assert (await watched(bench)).exit_code == 0
        assert any("damaged" in warning for warning in bench.last.show.warnings)


async def test_a_failed_first_deploy_is_not_forgotten_at_once(bench, virtual_time):
    async with bench.peer("hangs-up-late").serve():
        with pytest.raises(NetworkFailure):
            await bench.deploy()
        (record,) = records.mine(bench.account, bench.journal())
        assert record.holder is None

# SPDX-License-Identifier: Apache-2.0
"""`rollback`: what proved itself is kept, sealed, and takes its place again by the way of an update."""

import json
import shutil

import pytest

from tests.fakes.images.oci_images import ImageFiles
from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import ExitCode, Refused
from trustedpods.protocol.ids import channel_hex
from trustedpods.publisher.results.deployed import DeployProgress
from trustedpods.publisher.state.pod_records import MAX_VERSIONS
from trustedpods.publisher.verbs.running.rollback import RollbackOptions, rollback, versions
from trustedpods.publisher.verbs.watch import WatchOptions, watch_round
from trustedpods.publisher.visits.records import pod_records

__all__ = ["cli"]


async def deployed(bench, *modes, **options):
    """The pod deployed once for each of *modes*, a value of a variable."""
    path = bench.folder / "pod.yaml"
    plain = path.read_text()
    for mode in modes:
        path.write_text(
            plain.replace("      ports:", f"      env: [{{name: MODE, value: {mode}}}]\n      ports:")
        )
        result = await bench.deploy(**options)
    path.write_text(plain)
    return channel_hex(result.chosen.channel)


async def back(bench, generation=None, agree=None):
    progress = DeployProgress()
    options = RollbackOptions(generation, agree)
    return await rollback(bench.account, "hello", options, progress, bench.journal())


def mode_of(bundle):
    (container,) = json.loads(bundle.manifest)["spec"]["containers"]
    return container["env"][0]["value"]


async def test_the_version_before_runs_again_and_nothing_of_its_images_is_sent(bench):
    async with bench.peer().serve() as peer:
        await deployed(bench, "one", "two")
        sent = dict(peer.chunks)
        result = await back(bench)
        assert mode_of(peer.bundles[-1]) == "one"
        assert peer.chunks == sent
        assert result.update == "beside"
        assert any("variable MODE of hello: changes" in line for line in bench.last.show.lines)
        await back(bench)
        assert mode_of(peer.bundles[-1]) == "two"  # back and forth, as undo does elsewhere
    assert [verb for verb, _ in bench.chain.log] == ["open"]


async def test_a_generation_is_gone_back_to_and_listed(bench, cli):
    async with bench.peer().serve() as peer:
        channel = await deployed(bench, "one", "two", "three")
        oldest, *_ = pod_records().versions(channel)
        before = json.loads((await cli("rollback", "hello", "--list", "-o", "json")).stdout)
        assert [one["serves"] for one in before["versions"]] == [True, False, False]
        done = await cli("rollback", "hello", oldest)
        assert done.exit_code == 0, done.output
        assert mode_of(peer.bundles[-1]) == "one"
        listed = await versions(bench.account, "hello", bench.journal())
        text = (await cli("rollback", "hello", "--list")).stdout
    assert [one.serves for one in listed.versions] == [True, False, False]
    assert oldest not in [one.generation for one in listed.versions]  # it is the newest now
    assert text.count("sha256:") == 3


async def test_what_is_kept_is_bounded_sealed_and_forgotten_with_the_pod(bench):
    async with bench.peer().serve():
        channel = await deployed(bench, *(f"marker-{number}" for number in range(MAX_VERSIONS + 2)))
        await deployed(bench, f"marker-{MAX_VERSIONS + 1}")  # the same again is no other version
        folder = bench.folder / "home/.local/state/trustedpods/pods"
        kept = sorted(folder.glob("*.version"))
        assert len(kept) == MAX_VERSIONS
        assert not any(b"marker" in path.read_bytes() for path in kept)
        assert {path.stat().st_mode & 0o077 for path in kept} == {0}
        pod_records().forget(channel)
        assert list(folder.iterdir()) == []


async def test_a_version_that_failed_is_not_kept(bench):
    async with bench.peer().serve() as peer:
        channel = await deployed(bench, "one")
        peer.faults |= {"crashes", "keeps-money"}
        with pytest.raises(Refused):
            await deployed(bench, "two")
        assert len(pod_records().versions(channel)) == 1
        with pytest.raises(Refused) as caught:
            await back(bench)
    assert caught.value.rule == "no-version"


@pytest.mark.parametrize("generation", [None, 7])
async def test_without_an_earlier_version_it_says_so_and_touches_nothing(bench, generation):
    async with bench.peer().serve() as peer:
        await deployed(bench, "one")
        with pytest.raises(Refused) as caught:
            await back(bench, generation)
        assert len(peer.bundles) == 1
    assert caught.value.rule == "no-version"


async def test_who_says_no_changes_nothing(bench):
    async with bench.peer().serve() as peer:
        await deployed(bench, "one", "two")
        with pytest.raises(Refused) as caught:
            await back(bench, agree=lambda made: False)
        assert len(peer.bundles) == 2
    assert caught.value.rule == "not-agreed"


async def test_images_that_the_provider_lost_are_sent_from_the_disk_or_missed(bench):
    async with bench.peer().serve() as peer:
        await deployed(bench, "one")
        saved = bench.folder / "saved.tar"
        shutil.copy(bench.folder / "hello.tar", saved)
        bench.write_image(layers=(b"other" * 1000,))
        await deployed(bench, "two")
        peer.received.clear()
        with pytest.raises(Exception, match="its images are others"):
            await back(bench)
        shutil.copy(saved, bench.folder / "hello.tar")
        await back(bench)
        assert mode_of(peer.bundles[-1]) == "one"


async def test_another_machine_keeps_none(bench, cli):
    async with bench.peer().serve():
        await deployed(bench, "one", "two")
        shutil.rmtree(bench.folder / "home")
        done = await cli("rollback", "hello")
    assert done.exit_code == ExitCode.REFUSED
    assert "[no-version]" in done.stderr


async def test_an_older_version_goes_to_no_machine_that_its_own_trust_refuses(bench):
    peer = bench.peer()
    async with peer.serve():
        channel = await deployed(bench, "one")
    record = pod_records().load(channel)
    pod_records().save(record.model_copy(update={"trust": "open"}))  # clients before this let updates sink
    peer.trust = "open"
    peer.reboot()
    async with peer.serve():
        await deployed(bench, "two", trust="open")
        sent, kept = len(peer.bundles), pod_records().load(channel)
        with pytest.raises(Refused, match="class sealed") as caught:
            await back(bench)
        assert len(peer.bundles) == sent
    assert caught.value.rule == "policy"
    assert pod_records().load(channel).trust == kept.trust == "open"
    assert pod_records().load(channel).refused == ""  # it is what runs there that the record is of


async def test_the_trust_of_what_was_gone_back_to_holds_from_then_on(bench):
    peer = bench.peer(trust="open")
    async with peer.serve():
        await deployed(bench, "one", trust="open")
    peer.trust = "sealed"
    peer.reboot()
    async with peer.serve():
        channel = await deployed(bench, "two")
        assert pod_records().load(channel).trust == "sealed"
        await back(bench)
        assert pod_records().load(channel).trust == "open"
    peer.trust = "open"
    peer.reboot()
    async with peer.serve():
        result = await watch_round(bench.account, WatchOptions(patience_s=0), bench.journal())
    assert (result.pods[0].state, result.pods[0].exit_code) == ("released", 0)
    assert mode_of(peer.bundles[-1]) == "one"


async def test_images_are_looked_for_where_that_version_had_them(bench):
    path = bench.folder / "pod.yaml"
    async with bench.peer().serve() as peer:
        channel = await deployed(bench, "one")
        ImageFiles(layers=(b"other" * 1000,)).write_archive(bench.folder / "other.tar")
        path.write_text(path.read_text().replace("hello.tar", "other.tar"))
        await deployed(bench, "two")
        peer.received.clear()
        await back(bench)
        assert mode_of(peer.bundles[-1]) == "one"
    assert pod_records().load(channel).images == (f"oci-archive:{bench.folder}/hello.tar",)


async def test_a_failed_update_leaves_the_trust_and_the_images_of_what_serves(bench):
    path, peer = bench.folder / "pod.yaml", bench.peer()
    async with peer.serve():
        channel = await deployed(bench, "one")
    peer.trust = "open"
    peer.reboot()
    async with peer.serve():
        before = pod_records().load(channel)
        (bench.folder / "other.tar").write_bytes((bench.folder / "hello.tar").read_bytes())
        path.write_text(path.read_text().replace("hello.tar", "other.tar"))
        peer.faults |= {"crashes", "keeps-money"}
        with pytest.raises(Refused):
            await deployed(bench, "two", trust="open")
    after = pod_records().load(channel)
    assert (after.images, after.trust, after.policy) == (before.images, "sealed", before.policy)

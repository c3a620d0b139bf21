# SPDX-License-Identifier: Apache-2.0
"""The plan of a deploy: nothing is paid or sent for it, and what runs changes only when somebody agrees."""

import json
import shutil
from dataclasses import replace

import pytest

from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import ExitCode, Refused
from trustedpods.protocol.messages.pod import PodEvent
from trustedpods.publisher.pod import read_pod
from trustedpods.publisher.results.deployed import DeployProgress
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs import pods
from trustedpods.publisher.verbs.deploy import DeployOptions, plan
from trustedpods.publisher.verbs.offers.planned import deploy_keeps

__all__ = ["cli"]


async def planned(bench):
    pod = read_pod(bench.folder / "pod.yaml", bench.folder / "cache")
    return await plan(DeployOptions(), bench.account, pod, bench.journal())


def change_manifest(bench, old, new):
    path = bench.folder / "pod.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


WITH_MODE = ("      ports:", "      env: [{name: MODE, value: hidden}]\n      ports:")


async def test_a_first_deploy_pays_and_keeps_nothing(bench, cli):
    async with bench.peer().serve() as peer:
        done = await cli("deploy", bench.folder / "pod.yaml", "--dry-run", "-o", "json")
    assert done.exit_code == ExitCode.PLAN_HAS_CHANGES, done.output
    tree = json.loads(done.stdout)
    assert (tree["effect"], tree["changes"], tree["price_before"]) == ("create", [], None)
    assert float(tree["deposit"]) > 0
    assert peer.log == ["attest", "admit"]
    assert bench.chain.lives == {}
    kept = bench.folder / "home" / ".local" / "state" / "trustedpods"
    assert not any((kept / name).exists() for name in ("names.json", "pods"))


async def test_nothing_changes(bench, cli):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        done = await cli("deploy", bench.folder / "pod.yaml", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "hello at " in done.stdout
    assert "nothing changes" in done.stdout
    assert len(peer.bundles) == 1


PAYMENT = ("\n  services:", "\n  payment: {deposit: '7', maxCostPerDay: '100000'}\n  services:")


async def test_terms_alone_keep_what_runs_running(bench, cli):
    add_disk(bench)  # a version of it that ran elsewise would be stopped first
    async with bench.peer().serve() as peer:
        await bench.deploy()
        change_manifest(bench, *PAYMENT)
        done = await cli("deploy", bench.folder / "pod.yaml", "--dry-run")
        assert done.exit_code == ExitCode.PLAN_HAS_CHANGES
        assert "keeps running, no restart" in done.stdout
        assert "payment.deposit counts when a channel is opened" in done.stdout
        found = await planned(bench)
        assert (found.effect, found.known) == ("keep", True)
        assert {change.what for change in found.changes} == {"payment.deposit", "payment.maxCostPerDay"}
        assert len(peer.bundles) == 1
        result = await bench.deploy(agree=lambda made: made.effect == "keep")
        assert (result.update, len(peer.bundles)) == ("kept", 2)


async def told(bench):
    """What the pod's provider says of it, and the pod as the file has it."""
    status = await pods.status(bench.account, "hello", VisitProgress(), bench.journal())
    return read_pod(bench.folder / "pod.yaml", bench.folder / "cache"), status


async def test_of_a_network_too_terms_alone_keep_a_node_running(bench):
    async with bench.peer().serve():
        await bench.deploy()
        change_manifest(bench, *PAYMENT)
        pod, status = await told(bench)
        assert deploy_keeps(bench.account, pod, status, bench.journal())
        assert not deploy_keeps(bench.account, pod, replace(status, phase="importing"), bench.journal())
        change_manifest(bench, *WITH_MODE)
        other, _ = await told(bench)
        assert not deploy_keeps(bench.account, other, status, bench.journal())
        later = replace(status, confirmed=replace(status.confirmed, generation=2**62))
        assert not deploy_keeps(bench.account, pod, later, bench.journal())


async def test_a_notice_that_is_taken_back_stops_nothing(bench):
    add_disk(bench)
    async with bench.peer().serve() as peer:
        await bench.deploy()
        ref = bench.account.publisher.ref(peer.owner, peer.daemon, "hello")
        await bench.chain.unlock(bench.key, ref.owner, ref.salt)
        same = await planned(bench)
        change_manifest(bench, *PAYMENT)
        other = await planned(bench)
    assert [one.effect for one in (same, other)] == ["keep", "keep"]
    assert [change.what for change in same.changes] == ["the notice on its deposit is taken back"]


async def test_what_would_change(bench):
    async with bench.peer().serve():
        await bench.deploy()
        bench.write_image(layers=(b"other" * 1000,))
        (bench.folder / "password.txt").write_text("another-secret")
        change_manifest(bench, *WITH_MODE)
        found = await planned(bench)
    assert found.effect == "in place"
    assert found.known
    assert [change.what for change in found.changes] == [
        "image of hello",
        "variable MODE of hello",
        "secret login, password: changes",
    ]
    assert found.cost_before == found.cost
    told = "\n".join(found.lines)
    assert "variable MODE of hello: new\n" in told
    assert "as before" in told
    assert "hidden" not in told
    assert "another-secret" not in told


async def test_a_larger_pod_costs_more(bench):
    async with bench.peer().serve():
        await bench.deploy()
        change_manifest(
            bench, "      ports:", "      resources: {limits: {cpu: 500m, memory: 512Mi}}\n      ports:"
        )
        found = await planned(bench)
    assert found.cost.awake_hour > found.cost_before.awake_hour
    assert "until now" in found.lines[-1]


async def test_another_machine_compares_images_alone_and_says_so(bench):
    async with bench.peer().serve():
        await bench.deploy()
        shutil.rmtree(bench.folder / "home")
        same = await planned(bench)
        bench.write_image(layers=(b"other" * 1000,))
        other = await planned(bench)
    assert (same.effect, same.changes, same.known) == ("in place", (), False)
    assert "not known" in "\n".join(same.lines)
    assert [change.what for change in other.changes] == ["image of hello"]


async def test_what_another_client_deployed_meanwhile_is_not_known(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.generation += 10**6
        found = await planned(bench)
    assert not found.known


async def test_a_pod_of_which_nothing_runs_asks_nobody(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.phase = "stopped"
        change_manifest(bench, *WITH_MODE)
        found = await planned(bench)
        assert found.effect == "create"
        assert "it is stopped" in found.stops
        await bench.deploy(agree=lambda made: pytest.fail("asked"))


async def test_who_says_no_changes_nothing(bench):
    asked = []
    async with bench.peer().serve() as peer:
        await bench.deploy(agree=lambda made: pytest.fail("asked of a new pod"))
        await bench.deploy(agree=lambda made: pytest.fail("asked where nothing changes"))
        change_manifest(bench, *WITH_MODE)
        with pytest.raises(Refused) as caught:
            await bench.deploy(agree=asked.append)
        assert len(peer.bundles) == 2
        await bench.deploy(agree=lambda made: True)
        assert len(peer.bundles) == 3
    assert caught.value.rule == "not-agreed"
    assert [made.effect for made in asked] == ["in place"]
    assert isinstance(bench.progress, DeployProgress)


async def test_without_a_terminal_a_manifest_goes_on_and_an_image_needs_a_word(bench, cli, monkeypatch):
    monkeypatch.chdir(bench.folder)
    async with bench.peer().serve() as peer:
        words = ("deploy", "hello.tar", "--port", "8080")
        assert (await cli(*words)).exit_code == 0
        assert (await cli(*words)).exit_code == 0  # nothing changes
        done = await cli(*words, "--env", "MODE=a")
        assert done.exit_code == ExitCode.REFUSED
        assert "variable MODE of hello: new" in done.stderr
        assert "[not-agreed]" in done.stderr
        assert "--yes" in done.stderr
        count = len(peer.bundles)
        assert (await cli(*words, "--env", "MODE=a", "--yes")).exit_code == 0
        assert (await cli("deploy", "pod.yaml")).exit_code == 0  # what the file says is what is wanted
    assert len(peer.bundles) == count + 2


def add_disk(bench):
    change_manifest(bench, "  volumes:\n", "  volumes:\n    - {name: data, persistent: {size: 1Gi}}\n")
    change_manifest(bench, "volumeMounts: [", "volumeMounts: [{name: data, mountPath: /data}, ")


async def test_two_versions_that_may_not_run_at_once(bench):
    async with bench.peer().serve():
        await bench.deploy()
        add_disk(bench)
        found = await planned(bench)
    assert found.effect == "restart"
    assert "is stopped first: two versions may not write one volume" in found.stops
    assert " s without an answer" not in found.stops, "this provider's history tells of no start"


async def test_how_long_it_is_away_is_told_where_the_history_has_its_last_start(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        add_disk(bench)
        peer.history = [
            PodEvent(at=at, reason=what, text="") for at, what in ((5, "imported"), (9, "started"))
        ]
        found = await planned(bench)
    assert "; about 4 s without an answer, as its last start took; if the new one fails" in found.stops


async def test_a_version_without_a_volume_is_refused_before_anything_is_sent(bench, cli):
    plain = (bench.folder / "pod.yaml").read_text()
    add_disk(bench)
    async with bench.peer().serve() as peer:
        await bench.deploy()
        (bench.folder / "pod.yaml").write_text(plain)
        for words in ((), ("--dry-run",), ("--yes",)):
            done = await cli("deploy", bench.folder / "pod.yaml", *words)
            assert done.exit_code == ExitCode.REFUSED
            assert "[volumes]" in done.stderr
    assert len(peer.bundles) == 1


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", ExitCode.REFUSED), ("", 130)])
async def test_on_a_terminal_it_asks(bench, cli, monkeypatch, answer, code):
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda stream: stream.name == "<stdin>")
    async with bench.peer().serve() as peer:
        await bench.deploy()
        change_manifest(bench, *WITH_MODE)
        done = await cli("deploy", bench.folder / "pod.yaml", typed=answer)
    assert done.exit_code == code, done.output
    assert "Change hello?" in done.stderr
    assert len(peer.bundles) == (1 if code else 2)

# SPDX-License-Identifier: Apache-2.0
"""A node of a provider that is gone for good comes anew at another one, over real libp2p and real tar."""

import shutil

import pytest
import trio

from tests.fakes.network_states import SHOP
from tests.publisher.backups.volumes import Volumes
from tests.publisher.verbs.networks.test_apply import Team, begun_name
from trustedpods.manifests.check.seeds import SEEDED, SEEDING
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused
from trustedpods.protocol.ids import address_bytes, channel_hex
from trustedpods.protocol.networks.content import NetworkCluster
from trustedpods.publisher.backups.folder import FolderStore
from trustedpods.publisher.backups.making import begin
from trustedpods.publisher.backups.pod_backups import PodBackups
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.networks.plan import NodeStep, Plan, pod_name
from trustedpods.publisher.core.networks.planning.replacing import ChosenBackup, Replacing
from trustedpods.publisher.pod import read_pod
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.deploy import DeployOptions
from trustedpods.publisher.verbs.networks.apply import plan
from trustedpods.publisher.verbs.networks.documents import members
from trustedpods.publisher.verbs.networks.nodes import MarketPods
from trustedpods.publisher.verbs.networks.places import parse_place
from trustedpods.publisher.verbs.networks.whole.replacing import backups_for, filling, newest_backup
from trustedpods.publisher.verbs.pods import visit
from trustedpods.publisher.verbs.running.backup import BackupOptions, backup
from trustedpods.publisher.visits import records

NAME = pod_name(SHOP, "a")
MOVING = "  nodes:\n    - {name: a, pod: pod.yaml, placement: {strategy: cheapest}}\n"
IN_K2 = "  nodes:\n    - {name: a, pod: pod.yaml, cluster: k2}\n"
VOLUME = "{name: data, persistent: {size: 1Gi}"


def with_volume(bench, more=""):
    text = (bench.folder / "pod.yaml").read_text()
    text = text.replace("volumeMounts: [", "volumeMounts: [{name: data, mountPath: /data}, ")
    text = text.replace("  volumes:\n", f"  volumes:\n    - {VOLUME}{more}}}\n")
    (bench.folder / "pod.yaml").write_text(text)


def waits_for_a_backup(bench):
    path = bench.folder / "pod.yaml"
    path.write_text(path.read_text().replace(VOLUME, f"{VOLUME}, seed: {{backup: true}}"))


def keep_backup(bench, place, name):
    """A backup of volume `data` of the pod."""
    new = begin(PodBackups(FolderStore(place), name, bench.account.publisher.secret), "0" * 8, 1_000_000_000)
    part = new.part("data", None)
    part.write(b"any")
    new.add(part.end())
    return new.finish(1_000_000_001)


def cluster_of(peer, name="one"):
    return NetworkCluster(name=name, owner=address_bytes(peer.owner), daemon=peer.daemon)


def made_pods(bench, journal, backups=None):
    pod = read_pod(bench.folder / "pod.yaml", bench.folder / "cache", name=NAME)
    return MarketPods(bench.account, SHOP, {"a": pod}, DeployOptions(), journal, backups=backups or {})


def channel_at(bench, peer):
    ref = bench.account.publisher.ref(peer.owner, peer.daemon, NAME)
    return bench.chain.channel(peer.owner, ref.channel), channel_hex(ref.channel)


@pytest.mark.parametrize("listed", [True, False], ids=["in-the-registry", "its-row-is-gone"])
async def test_what_pays_a_dead_provider_is_given_notice_before_the_node_comes_elsewhere(bench, listed):
    dead, other, journal = bench.peer(), bench.peer(), bench.journal()
    async with dead.serve():
        await made_pods(bench, journal).deploy("a", cluster_of(dead), None)
    if not listed:
        del bench.chain.rows[dead.owner, dead.daemon]
    async with other.serve():
        pods = made_pods(bench, journal)
        if listed:
            with pytest.raises(Refused) as caught:
                await pods.deploy("a", cluster_of(other), None)
            assert caught.value.rule == "lives-elsewhere"
        await pods.leave("a", cluster_of(dead))
        left, there = channel_at(bench, dead)
        assert (await left).unlock_at > 0
        told = [one for one in journal.events if one["event"] == "unlocking"]
        assert f"`trustedpods close {there}`" in told[-1]["text"], "by its name it would end the new one too"
        await pods.deploy("a", cluster_of(other), None)
        sent = bench.chain.number
        await pods.leave("a", cluster_of(dead))
        assert bench.chain.number == sent, "whoever goes on after a kill gives notice once"
        assert (await channel_at(bench, other)[0]).unlock_at == 0
        assert (await bench.status(NAME)).phase == "serving"


async def test_a_removal_that_was_killed_goes_on_though_a_lost_provider_has_notice_still(bench):
    """The pod is gone where it was; by its name there is only the one that nobody can be asked about."""
    dead, other = bench.peer(), bench.peer()
    pods = made_pods(bench, bench.journal())
    async with dead.serve():
        await pods.deploy("a", cluster_of(dead), None)
    await pods.leave("a", cluster_of(dead))
    async with other.serve():
        await pods.deploy("a", cluster_of(other), None)
        for _ in range(2):
            await pods.remove("a", cluster_of(other))
    assert await channel_at(bench, other)[0] is None
    await pods.remove("a", cluster_of(dead))  # notice was given from here, and ends it
    assert (await channel_at(bench, dead)[0]).unlock_at > 0
    async with other.serve():
        await pods.deploy("a", cluster_of(other), None)
    with pytest.raises(NetworkFailure):
        await pods.remove("a", cluster_of(other))


async def test_what_was_never_paid_for_is_left_and_a_silent_chain_is_no_answer(bench):
    peer, journal = bench.peer(), bench.journal()
    pods = made_pods(bench, journal)
    await pods.leave("a", cluster_of(peer))
    assert bench.chain.lives == {}
    bench.chain.broken = True
    with pytest.raises(NetworkFailure):
        await pods.leave("a", cluster_of(peer))


async def test_its_volume_is_filled_from_the_last_backup_while_it_starts(bench, tmp_path):
    with_volume(bench)
    dead, other, journal = bench.peer(), bench.peer(), bench.journal()
    volumes = Volumes(tmp_path / "running", tmp_path / "filled")
    (volumes.running / "height").write_text("41")
    dead.programs = other.programs = volumes.programs
    place = str(bench.folder / "backups")
    async with dead.serve():
        await made_pods(bench, journal).deploy("a", cluster_of(dead), None)
        made = await backup(bench.account, NAME, BackupOptions(place), VisitProgress(), journal)
    waits_for_a_backup(bench)
    chosen = await newest_backup(bench.account, NAME, None)
    assert (chosen.name, chosen.volumes) == (made.name, {("data", None)})
    (volumes.filled / SEEDING).write_text("")
    outcome = other.outcome

    async def serves_once_it_is_filled(*words):
        with trio.fail_after(30):
            while not (volumes.filled / SEEDED).exists():
                await trio.sleep(0.01)
        await outcome(*words)

    other.outcome = serves_once_it_is_filled
    async with other.serve():
        pods = made_pods(bench, journal, {"a": chosen})
        await pods.leave("a", cluster_of(dead))
        await pods.deploy("a", cluster_of(other), None)
    assert (volumes.filled / "height").read_text() == "41"
    assert "restored" in [one["event"] for one in journal.events]


async def test_a_record_that_is_begun_while_it_is_filled_has_the_pods_name(bench, tmp_path):
    """As where another machine had begun the node: `watch` finds a pod by the name in its record."""
    peer, journal = bench.peer(), bench.journal()
    async with peer.serve():
        await made_pods(bench, journal).deploy("a", cluster_of(peer), None)
        shutil.rmtree(state_dir())
        ref = bench.account.publisher.ref(peer.owner, peer.daemon, NAME)
        chosen = ChosenBackup(str(tmp_path), "none", 0, frozenset())
        async with (
            filling(bench.account, ref, NAME, chosen, journal),
            visit(bench.account, channel_hex(ref.channel), VisitProgress(), journal),
        ):
            pass
        assert [one.name for one in records.mine(bench.account, journal)] == [NAME]


async def test_a_folder_that_is_not_there_is_no_empty_place(bench):
    (bench.folder / "there").mkdir()
    assert await newest_backup(bench.account, NAME, str(bench.folder / "there")) is None
    with pytest.raises(BadInput, match="there is no such folder"):
        await newest_backup(bench.account, NAME, str(bench.folder / "their"))


@pytest.fixture
async def team(bench, daemons):
    return Team(bench, daemons)


async def lose_k1(team):
    await team.connect()
    await team.apply(MOVING.replace("placement: {strategy: cheapest}", "cluster: k1"))
    team.worlds[0].cluster.unreachable = True
    left = parse_place(f"{team.alice.publisher.address}/shop", team.named[1:])
    await members.lose(team.alice, left, ["k1"], "a lake", 0.0, team.journal)
    return {"k2": team.known["k2"]}


async def test_a_node_of_a_lost_cluster_comes_anew_only_by_a_word_and_no_other_is_touched(team):
    known = await lose_k1(team)
    planned = await team.plan(MOVING, known=known)
    assert [(one.node, one.effect, one.why) for one in planned.nodes] == [
        ("a", "recreate", "empty; cluster k1 was declared lost")
    ]
    with pytest.raises(Refused) as caught:
        await team.apply(MOVING, known=known)
    assert caught.value.rule == "lost-nodes"
    pods = team.pods[team.alice.publisher.address]
    assert pods.acts == [("deploy", "a", "k1")], "nothing was begun"
    done = await team.apply(MOVING, known=known, replacing=Replacing())
    assert done.plan.changes == 2
    assert pods.acts[1:] == [("leave", "a", "k1"), ("deploy", "a", "k2")]
    assert (await team.apply(IN_K2, known=known)).plan.changes == 0


async def test_a_node_that_waits_for_a_backup_is_not_begun_where_none_is_there(team):
    with_volume(team.bench, ", seed: {backup: true}")
    known = await lose_k1(team)
    place, pods = team.bench.folder / "place", team.pods[team.alice.publisher.address]
    (line,) = (await team.plan(MOVING, known=known)).nodes
    assert line.why == "not done: it waits for a backup, and none is known; cluster k1 was declared lost"
    place.mkdir()
    with pytest.raises(Refused) as caught:
        await team.apply(MOVING, known=known, replacing=Replacing(str(place)))
    assert (caught.value.rule, caught.value.where) == ("no-backup", "node a")
    shutil.rmtree(place)
    place.write_text("a file, and no folder")
    with pytest.raises(NetworkFailure):
        await team.apply(MOVING, known=known, replacing=Replacing(str(place)))
    assert pods.acts == [("deploy", "a", "k1")], "what cannot be read is no empty place"


async def test_whoever_goes_on_after_a_kill_fills_the_node_and_another_new_one_hinders_nobody(
    bench, tmp_path
):
    with_volume(bench, ", seed: {backup: true}")
    pod = read_pod(bench.folder / "pod.yaml", bench.folder / "cache", name=NAME)
    journal, place = bench.journal(), tmp_path / "place"
    place.mkdir()

    async def chosen(doing):
        steps = Plan((), (NodeStep(doing, "a", "k2", "as a test says"),))
        given = ({"a": NAME}, steps, (), {"a": pod.manifest}, str(place), journal)
        return await backups_for(bench.account, *given)

    with pytest.raises(Refused, match="it waits for a backup, and none is known"):
        await chosen("go on")
    assert await chosen("deploy") == {}, "one that is new may be filled by hand"
    (warning,) = journal.show.warnings
    assert f"`trustedpods restore {NAME}` fills it" in warning
    made = keep_backup(bench, place, NAME)
    for doing in ("go on", "deploy"):
        assert (await chosen(doing))["a"].name == made.name
    assert await chosen("update") == {}, "what runs is not filled"


async def test_a_node_that_has_a_backup_begins_empty_by_a_word_alone(team):
    with_volume(team.bench)
    known, place = await lose_k1(team), team.bench.folder / "place"
    pods, name = team.pods[team.alice.publisher.address], pod_name(begun_name(team), "a")
    place.mkdir()
    keep_backup(team.bench, place, name)
    planned = await plan(team.alice, team.file(MOVING), known, team.journal, store=str(place))
    assert planned.nodes[0].why.startswith("not done: backup of 2001-09-09 01:46:40Z has volume data, ")
    with pytest.raises(Refused, match=r"whose file says no `seed: \{backup: true\}`") as caught:
        await team.apply(MOVING, known=known, replacing=Replacing(str(place)))
    assert (caught.value.rule, caught.value.where) == ("no-restore", "node a")
    assert "`--empty a`" in caught.value.hint
    with pytest.raises(BadInput, match="no node 'b'"):
        await team.apply(MOVING, known=known, replacing=Replacing(str(place), ("b",)))
    assert pods.acts == [("deploy", "a", "k1")]
    await team.apply(MOVING, known=known, replacing=Replacing(str(place), ("a",)))
    assert pods.acts[1:] == [("leave", "a", "k1"), ("deploy", "a", "k2")]


async def test_a_signing_node_is_never_made_anew(team):
    with_volume(team.bench)
    path = team.bench.folder / "pod.yaml"
    path.write_text(path.read_text().replace("{size: 1Gi}", "{size: 1Gi, neverRestore: true}"))
    known = await lose_k1(team)
    (line,) = (await team.plan(MOVING, known=known)).nodes
    assert line.why.startswith("not done: volume data must not go back in time")
    with pytest.raises(Refused) as caught:
        await team.apply(MOVING, known=known, replacing=Replacing())
    assert (caught.value.rule, caught.value.where) == ("no-restore", "node a")
    gone = await team.apply("  nodes: []\n", known=known)
    assert gone.plan.changes == 1
    assert team.pods[begun_name(team).founder].acts[1:] == [("leave", "a", "k1")]

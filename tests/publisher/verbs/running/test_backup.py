# SPDX-License-Identifier: Apache-2.0
"""`backup` and `restore` at the client, over real libp2p, with real tar and busybox over folders."""

import json

import pytest
import trio

from tests.publisher.backups.volumes import BUSYBOX, Volumes
from tests.publisher.test_cli import cli
from trustedpods.manifests.check.seeds import FILLING_PROGRAM, SEEDED, SEEDING
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused
from trustedpods.publisher.backups.folder import FolderStore
from trustedpods.publisher.backups.making import begin
from trustedpods.publisher.backups.pod_backups import PodBackups
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.backups.places import KnownBackups
from trustedpods.publisher.verbs.running.backup import BackupOptions, backup, listed, verified
from trustedpods.publisher.verbs.running.restore import ALREADY, RestoreOptions, restore

__all__ = ["cli"]

LARGE = bytes(range(256)) * 9000
EMPTY_TAR = bytes(10240)


@pytest.fixture
def volumes(bench, tmp_path):
    """The pod of the bench has a volume at /data."""
    text = (bench.folder / "pod.yaml").read_text()
    text = text.replace("volumeMounts: [", "volumeMounts: [{name: data, mountPath: /data}, ")
    text = text.replace("  volumes:\n", "  volumes:\n    - {name: data, persistent: {size: 1Gi}}\n")
    (bench.folder / "pod.yaml").write_text(text)
    made = Volumes(tmp_path / "running", tmp_path / "filled")
    (made.running / "folder").mkdir()
    (made.running / "folder" / "large").write_bytes(LARGE)
    (made.running / "small").write_text("small")
    (made.running / "small").chmod(0o640)
    (made.running / SEEDED).write_text("")
    return made


@pytest.fixture
async def served(bench, volumes):
    """The pod runs."""
    peer = bench.peer()
    peer.programs = volumes.programs
    async with peer.serve():
        await bench.deploy()
        yield peer


async def backed_up(bench, **options):
    wanted = BackupOptions(str(bench.folder / "backups"), **options)
    return await backup(bench.account, "hello", wanted, VisitProgress(), bench.journal())


async def restored(bench, **options):
    wanted = RestoreOptions(str(bench.folder / "backups"), wait_s=0.0, **options)
    return await restore(bench.account, "hello", wanted, VisitProgress(), bench.journal())


def store(bench):
    return PodBackups(FolderStore(bench.folder / "backups"), "hello", bench.account.publisher.secret)


def known(bench):
    return KnownBackups(store(bench), bench.address)


def kept_before(bench, *volumes):
    """An older backup of these volumes, all of them empty."""
    new = begin(store(bench), "0" * 8, 1_000_000_000)
    for volume in volumes:
        part = new.part(volume, None)
        part.write(EMPTY_TAR)
        new.add(part.end())
    return new.finish(1_000_000_001)


def waits(volumes):
    (volumes.filled / SEEDING).write_text("")


def is_restored(volumes):
    return (
        (volumes.filled / SEEDED).exists()
        and not (volumes.filled / SEEDING).exists()
        and (volumes.filled / "folder" / "large").read_bytes() == LARGE
        and (volumes.filled / "small").stat().st_mode & 0o777 == 0o640
    )


async def test_a_volume_goes_out_and_comes_back(bench, volumes, served):
    made = await backed_up(bench, exclude=["none"])
    assert [(one.volume, one.ordinal) for one in made.volumes] == [("data", None)]
    assert [one.name for one in listed(known(bench)).backups] == [made.name]
    assert verified(known(bench), None).backups[0].size == made.size > len(LARGE)
    waits(volumes)
    done = await restored(bench)
    assert (done.name, done.volumes) == (made.name, made.volumes)
    assert is_restored(volumes)
    assert volumes.ran[-1][1] == "seed-data"


async def test_a_backup_that_does_not_open_is_listed_as_one(bench, volumes, served, cli):
    made = await backed_up(bench)
    folder = bench.folder / "backups" / "hello"
    damaged = folder / "index" / "20260101T000000Z-00000000"
    damaged.write_bytes((folder / "index" / made.name).read_bytes())
    found = listed(known(bench))
    assert ([one.name for one in found.backups], [one.name for one in found.damaged]) == (
        [made.name],
        [damaged.name],
    )
    told = await cli("backup", "hello", "--store", folder.parent, "--list")
    assert (told.exit_code, f"{damaged.name}: does not open" in told.stdout) == (0, True)


async def test_a_restore_waits_until_its_pod_is_paid_for(bench, volumes):
    kept_before(bench, "data")
    waits(volumes)
    peer = bench.peer()
    peer.programs = volumes.programs
    wanted = RestoreOptions(str(bench.folder / "backups"), wait_s=30.0)
    done = []

    async def restoring():
        done.append(await restore(bench.account, "hello", wanted, VisitProgress(), bench.journal()))

    async with peer.serve():
        with pytest.raises(Refused) as refused:
            await restored(bench)
        assert refused.value.rule == "unknown-pod"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(restoring)
            await bench.deploy()
    assert [one.volume for one in done[0].volumes] == ["data"]


async def test_a_restore_that_is_cut_off_is_made_again(bench, volumes, served):
    await backed_up(bench)
    waits(volumes)
    volumes.stop_after = 100_000
    with pytest.raises(NetworkFailure):
        await restored(bench)
    assert not (volumes.filled / SEEDED).exists()
    (volumes.filled / "half").write_text("of an attempt before")
    volumes.stop_after = None
    await restored(bench)
    assert is_restored(volumes)
    assert not (volumes.filled / "half").exists()


@pytest.mark.parametrize("code", [ALREADY, None], ids=["whole", "its container has ended"])
async def test_an_attempt_after_the_first_volume_goes_on_with_the_second(bench, volumes, served, code):
    """*code*: what the container of the first volume says by now; None: it is gone."""
    kept_before(bench, "data", "other")

    async def shell(command):
        if command.place[2] != "seed-data":
            return await volumes.programs[FILLING_PROGRAM](command)
        await trio.lowlevel.checkpoint()
        if code is None:
            raise Refused("the command was not started: its container does not run", rule="exec-start")
        return code

    served.programs = {FILLING_PROGRAM: shell}
    waits(volumes)
    done = await restored(bench)
    assert [one.volume for one in done.volumes] == ["other"]
    assert (volumes.filled / SEEDED).exists()


async def test_of_two_attempts_the_earlier_one_marks_nothing(bench, volumes, served):
    await backed_up(bench)
    waits(volumes)

    async def shell(command):
        code = await volumes.programs[FILLING_PROGRAM](command)
        for own in volumes.filled.glob(".trustedpods-unpacked-*"):
            own.rename(own.with_name(".trustedpods-unpacked-another"))
        return code

    served.programs = {FILLING_PROGRAM: shell}
    with pytest.raises(Refused, match="another `restore` of it has begun"):
        await restored(bench)
    assert (volumes.filled / SEEDING).exists()


@pytest.mark.parametrize(("there", "why"), [(SEEDED, "filled before"), ("newer", "had files already")])
async def test_files_that_are_there_are_never_written_over(bench, volumes, served, there, why):
    await backed_up(bench)
    (volumes.filled / there).write_text("newer")
    with pytest.raises(Refused, match=why) as error:
        await restored(bench)
    assert error.value.rule == "no-restore"
    assert [path.name for path in volumes.filled.iterdir()] == [there]


async def test_nothing_of_a_damaged_backup_is_sent(bench, volumes, served):
    made = await backed_up(bench)
    waits(volumes)
    file = bench.folder / "backups" / "hello" / "data" / made.name / "data.000000"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    before = len(volumes.ran)
    with pytest.raises(BadInput):
        await restored(bench)
    assert len(volumes.ran) == before


async def test_a_command_that_fails_leaves_no_backup(bench, volumes, served):
    async def fails(command):
        await command.write(b"half a stream")
        await command.write(b"tar: ./small: file changed as we read it", "stderr")
        return 1

    served.programs = volumes.programs | {"tar": fails}
    with pytest.raises(Refused, match=r"ended with 1: tar: \./small: file changed") as error:
        await backed_up(bench)
    assert "--quiesce" in (error.value.hint or "")
    assert store(bench).names() == []


async def test_a_tar_that_leaves_nothing_out(bench, volumes, served):
    volumes.tar = [BUSYBOX, "tar"]
    await backed_up(bench)
    waits(volumes)
    await restored(bench)
    assert is_restored(volumes)
    assert sorted(path.name for path in volumes.filled.iterdir()) == [SEEDED, "folder", "small"]
    with pytest.raises(Refused, match="unrecognized option"):
        await backed_up(bench, exclude=["small"])


async def test_no_tar_in_the_container(bench, volumes, served):
    served.programs = {}
    with pytest.raises(Refused, match="no tar in hello") as error:
        await backed_up(bench)
    assert "--container" in (error.value.hint or "")


async def test_what_was_quiesced_is_resumed_also_after_a_failure(bench, volumes, served):
    heard = []

    def noted(name, code=0):
        async def program(_command):
            await trio.lowlevel.checkpoint()
            heard.append(name)
            return code

        return program

    own = {"still": noted("still"), "on": noted("on"), "tar": noted("tar", 2)}
    served.programs = own
    with pytest.raises(Refused):
        await backed_up(bench, quiesce=["still"], resume=["on"])
    assert heard == ["still", "tar", "on"]
    served.programs = own | {"still": noted("still", 3)}
    with pytest.raises(Refused, match="the command of --quiesce ended with 3"):
        await backed_up(bench, quiesce=["still"], resume=["on"])
    assert heard[3:] == ["still", "on"]


async def test_the_oldest_go_when_a_new_one_is_there(bench, volumes, served):
    old = kept_before(bench, "data").name
    made = await backed_up(bench, keep=1)
    assert made.removed == (old,)
    assert store(bench).names() == [made.name]


async def test_a_volume_that_never_waits(bench, volumes, served):
    await backed_up(bench)
    served.programs = {}
    with pytest.raises(Refused, match="does not wait for a backup") as error:
        await restored(bench)
    assert "seed: {backup: true}" in (error.value.hint or "")


async def test_a_volume_that_the_backup_does_not_have(bench, volumes, served):
    await backed_up(bench)
    with pytest.raises(BadInput, match="has no such volume; there are: data"):
        await restored(bench, volume="other")


async def test_as_it_is_typed(bench, volumes, served, cli):
    folder = ("--store", bench.folder / "backups")
    made = json.loads((await cli("backup", "hello", *folder, "--keep", "3", "-o", "json")).stdout)
    (volume,) = made["volumes"]
    assert made["size"] == volume["size"]
    assert {name: type(value) for name, value in volume.items()} == {
        "volume": str,
        "ordinal": type(None),
        "size": int,
    }
    found = json.loads((await cli("backup", "hello", *folder, "--list", "-o", "json")).stdout)
    assert (found["verified"], [one["name"] for one in found["backups"]]) == (False, [made["name"]])
    told = await cli("backup", "hello", *folder, "--verify")
    assert told.exit_code == 0
    assert told.stdout.splitlines() == [made["name"], f"  data: {volume['size']} bytes"]
    waits(volumes)
    restored = json.loads((await cli("restore", "hello", *folder, "-o", "json")).stdout)
    assert (restored["backup"], restored["volumes"]) == (made["name"], made["volumes"])
    assert is_restored(volumes)
    again = await cli("restore", "hello", *folder, "-o", "json")
    assert (again.exit_code, json.loads(again.stdout)["error"]["rule"]) == (6, "no-restore")
    none = await cli("backup", "other", *folder, "--verify")
    assert none.exit_code == 2
    assert "no backup of other" in none.stderr

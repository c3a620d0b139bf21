# SPDX-License-Identifier: Apache-2.0
"""Seeds of volumes: who copies what, as whom, and that nothing is copied twice or over anybody's work."""

import subprocess
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.provider.pods import a_life, a_manifest
from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.provider.cluster.isolation_proof import busybox
from trustedpods.provider.cluster.objects.pod_objects import objects
from trustedpods.provider.cluster.objects.workload.container_template import CLUSTER_VARIABLES
from trustedpods.provider.cluster.objects.workload.seeding import Copier, awaiting, copying

BUSYBOX = str(next(path for path in busybox.PLACES if path.exists()))
COPIER = Copier("127.0.0.1:5000/ptest@sha256:" + "cd" * 32, {"c": "10001:10002"})


def life(directory="first-{ordinal}", **container):
    """Two replicas whose volume is seeded."""
    part = {
        "name": "c",
        "image": "oci-archive:x.tar",
        "volumeMounts": [{"name": "data", "mountPath": "/d"}],
        "resources": {"limits": {"cpu": "30m", "memory": "20Mi"}},
    }
    manifest = a_manifest(
        workload="stateful",
        replicas=2,
        containers=[part | container],
        volumes=[{"name": "data", "persistent": {"size": "1Gi"}, "seed": {"directory": directory}}],
    )
    whose = (0, 1) if "{ordinal}" in directory else (None,)
    seeds = {("data", ordinal): {"node/key": b"%d" % (ordinal or 0), "top": b"t"} for ordinal in whose}
    return replace(a_life(manifest), seeds=seeds, copier=COPIER)


def template(made):
    return objects(made)[-1]["spec"]["template"]["spec"]


def copying_container(made):
    return template(made)["initContainers"][0]


def test_each_replica_sees_the_files_of_its_own_name_alone():
    made = life()
    mount = copying_container(made)["volumeMounts"][1]
    assert (mount["mountPath"], mount["subPathExpr"], mount["readOnly"]) == ("/seed", "$(REPLICA)", True)
    (volume,) = template(made)["volumes"]
    items = {one["path"]: one["key"] for one in volume["secret"]["items"]}
    assert set(items) == {"pod-0/node/key", "pod-0/top", "pod-1/node/key", "pod-1/top"}
    (secret,) = [one for one in objects(made) if one["kind"] == "Secret"]
    assert secret["metadata"]["name"] == volume["secret"]["secretName"] == "seed.data"
    assert b64decode(secret["data"][items["pod-1/node/key"]]) == b"1"


def test_a_seed_of_all_replicas_is_one_folder():
    made = life("first")
    assert copying_container(made)["volumeMounts"][1]["subPath"] == "all"
    paths = [one["path"] for one in template(made)["volumes"][0]["secret"]["items"]]
    assert paths == ["all/node/key", "all/top"]


def test_no_other_container_sees_the_seed():
    (container,) = template(life())["containers"]
    assert [mount["name"] for mount in container["volumeMounts"]] == ["data"]


def test_it_runs_as_who_mounts_the_volume_confined_and_no_larger():
    made = life()
    copier, (container,) = copying_container(made), template(made)["containers"]
    rights = copier["securityContext"]
    assert (rights["runAsUser"], rights["runAsGroup"]) == (10001, 10002)
    assert rights["runAsNonRoot"] is True
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert rights["allowPrivilegeEscalation"] is False
    assert copier["resources"] == container["resources"]
    assert {one["name"] for one in copier["env"]} == {"REPLICA", *CLUSTER_VARIABLES}
    assert copier["image"] == COPIER.image


def test_the_manifest_s_user_goes_before_the_image_s():
    rights = copying_container(life(securityContext={"runAsUser": 77}))["securityContext"]
    assert rights["runAsUser"] == 77
    assert "runAsGroup" not in rights, "the image's group belongs to its own user"


def test_its_name_is_nobody_else_s():
    assert copying_container(life())["name"] == "seed-data"
    taken = life()
    sibling = {"name": "seed-data", "image": "oci-archive:x.tar"}
    spec = taken.manifest.spec.model_dump(by_alias=True, exclude_none=True)
    manifest = a_manifest(**{**spec, "containers": [*spec["containers"], sibling]})
    images = {part.name: COPIER.image for part in manifest.spec.all_containers}
    assert copying_container(replace(taken, manifest=manifest, images=images))["name"] == "seed-data-2"


def of_a_backup(copier=COPIER):
    """As `life`, with a volume that waits for a backup."""
    spec = life().manifest.spec.model_dump(by_alias=True, exclude_none=True)
    volumes = [{"name": "data", "persistent": {"size": "1Gi"}, "seed": {"backup": True}}]
    manifest = a_manifest(**{**spec, "volumes": volumes})
    return replace(a_life(manifest), copier=copier)


def test_what_waits_for_a_backup_mounts_the_volume_alone():
    container = copying_container(of_a_backup())
    assert container["name"] == "seed-data"
    assert [mount["name"] for mount in container["volumeMounts"]] == ["data"]
    assert container["securityContext"]["runAsUser"] == 10001
    assert template(of_a_backup()).get("volumes", []) == []
    assert [one for one in objects(of_a_backup()) if one["kind"] == "Secret"] == []


def test_nothing_waits_without_a_program():
    with pytest.raises(LocalProtocolError):
        objects(of_a_backup(copier=None))


@pytest.mark.parametrize("lost", [{"seeds": {}}, {"copier": None}])
def test_no_life_without_its_files(lost):
    with pytest.raises(LocalProtocolError):
        objects(replace(life(), **lost))


class Volume:
    """A volume and a seed on this machine's disk, and the copying itself."""

    def __init__(self, folder: Path) -> None:
        self.seed, self.volume = folder / "seed", folder / "volume"
        (self.seed / "node").mkdir(parents=True)
        self.volume.mkdir()
        (self.seed / "node" / "key").write_text("first")
        (self.seed / "node" / "key").chmod(0o440)

    def copy(self) -> str:
        text = copying(BUSYBOX, str(self.seed), str(self.volume))
        done = subprocess.run([BUSYBOX, "sh", "-c", text], capture_output=True, text=True, check=True)
        return done.stdout

    @property
    def key(self) -> Path:
        return self.volume / "node" / "key"


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path)


def test_a_new_volume_gets_the_files_for_its_user_alone(volume: Volume) -> None:
    (volume.volume / "lost+found").mkdir()
    volume.copy()
    assert volume.key.read_text() == "first"
    assert volume.key.stat().st_mode & 0o777 == 0o600
    assert volume.key.parent.stat().st_mode & 0o777 == 0o700
    assert (volume.volume / ".trustedpods-seeded").exists()
    assert not (volume.volume / ".trustedpods-seeding").exists()


def test_it_is_never_seeded_again(volume: Volume) -> None:
    volume.copy()
    volume.key.write_text("mine")
    volume.copy()
    assert volume.key.read_text() == "mine"
    volume.key.unlink()
    volume.copy()
    assert not volume.key.exists()


def test_a_copy_that_was_killed_is_made_again(volume: Volume) -> None:
    (volume.volume / ".trustedpods-seeding").touch()
    volume.key.parent.mkdir()
    volume.key.write_text("fi")
    volume.copy()
    assert volume.key.read_text() == "first"
    assert (volume.volume / ".trustedpods-seeded").exists()


def test_a_volume_with_somebody_s_work_stays_as_it_is(volume: Volume) -> None:
    volume.key.parent.mkdir()
    volume.key.write_text("mine")
    assert "nothing is copied" in volume.copy()
    assert volume.key.read_text() == "mine"


def test_a_copy_that_fails_leaves_no_last_mark(volume: Volume) -> None:
    (volume.volume / ".trustedpods-seeding").touch()
    volume.key.mkdir(parents=True)
    with pytest.raises(subprocess.CalledProcessError):
        volume.copy()
    assert not (volume.volume / ".trustedpods-seeded").exists()


def test_a_new_volume_waits_until_it_has_the_mark_of_a_whole_backup(volume: Volume) -> None:
    text = awaiting(BUSYBOX, str(volume.volume))
    with subprocess.Popen([BUSYBOX, "sh", "-c", text], stdout=subprocess.PIPE, text=True) as waiting:
        try:
            assert waiting.stdout is not None
            assert "waits for its backup" in waiting.stdout.readline()
            assert waiting.poll() is None
            (volume.volume / ".trustedpods-seeding").rename(volume.volume / ".trustedpods-seeded")
            assert waiting.wait(timeout=20) == 0
        finally:
            waiting.kill()
    done = subprocess.run([BUSYBOX, "sh", "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == "", "once it is whole nothing waits again"


def test_a_volume_with_files_does_not_wait(volume: Volume) -> None:
    (volume.volume / "work").write_text("somebody's")
    text = awaiting(BUSYBOX, str(volume.volume))
    done = subprocess.run([BUSYBOX, "sh", "-c", text], capture_output=True, text=True, check=True, timeout=20)
    assert "nothing is copied over them" in done.stdout

# SPDX-License-Identifier: Apache-2.0
"""Which volumes of a pod are backed up, and where they are read."""

import pytest

from tests.fakes.provider.pods import a_manifest
from trustedpods.protocol.errors import Refused
from trustedpods.publisher.backups.sources import VolumeSource, reading, reading_without, sources

MOUNTS = [{"name": "data", "mountPath": "/d"}, {"name": "signed", "mountPath": "/signed"}]


def manifest(mounts=MOUNTS, **more):
    return a_manifest(
        workload="stateful",
        replicas=2,
        containers=[
            {"name": "c", "image": "oci-archive:x.tar", "volumeMounts": mounts},
            {
                "name": "shell",
                "image": "oci-archive:x.tar",
                "volumeMounts": [{"name": "data", "mountPath": "/all", "readOnly": True}],
            },
        ],
        volumes=[
            {"name": "data", "persistent": {"size": "1Gi"}},
            {"name": "signed", "persistent": {"size": "1Gi", "neverRestore": True}},
        ],
        **more,
    )


def test_all_volumes_of_all_replicas_but_those_that_must_not_go_back():
    found = sources(manifest(), (), None)
    assert found.volumes == (VolumeSource("data", "c", "/d"),)
    assert found.ordinals == (0, 1)
    assert found.left_out == ("signed",)


def test_another_container_and_a_mount_of_a_part():
    assert sources(manifest(), (), "shell").volumes == (VolumeSource("data", "shell", "/all"),)
    part = [MOUNTS[0] | {"subPath": "part"}, MOUNTS[1]]
    assert sources(manifest(part), (), None).volumes == (VolumeSource("data", "shell", "/all"),)
    with pytest.raises(Refused, match="mounted whole in no container 'c'"):
        sources(manifest(part), (), "c")


@pytest.mark.parametrize(
    ("only", "container", "words"),
    [
        (["signed"], None, "volume 'signed' must not go back in time"),
        (["other"], None, "no persistent volume 'other'"),
        ([], "other", "no container 'other'"),
    ],
)
def test_what_is_refused_by_its_name(only, container, words):
    with pytest.raises(Refused, match=words) as error:
        sources(manifest(), only, container)
    assert error.value.rule == "no-backup"


def test_a_pod_without_volumes():
    with pytest.raises(Refused, match="no persistent volume"):
        sources(a_manifest(), (), None)


def test_the_command():
    source = VolumeSource("data", "c", "/d")
    assert reading(source) == ["tar", "-C", "/d", "-cf", "-", "."]
    found = reading_without(source, ["./tmp", "*.log"])
    assert found[:5] == ["tar", "-C", "/d", "-cf", "-"]
    assert found[5:] == [
        *("--exclude=./.trustedpods-*", "--exclude=./lost+found", "--exclude=./tmp", "--exclude=./*.log"),
        ".",
    ]

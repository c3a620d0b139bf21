# SPDX-License-Identifier: Apache-2.0
"""A read-only root leaves the places writable that the image declares."""

import pytest

from tests.fakes.provider.pods import a_manifest
from trustedpods.manifests.parse import parse_received
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.core.adjust import MAX_VOLUMES, MAX_WRITABLE, with_writable


def manifest(*mounts, shut=True, volumes=()):
    part = {
        "name": "c",
        "image": "oci-archive:x.tar",
        "securityContext": {"readOnlyRootFilesystem": shut},
        "volumeMounts": [{"name": "own", "mountPath": path} for path in mounts],
    }
    return a_manifest(containers=[part], volumes=[{"name": "own", "emptyDir": {}}, *volumes])


def written(made):
    """Paths of the container by volume."""
    return {mount.name: mount.mount_path for mount in made.spec.containers[0].volume_mounts}


def test_each_declared_path_gets_a_bounded_volume() -> None:
    made = with_writable(manifest(), {"c": ("/data", "/var/lib/app/", "/data")})
    assert written(made) == {"writable-0": "/data", "writable-1": "/var/lib/app"}
    assert [volume.name for volume in made.spec.volumes] == ["own", "writable-0", "writable-1"]
    assert {volume.empty_dir.size_limit for volume in made.spec.volumes if volume.empty_dir} == {64}
    parse_received(made.model_dump_json(by_alias=True).encode())


def test_a_root_that_is_writable_needs_none() -> None:
    whole = manifest(shut=False)
    assert with_writable(whole, {"c": ("/data",)}) is whole
    assert with_writable(manifest(), {}) == manifest()


def test_a_path_that_a_mount_covers_is_left_to_it() -> None:
    made = with_writable(manifest("/data"), {"c": ("/data", "/data/deep", "/database", "/", "data")})
    assert written(made) == {"own": "/data", "writable-0": "/database"}


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    made = with_writable(manifest(volumes=[{"name": "writable-0", "emptyDir": {}}]), {"c": ("/data",)})
    assert written(made) == {"writable-0-0": "/data"}


def test_more_than_may_be() -> None:
    with pytest.raises(BadInput, match=f"at most {MAX_WRITABLE}"):
        with_writable(manifest(), {"c": [f"/d{number}" for number in range(MAX_WRITABLE + 1)]})
    many = [{"name": f"v{number}", "emptyDir": {}} for number in range(MAX_VOLUMES - 1)]
    with pytest.raises(BadInput, match=f"at most {MAX_VOLUMES}"):
        with_writable(manifest(volumes=many), {"c": ("/data",)})

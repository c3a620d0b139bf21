# SPDX-License-Identifier: Apache-2.0
"""Pods of the Go implementation: the volumes that their containers mount."""

import pytest

from trustedpods.manifests.convert.file import convert
from trustedpods.protocol.errors import BadInput

POD = """\
containers: [{name: a, image: {url: x}, volumes: [{name: my_data, mountPath: /a}, {name: %s, mountPath: /b}]}]
volumes: [{name: my_data, type: VOLUME_FILESYSTEM}, {name: %s, type: VOLUME_FILESYSTEM}]
"""


def converted(tmp_path, other):
    path = tmp_path / "pod.yml"
    path.write_text(POD % (other, other))
    return convert(path).tree["spec"]


def test_volumes_whose_names_are_alike_stay_apart(tmp_path):
    spec = converted(tmp_path, "my-data")
    names = [one["name"] for one in spec["volumes"]]
    assert len(set(names)) == 2
    assert [one["name"] for one in spec["containers"][0]["volumeMounts"]] == names


def test_a_second_volume_of_one_name_is_refused(tmp_path):
    with pytest.raises(BadInput, match="name of its own"):
        converted(tmp_path, "my_data")

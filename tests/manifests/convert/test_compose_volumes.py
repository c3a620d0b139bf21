# SPDX-License-Identifier: Apache-2.0
"""Mounts of several services: one volume for one source, and never one for two."""

import pytest

from trustedpods.manifests.convert.file import convert


def spec_of(tmp_path, text):
    path = tmp_path / "compose.yaml"
    path.write_text(text)
    return convert(path).tree["spec"]


def mounted(spec):
    """Of each container by its name: the volumes that its mounts name."""
    volumes = {one["name"]: one for one in spec["volumes"]}
    assert len(volumes) == len(spec["volumes"])
    return {
        one["name"]: [volumes[mount["name"]] for mount in one["volumeMounts"]] for one in spec["containers"]
    }


def test_two_folders_at_one_path_are_two_volumes(tmp_path):
    for name in ("web", "admin"):
        (tmp_path / name).mkdir()
    spec = spec_of(
        tmp_path,
        "services:\n"
        "  web: {image: x, volumes: ['./web:/srv:ro']}\n"
        "  admin: {image: x, volumes: ['./admin:/srv:ro']}\n"
        "  again: {image: x, volumes: ['./web:/srv:ro']}\n",
    )
    volumes = mounted(spec)
    assert volumes["web"][0]["secret"] == {"directory": "web"}
    assert volumes["admin"][0]["secret"] == {"directory": "admin"}
    assert volumes["again"] == volumes["web"]


def test_files_at_long_paths_that_begin_alike_are_two_volumes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    path = "/" + "long/" * 20
    spec = spec_of(
        tmp_path, f"services: {{web: {{image: x, volumes: ['./a:{path}a:ro', './b:{path}b:ro']}}}}\n"
    )
    assert [one["secret"]["files"] for one in mounted(spec)["web"]] == [{"a": "a"}, {"b": "b"}]
    assert all(len(one["name"]) <= 63 for one in spec["volumes"])


@pytest.mark.parametrize("other", ["my-data", "My_data", "my__data"])
def test_volumes_whose_names_are_alike_stay_apart(tmp_path, other):
    spec = spec_of(
        tmp_path,
        "services:\n"
        "  a: {image: x, volumes: ['my_data:/data']}\n"
        f"  b: {{image: x, volumes: ['{other}:/data', 'my_data:/other']}}\n"
        f"volumes: {{my_data: {{}}, {other}: {{}}}}\n",
    )
    volumes = mounted(spec)
    assert volumes["a"][0]["name"] != volumes["b"][0]["name"]
    assert volumes["a"][0] == volumes["b"][1]


def test_a_named_volume_is_no_folder_that_is_called_like_it(tmp_path):
    (tmp_path / "html").mkdir()
    spec = spec_of(
        tmp_path,
        "services: {web: {image: x, volumes: ['./html:/srv:ro', 'files-srv:/data']}}\n"
        "volumes: {files-srv: {}}\n",
    )
    sent, kept = mounted(spec)["web"]
    assert "secret" in sent
    assert "persistent" in kept


def test_a_secret_of_two_services_is_one_volume(tmp_path):
    (tmp_path / "key").write_text("k")
    spec = spec_of(
        tmp_path,
        "services: {a: {image: x, secrets: [key]}, b: {image: x, secrets: [key]}}\n"
        "secrets: {key: {file: ./key}}\n",
    )
    assert len(spec["volumes"]) == 1

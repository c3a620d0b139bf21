# SPDX-License-Identifier: Apache-2.0
"""Paths of seeds: what a node copies below the volume, and nothing beside it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manifests.sound import SOUND, changed
from trustedpods.manifests.check.seeds import seed_problems, seeded_volume_problems, wanted_seeds
from trustedpods.manifests.parse import parse_received
from trustedpods.manifests.spec.pod import PodManifest

MANIFEST = PodManifest.model_validate(SOUND)


def said(*paths: str) -> list[str]:
    files = dict.fromkeys(paths, b"")
    return [problem.text for problem in seed_problems(MANIFEST, {("data", None): files})]


@pytest.mark.parametrize("path", ["a", "geth/nodekey", ".hidden", "a.b-c_D/0", "/".join("d" * 8), "a" * 100])
def test_taken(path: str) -> None:
    assert said(path) == []


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a/", "a//b", "..", "../a", "a/../b", "..a", "a/..b", ".", "./a", "a/.", "a b", "a\nb", "é",
     "a\0", "a" * 101, "/".join("d" * 9), "/".join(["d" * 60] * 4), ".trustedpods-seeded"],
)  # fmt: skip
def test_refused(path: str) -> None:
    assert len(said(path)) == 1


def test_a_file_is_no_folder() -> None:
    assert "in a folder whose name another file has" in " ".join(said("node", "node/key"))


@given(st.text(max_size=30))
def test_what_is_taken_stays_below(path: str) -> None:
    parts = path.split("/")
    assert said(path) or not {"", ".", ".."} & set(parts)


def test_each_replica_has_its_own_where_the_path_says_so() -> None:
    tree = changed("spec.volumes.1.seed.directory", "first-{ordinal}")
    tree["spec"] |= {"workload": "stateful", "replicas": 3}
    del tree["spec"]["scale"]
    manifest = parse_received(json.dumps(tree).encode())
    assert wanted_seeds(manifest) == [("data", 0), ("data", 1), ("data", 2)]
    assert wanted_seeds(MANIFEST) == [("data", None)]


def test_all_seeds_together_are_bounded() -> None:
    half = {f"f{number}": b"" for number in range(300)}
    said = [problem.text for problem in seed_problems(MANIFEST, {("data", 0): half, ("data", 1): half})]
    assert said == ["the seeds have more than 512 files"]


def test_what_a_restore_fills_has_a_name_that_it_finds() -> None:
    manifest = PodManifest.model_validate(changed("spec.volumes.1.seed", {"backup": True}))
    volume = manifest.spec.volumes[1]
    assert not list(seeded_volume_problems(manifest))
    long = volume.model_copy(update={"name": "d" * 54})
    spec = manifest.spec.model_copy(update={"volumes": [long]})
    said = [one.text for one in seeded_volume_problems(manifest.model_copy(update={"spec": spec}))]
    assert said[0].startswith("`restore` finds it by the container seed-ddd")

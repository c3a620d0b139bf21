# SPDX-License-Identifier: Apache-2.0
"""A path has one source: a secret of the manifest, or a store."""

import pytest

from tests.fakes.provider.pods import a_manifest
from trustedpods.manifests.check.csi import csi_problems

SECRET = {"name": "files", "secret": {"files": {"config.toml": "config.toml"}}}


def problems(store_at: str, secret_at: str, trust: str = "open", **csi: object) -> list[str]:
    mounts = [{"name": "store", "mountPath": store_at}, {"name": "files", "mountPath": secret_at}]
    container = {"name": "c", "image": "oci-archive:x.tar", "volumeMounts": mounts}
    store = {"name": "store", "csi": {"driver": "csi.example.org", "store": "publisher", **csi}}
    made = a_manifest(containers=[container], volumes=[store, SECRET], trust=trust)
    return [f"{'.'.join(map(str, one.location))}: {one.text}" for one in csi_problems(made)]


@pytest.mark.parametrize(
    ("store_at", "secret_at"),
    [("/config", "/config/config.toml"), ("/config/more", "/config"), ("/a/", "//a/b")],
)
def test_one_that_hides_the_others_files_is_refused(store_at: str, secret_at: str) -> None:
    (found,) = problems(store_at, secret_at)
    assert found.startswith("spec.containers.0.volumeMounts.1.mountPath: the csi volume at ")
    assert found.endswith("take a secret or a store, not both")


def test_paths_apart_are_no_problem() -> None:
    assert problems("/config", "/configs") == []
    assert problems("/a", "/b", nodePublishSecretRef={"name": "files"}) == []


def test_a_store_of_the_providers_is_for_pods_that_it_may_read() -> None:
    (found,) = problems("/a", "/b", trust="sealed", store="provider")
    assert found.startswith("spec.volumes.0.csi.store: the provider can read its own store")
    assert problems("/a", "/b", trust="open", store="provider") == []


def test_what_opens_a_store_is_a_secret_of_the_pod() -> None:
    (found,) = problems("/a", "/b", nodePublishSecretRef={"name": "other"})
    assert found.endswith("no secret volume is named 'other' (there is: files)")

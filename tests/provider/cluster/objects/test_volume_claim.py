# SPDX-License-Identifier: Apache-2.0
"""What a persistent volume asks the cluster for."""

from tests.fakes.provider.pods import a_life, a_manifest
from tests.provider.cluster.strategies import by_kind


def test_the_storage_class_is_the_manifest_s():
    volumes = [{"name": "data", "persistent": {"size": "1Gi", "storageClassName": "fast"}}]
    (claim,) = by_kind(a_life(a_manifest(volumes=volumes)), "PersistentVolumeClaim")
    assert claim["metadata"]["name"] == "data"
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["spec"]["resources"] == {"requests": {"storage": "1024Mi"}}


def test_without_a_storage_class_the_cluster_s_default_serves():
    volumes = [{"name": "data", "persistent": {"size": "1Gi"}}]
    (claim,) = by_kind(a_life(a_manifest(volumes=volumes)), "PersistentVolumeClaim")
    assert "storageClassName" not in claim["spec"]


def test_the_access_mode_is_the_manifest_s():
    disk = {"size": "1Gi", "storageClassName": "shared", "accessMode": "ReadWriteMany"}
    volumes = [{"name": "data", "persistent": disk}]
    (claim,) = by_kind(a_life(a_manifest(volumes=volumes, scale={"max": 3})), "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]

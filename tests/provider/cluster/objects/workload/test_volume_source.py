# SPDX-License-Identifier: Apache-2.0
"""Volumes of the pod template, and the class beside it that a secrets store's driver looks for."""

from tests.fakes.provider.pods import a_manifest
from trustedpods.manifests.spec.csi.volume import SECRETS_STORE
from trustedpods.provider.cluster.objects.workload.volume_source import secret_provider_classes, volume_source

CLASS = {"provider": "vault", "parameters": {"objects": "a=b"}}


def volumes_of(**csi):
    return a_manifest(volumes=[{"name": "config", "csi": {"store": "publisher", **csi}}]).spec.volumes


def test_the_stanza_and_the_class_are_those_of_the_real_driver():
    volumes = volumes_of(
        driver=SECRETS_STORE, secretProviderClass=CLASS, nodePublishSecretRef={"name": "login"}
    )
    assert volume_source(volumes[0]) == {
        "name": "config",
        "csi": {
            "driver": "secrets-store.csi.k8s.io",
            "readOnly": True,
            "volumeAttributes": {"secretProviderClass": "config"},
            "nodePublishSecretRef": {"name": "login"},
        },
    }
    assert secret_provider_classes(volumes) == [
        {
            "apiVersion": "secrets-store.csi.x-k8s.io/v1",
            "kind": "SecretProviderClass",
            "metadata": {"name": "config"},
            "spec": CLASS,
        }
    ]


def test_another_driver_has_its_attributes_and_no_class():
    volumes = volumes_of(driver="csi.example.org", volumeAttributes={"share": "x"})
    source = {"driver": "csi.example.org", "readOnly": True, "volumeAttributes": {"share": "x"}}
    assert volume_source(volumes[0]) == {"name": "config", "csi": source}
    assert secret_provider_classes(volumes) == []

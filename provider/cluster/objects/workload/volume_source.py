# SPDX-License-Identifier: Apache-2.0
"""What a volume of the pod template is made of. Pure."""

from collections.abc import Sequence
from typing import Any

from trustedpods.manifests.spec.csi.volume import CLASS_ATTRIBUTE, CsiVolume
from trustedpods.manifests.spec.volume import Volume
from trustedpods.provider.cluster.objects.names import KubeObject

SECRET_MODE = 0o440


def volume_source(volume: Volume) -> dict[str, Any]:
    """The volume by its name, and where its contents are."""
    if volume.secret is not None:
        source: dict[str, Any] = {"secret": {"secretName": volume.name, "defaultMode": SECRET_MODE}}
    elif volume.persistent is not None:
        source = {"persistentVolumeClaim": {"claimName": volume.name}}
    elif volume.csi is not None:
        source = {"csi": _csi(volume.name, volume.csi)}
    else:
        assert volume.empty_dir is not None
        source = {"emptyDir": {"sizeLimit": f"{volume.empty_dir.size_limit}Mi"}}
    return {"name": volume.name, **source}


def _csi(name: str, volume: CsiVolume) -> dict[str, Any]:
    attributes = dict(volume.volume_attributes)
    if volume.secret_provider_class is not None:
        attributes[CLASS_ATTRIBUTE] = name
    made: dict[str, Any] = {"driver": volume.driver, "readOnly": True}
    if attributes:
        made["volumeAttributes"] = attributes
    if volume.node_publish_secret_ref is not None:
        made["nodePublishSecretRef"] = {"name": volume.node_publish_secret_ref.name}
    return made


CLASS_KIND = "SecretProviderClass"


def secret_provider_classes(volumes: Sequence[Volume]) -> list[KubeObject]:
    """What the secrets store's driver is to mount, each under its volume's name, beside the pod."""
    return [
        {
            "apiVersion": "secrets-store.csi.x-k8s.io/v1",
            "kind": CLASS_KIND,
            "metadata": {"name": volume.name},
            "spec": {
                "provider": volume.csi.secret_provider_class.provider,
                "parameters": dict(volume.csi.secret_provider_class.parameters),
            },
        }
        for volume in volumes
        if volume.csi is not None and volume.csi.secret_provider_class is not None
    ]

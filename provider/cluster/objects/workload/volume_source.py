# SPDX-License-Identifier: Apache-2.0
"""What a volume of the pod template is made of. Pure."""

from typing import Any

from trustedpods.manifests.spec.volume import Volume

SECRET_MODE = 0o440


def volume_source(volume: Volume) -> dict[str, Any]:
    """The volume by its name, and where its contents are."""
    if volume.secret is not None:
        source: dict[str, Any] = {"secret": {"secretName": volume.name, "defaultMode": SECRET_MODE}}
    elif volume.persistent is not None:
        source = {"persistentVolumeClaim": {"claimName": volume.name}}
    else:
        assert volume.empty_dir is not None
        source = {"emptyDir": {"sizeLimit": f"{volume.empty_dir.size_limit}Mi"}}
    return {"name": volume.name, **source}

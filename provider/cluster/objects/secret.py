# SPDX-License-Identifier: Apache-2.0
"""The Secret of each secret volume of a pod. Pure."""

from base64 import b64encode
from collections.abc import Mapping

from trustedpods.provider.cluster.objects.names import KubeObject


def secret(name: str, files: Mapping[str, bytes]) -> KubeObject:
    """A secret volume's files, under the volume's name."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "Opaque",
        "data": {file: b64encode(content).decode() for file, content in files.items()},
    }

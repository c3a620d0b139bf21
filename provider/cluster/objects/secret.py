# SPDX-License-Identifier: Apache-2.0
"""The Secret of each secret volume of a pod, and of its images. Pure."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from trustedpods.provider.cluster.objects.names import KubeObject

PULL_SECRET = "images.pull"  # noqa: S105 - a name
"""No volume is called so: their names have no dot."""


@dataclass(frozen=True, slots=True)
class PullLogin:
    """What a node says to the registry, for images of one repository."""

    registry: str
    user: str
    password: str


def pull_secret(login: PullLogin) -> KubeObject:
    """By which a node pulls the pod's images: Kubernetes' kind `kubernetes.io/dockerconfigjson`."""
    entry = {"username": login.user, "password": login.password}
    text = json.dumps({"auths": {login.registry: entry}}, sort_keys=True)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PULL_SECRET},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": b64encode(text.encode()).decode()},
    }


def secret(name: str, files: Mapping[str, bytes]) -> KubeObject:
    """A secret volume's files, under the volume's name."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "Opaque",
        "data": {file: b64encode(content).decode() for file, content in files.items()},
    }


HIDDEN = "(not shown)"


def hidden(made: KubeObject) -> KubeObject:
    """An object for people to see: of a Secret the names of its values, of any other all."""
    if made["kind"] != "Secret":
        return made
    return {**made, "data": dict.fromkeys(made.get("data", {}), HIDDEN)}

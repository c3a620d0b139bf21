# SPDX-License-Identifier: Apache-2.0
"""Small pods for tests of the provider."""

from typing import Any

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.provider.cluster.objects.pod_objects import PodLife

DIGEST = "sha256:" + "ab" * 32


def a_manifest(**spec: Any) -> PodManifest:
    """A manifest with one container `c` and one http service, and what *spec* says."""
    whole = {
        "containers": [{"name": "c", "image": "oci-archive:x.tar"}],
        "services": [{"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}],
        **spec,
    }
    return PodManifest.model_validate(
        {
            "apiVersion": "trustedpods/v1",
            "kind": "Pod",
            "metadata": {"name": "publishers-own-name"},
            "spec": whole,
        }
    )


def a_life(
    manifest: PodManifest | None = None,
    *,
    namespace: str = "tp-ptest-1",
    label: str = "ptest",
    image: str = f"127.0.0.1:5000/pods/ptest@{DIGEST}",
    secrets: dict[str, dict[str, bytes]] | None = None,
    ingress_from: tuple[str, ...] = ("10.128.0.11/32",),
) -> PodLife:
    """One life of it, all containers from the same image."""
    manifest = manifest or a_manifest()
    images = {container.name: image for container in manifest.spec.all_containers}
    return PodLife(namespace, label, manifest, secrets or {}, images, ingress_from)

# SPDX-License-Identifier: Apache-2.0
"""The NetworkPolicy that lets the controllers of a pod's ingress classes in, and nobody else. Pure."""

from collections.abc import Mapping

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.exposure.ingress_classes import ControllerClass

NAME_LABEL = "kubernetes.io/metadata.name"
"""Which the API server gives each namespace, with its name for a value: nobody can give it to another."""


def controller_rules(manifest: PodManifest, classes: Mapping[str, ControllerClass]) -> list[KubeObject]:
    """A rule for each service: its class's controller, at the container's port.

    One whose class is offered no more has none: its controller is shut out.
    """
    return [
        {
            "from": [_pods_of(classes[one.ingress.class_name])],
            "ports": [{"protocol": "TCP", "port": port.target} for port in one.ports],
        }
        for one in manifest.spec.services
        if one.ingress is not None and one.ingress.class_name in classes
    ]


def _pods_of(controller: ControllerClass) -> KubeObject:
    return {
        "namespaceSelector": {"matchLabels": {NAME_LABEL: controller.namespace}},
        "podSelector": {"matchLabels": dict(controller.pod_labels)},
    }

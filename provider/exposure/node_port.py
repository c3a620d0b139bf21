# SPDX-License-Identifier: Apache-2.0
"""`expose: nodePort`: each port of the service at one of the nodes that run replicas, TCP and UDP."""

from trustedpods.manifests.spec.service import Service
from trustedpods.provider.exposure.exposure import ExposedPod, NodeExposure


def expose(service: Service, _pod: ExposedPod) -> NodeExposure:
    """The service at ports that the cluster gives; a replica sees its callers' own addresses."""
    return NodeExposure(service.name, service.expose)

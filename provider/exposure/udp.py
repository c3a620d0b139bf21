# SPDX-License-Identifier: Apache-2.0
"""`expose: udp`: the service's one port at the facade's address, carried by the node's kernel.

HAProxy 2.6 carries no UDP. The port is one of the cluster's node ports, and any node takes it, wherever the
replicas run: the facade's address may lead to a node without one.
"""

from trustedpods.manifests.spec.service import Service
from trustedpods.provider.exposure.exposure import ExposedPod, NodeExposure


def expose(service: Service, _pod: ExposedPod) -> NodeExposure:
    """The service at a port that the cluster gives."""
    return NodeExposure(service.name, service.expose)

# SPDX-License-Identifier: Apache-2.0
"""Addresses that neither the daemon nor Kubernetes gives to a service, but a controller beside them. Pure."""

from trustedpods.manifests.spec.service import Service
from trustedpods.protocol.errors import Refused

ADDRESSED = frozenset({"loadBalancer", "ingress"})
"""Words of `expose` for which a controller of the cluster's writes where the service is reached."""

ADDRESS_WITHIN_S = 120
"""A cloud's controller makes a load balancer in a minute or two; what takes longer does not come."""

ADDRESS_LOOK_S = 0.5
"""How often the cluster is asked for its address meanwhile."""


def no_address(service: Service) -> Refused:
    """The refusal of a start for which no address came in time."""
    if service.ingress is not None:
        return Refused(
            f"the controller of ingress class {service.ingress.class_name} wrote no address of "
            f"{service.name!r} in {ADDRESS_WITHIN_S} s",
            rule="ingress",
            hint="it does not run, or takes no Ingress of this kind: the operator's `doctor` looks at it",
        )
    return Refused(
        f"the cluster gave the load balancer {service.name!r} no address in {ADDRESS_WITHIN_S} s",
        rule="load-balancer",
        hint="the operator's controller for load balancers has none left, or does not run",
    )

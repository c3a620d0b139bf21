# SPDX-License-Identifier: Apache-2.0
"""From a manifest's services to the exposure of each. A new word of `expose` is a line in `STRATEGIES`."""

from collections.abc import Callable, Iterable, Mapping

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.service import Service
from trustedpods.provider.exposure import http, ingress, load_balancer, node_port, none, tcp, udp
from trustedpods.provider.exposure.exposure import ExposedPod, Exposure, FacadeExposure
from trustedpods.provider.exposure.ingress import IngressExposure

STRATEGIES: Mapping[str, Callable[[Service, ExposedPod], Exposure]] = {
    "none": none.expose,
    "http": http.expose,
    "tcp": tcp.expose,
    "udp": udp.expose,
    "nodePort": node_port.expose,
    "loadBalancer": load_balancer.expose,
    "ingress": ingress.expose,
}
"""How a service is exposed, by the manifest's word; a word without a line is refused by `manifests`."""


def plan(manifest: PodManifest, label: str, domain: str) -> tuple[Exposure, ...]:
    """The exposure of each service, in the manifest's order; *label* is the pod's host label."""
    pod = ExposedPod(label, domain, manifest.spec.services)
    return tuple(STRATEGIES[service.expose](service, pod) for service in pod.services)


def through_facade(exposures: Iterable[Exposure]) -> tuple[FacadeExposure, ...]:
    """Those that the facade serves."""
    return tuple(one for one in exposures if isinstance(one, FacadeExposure))


def under_hosts(exposures: Iterable[Exposure]) -> tuple[FacadeExposure | IngressExposure, ...]:
    """Those that may be reached under hosts of the publisher's own, whoever serves them."""
    return tuple(one for one in exposures if isinstance(one, FacadeExposure | IngressExposure))

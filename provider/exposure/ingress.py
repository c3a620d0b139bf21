# SPDX-License-Identifier: Apache-2.0
"""`expose: ingress`: a controller of the cluster's serves HTTP under hosts of the publisher's own."""

from dataclasses import dataclass

from trustedpods.manifests.spec.service import Service
from trustedpods.provider.core.pod import ServiceExposure
from trustedpods.provider.exposure.exposure import ExposedPod, Exposure, Site

MAX_ADDRESSES = 2
"""Told of each service: DNS needs one, or two of different kinds. A controller may write every node's."""

HTTP_PORT, HTTPS_PORT = 80, 443
"""Where an Ingress is served, as Kubernetes says; it has no other ports."""


@dataclass(frozen=True, slots=True)
class IngressExposure(Exposure):
    """A service told from others by the host and the path of each request, of a controller's own.

    `own_hosts` are all its hosts, `paths` where they lead here, `tls_secret` is the secret volume with their
    certificate, `port` the manifest's.
    """

    port: int
    own_hosts: tuple[str, ...]
    paths: tuple[str, ...]
    tls_secret: str | None

    def endpoints(self, site: Site, given: ServiceExposure) -> list[tuple[int, str]]:
        """Each host and path once the controller serves them, then where DNS must lead the hosts to."""
        if not given.addresses:
            return []
        scheme, port = ("http", HTTP_PORT) if self.tls_secret is None else ("https", HTTPS_PORT)
        urls = [f"{scheme}://{host}{path}" for host in self.own_hosts for path in self.paths]
        urls += [f"tcp://{address}:{port}" for address in given.addresses[:MAX_ADDRESSES]]
        return [(self.port, url) for url in urls]


def expose(service: Service, _pod: ExposedPod) -> IngressExposure:
    """The service under its own hosts; the pod's own host leads to the facade alone."""
    assert service.ingress is not None
    return IngressExposure(
        service.name,
        service.expose,
        service.ports[0].port,
        tuple(dict.fromkeys(service.hosts)),
        tuple(dict.fromkeys(route.path for route in service.ingress.routes)),
        service.tls.secret_name if service.tls else None,
    )

# SPDX-License-Identifier: Apache-2.0
"""`expose: http`: the facade serves HTTP/1.1 or HTTP/2 under host names, or below paths of them."""

from dataclasses import dataclass

from trustedpods.manifests.spec.service import Service
from trustedpods.provider.exposure.exposure import ExposedPod, FacadeExposure, Site
from trustedpods.provider.exposure.service_keys import key_of


@dataclass(frozen=True, slots=True)
class HttpExposure(FacadeExposure):
    """A service that is told from others by the host, and the path, of each request."""

    def urls(self, site: Site, port: int | None) -> list[str]:
        """One for each route, and one more where TLS has a certificate for its host."""
        urls = [f"http://{_with_suffix(route, site.url_suffix)}/" for route in self.routes]
        if site.https_suffix is not None:
            secure = [route for route in self.routes if self._has_certificate(route)]
            urls += [f"https://{_with_suffix(route, site.https_suffix)}/" for route in secure]
        return urls

    def _has_certificate(self, route: str) -> bool:
        """The provider's own is for hosts of its domain."""
        return self.tls_secret is not None or route.partition("/")[0] not in self.own_hosts


def expose(service: Service, pod: ExposedPod) -> HttpExposure:
    """The service under its hosts and paths."""
    port = service.ports[0]
    hosts = (_host(service, pod), *service.hosts)
    return HttpExposure(
        service=service.name,
        expose=service.expose,
        label=key_of(pod.label, service.name),
        protocol=service.protocol,
        port=port.target,
        service_port=port.port,
        routes=tuple(f"{host}{path}" for host in hosts for path in service.paths or ("",)),
        own_hosts=tuple(service.hosts),
        limits=service.limits,
        https_only=service.https_only,
        tls_secret=service.tls.secret_name if service.tls else None,
        affinity=service.known_by,
    )


def _host(service: Service, pod: ExposedPod) -> str:
    """The pod's host leads to the first service of http without paths, and to those with paths below them.

    Each further service has a host of its own, SERVICE-LABEL.
    """
    plain = [one.name for one in pod.services if one.expose == "http" and not one.paths]
    return pod.host if service.paths or service.name == plain[0] else f"{service.name}-{pod.host}"


def _with_suffix(route: str, suffix: str) -> str:
    """The suffix follows the host, before a path."""
    host, slash, path = route.partition("/")
    return f"{host}{suffix}{slash}{path}"

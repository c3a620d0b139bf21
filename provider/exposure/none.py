# SPDX-License-Identifier: Apache-2.0
"""`expose: none`: only pods of the same publisher reach the service, and nothing is made for it here."""

from dataclasses import dataclass

from trustedpods.manifests.spec.service import Service
from trustedpods.provider.core.pod import ServiceExposure
from trustedpods.provider.exposure.exposure import ExposedPod, Exposure, Site


@dataclass(frozen=True, slots=True)
class NoExposure(Exposure):
    """A service for the publisher's own pods: policies of Kubernetes let them in (`network_policy`)."""

    def endpoints(self, site: Site, given: ServiceExposure) -> list[tuple[int, str]]:
        """None."""
        return []


def expose(service: Service, _pod: ExposedPod) -> NoExposure:
    """As the manifest says."""
    return NoExposure(service.name, service.expose)

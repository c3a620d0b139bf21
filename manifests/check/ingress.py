# SPDX-License-Identifier: Apache-2.0
"""What does not fit about services of a controller of the cluster's: who reads them, where they lead."""

from collections import Counter
from collections.abc import Iterator

from trustedpods.manifests.check.services import MAX_ROUTE
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.service import Service


def ingress_problems(manifest: PodManifest) -> Iterator[Problem]:
    """Everything of one manifest."""
    elsewhere = {host for one in manifest.spec.services if one.expose != "ingress" for host in one.hosts}
    leads: Counter[tuple[str, str, str]] = Counter()
    for index, service in enumerate(manifest.spec.services):
        if service.ingress is None:
            continue
        at: Location = ("spec", "services", index)
        if manifest.spec.trust == "sealed":
            text = "an ingress controller reads what it passes on, and the operator it: write `trust: open`, "
            yield Problem((*at, "expose"), text + "or `expose: http`, or `expose: tcp` with TLS of your own")
        yield from _hosts(at, service, elsewhere)
        yield from _paths(at, service, leads)


def _hosts(at: Location, service: Service, elsewhere: set[str]) -> Iterator[Problem]:
    """Hosts of the publisher's own, which the provider's facade does not serve."""
    if not service.hosts and service.tls is None:
        text = "an ingress is reached under hosts of your own: list them in `hosts`, or write `expose: http`"
        yield Problem((*at, "expose"), text)
    for number, host in enumerate(service.hosts):
        if host in elsewhere:
            text = f"{host} leads to the facade or to a controller, not to both: give one another host"
            yield Problem((*at, "hosts", number), text)
        elif host in service.hosts[:number]:
            yield Problem((*at, "hosts", number), f"{host} is listed twice")


def _paths(at: Location, service: Service, leads: Counter[tuple[str, str, str]]) -> Iterator[Problem]:
    """No two backends for one host and path; *leads* has those of the services before."""
    assert service.ingress is not None
    for number, route in enumerate(service.ingress.routes):
        place: Location = (*at, "ingress", "paths", number) if service.ingress.paths else (*at, "ingress")
        for host in dict.fromkeys(service.hosts):
            leads[host, route.path, route.path_type] += 1
            if leads[host, route.path, route.path_type] == 2:
                yield Problem(place, f"{host}{route.path} ({route.path_type}) leads to two services")
        longest = max(map(len, service.hosts), default=0) + len(route.path)
        if longest > MAX_ROUTE:
            text = f"host and path have {longest} characters, at most {MAX_ROUTE} together"
            yield Problem(place, text)

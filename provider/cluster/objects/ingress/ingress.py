# SPDX-License-Identifier: Apache-2.0
"""The Ingress (`networking.k8s.io/v1`) of each service that a controller of the cluster's serves. Pure."""

from collections.abc import Collection, Sequence

from trustedpods.manifests.spec.service import Service
from trustedpods.provider.cluster.objects.names import KubeObject

KIND = "Ingress"


def ingresses(services: Sequence[Service], withheld: Collection[str] = ()) -> list[KubeObject]:
    """Those of a pod's *services*, without hosts that are *withheld*: with none left there is no object."""
    found = []
    for one in services:
        hosts = [host for host in dict.fromkeys(one.hosts) if host not in withheld]
        if one.ingress is not None and hosts:
            found.append(_ingress(one, hosts))
    return found


def annotations(part: Service) -> dict[str, str]:
    """What the class's controller is told: some read it at the Ingress, and some at its Service."""
    return {} if part.ingress is None else dict(part.ingress.annotations)


def _ingress(part: Service, hosts: Sequence[str]) -> KubeObject:
    assert part.ingress is not None
    backend = {"service": {"name": part.name, "port": {"number": part.ports[0].port}}}
    paths = [
        {"path": route.path, "pathType": route.path_type, "backend": backend} for route in part.ingress.routes
    ]
    spec: dict[str, object] = {
        "ingressClassName": part.ingress.class_name,
        "rules": [{"host": host, "http": {"paths": paths}} for host in hosts],
    }
    if part.tls is not None:
        spec["tls"] = [{"hosts": list(hosts), "secretName": part.tls.secret_name}]
    metadata: dict[str, object] = {"name": part.name}
    if told := annotations(part):
        metadata["annotations"] = told
    return {"apiVersion": "networking.k8s.io/v1", "kind": KIND, "metadata": metadata, "spec": spec}

# SPDX-License-Identifier: Apache-2.0
"""Services of the cluster in memory: what they are given, and how they end."""

from collections.abc import Collection, Iterator

from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.cluster.views import ServiceView, service_view

Objects = dict[tuple[str, str], KubeObject]


def given(wanted: KubeObject, held: Objects, numbers: Iterator[int], *, balancers: bool) -> KubeObject:
    """The Service with an address, and with what its type has; it keeps what it has among those *held*."""
    known, spec = held.get(("Service", wanted["metadata"]["name"]), {}), wanted["spec"]
    before = known.get("spec", {})
    address = spec.get("clusterIP") or before.get("clusterIP") or f"10.9.0.{next(numbers)}"
    had = {(port["protocol"], port["port"]): port.get("nodePort") for port in before.get("ports", [])}
    ports = [dict(port) for port in spec.get("ports", [])]
    for port in ports if spec["type"] == "NodePort" else []:
        kept = port.get("nodePort") or had.get((port["protocol"], port["port"]))
        port["nodePort"] = kept or 30_000 + next(numbers)
    status = known.get("status", {})
    if spec["type"] == "LoadBalancer" and balancers and not status:
        balanced = spec.get("loadBalancerIP") or f"198.51.100.{next(numbers)}"
        status = {"loadBalancer": {"ingress": [{"ip": balanced}]}}
    return {**wanted, "spec": {**spec, "clusterIP": address, "ports": ports}, "status": status}


def views_of(held: Objects) -> list[ServiceView]:
    """The Services among the objects of one namespace."""
    return [service_view(one) for (kind, _), one in held.items() if kind == "Service"]


def end(held: Objects, names: Collection[str]) -> None:
    """Take the Services of these *names* out of a namespace."""
    for name in names:
        held.pop(("Service", name), None)

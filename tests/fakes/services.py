# SPDX-License-Identifier: Apache-2.0
"""Services and Ingresses of the cluster in memory: what they are given, and how they end."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from trustedpods.provider.cluster.applying import in_the_way
from trustedpods.provider.cluster.objects.ingress.view import IngressView, ingress_view
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.cluster.views import ServiceView, service_view, with_ingresses

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


CONTROLLER = "198.51.100.200"


def served(wanted: KubeObject, *, controllers: bool) -> KubeObject:
    """The Ingress with the address that a controller writes."""
    return (
        {**wanted, "status": {"loadBalancer": {"ingress": [{"ip": CONTROLLER}]}}} if controllers else wanted
    )


def views_of(held: Objects) -> list[ServiceView]:
    """The Services among the objects of one namespace."""
    found = [service_view(one) for (kind, _), one in held.items() if kind == "Service"]
    return with_ingresses(found, ingresses_of([held]))


def ingresses_of(lives: Iterable[Objects]) -> list[IngressView]:
    """The Ingresses among the objects of some namespaces."""
    return [ingress_view(one) for held in lives for (kind, _), one in held.items() if kind == "Ingress"]


def end(held: Objects, moving: Collection[KubeObject]) -> None:
    """Take out of a namespace what may not be there beside those *moving* to another."""
    for key in [key for key, one in held.items() if in_the_way(key[0], one, moving)]:
        del held[key]


class FakeControllers:
    """Where nobody's pods but the daemon's own run."""

    async def ready_pods(self, namespace: str, labels: Mapping[str, str]) -> int:
        return 0


def replace_ingresses(held: Objects, wanted: Sequence[KubeObject]) -> None:
    """Let a namespace have these Ingresses and no others."""
    for key in [key for key in held if key[0] == "Ingress"]:
        del held[key]
    held.update({("Ingress", one["metadata"]["name"]): served(one, controllers=True) for one in wanted})

# SPDX-License-Identifier: Apache-2.0
"""What is seen of an Ingress of anybody: its hosts, and where its controller says that it is. Pure."""

from dataclasses import dataclass

from trustedpods.provider.cluster.objects.names import POD_LABEL, KubeObject


@dataclass(frozen=True, slots=True)
class IngressView:
    """One Ingress; `label` is that of its pod, empty where it is none of a pod's.

    `hosts` are as its rules have them, `addresses` (or host names) as its controller wrote them.
    """

    namespace: str
    name: str
    label: str
    hosts: frozenset[str]
    addresses: tuple[str, ...]


def ingress_view(ingress: KubeObject) -> IngressView:
    """View of one Ingress object."""
    metadata, spec = ingress["metadata"], ingress.get("spec") or {}
    given = (ingress.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
    told = (one.get("ip") or one.get("hostname") for one in given)
    return IngressView(
        namespace=metadata["namespace"],
        name=metadata["name"],
        label=(metadata.get("labels") or {}).get(POD_LABEL, ""),
        hosts=frozenset(str(rule["host"]) for rule in spec.get("rules") or [] if rule.get("host")),
        addresses=tuple(str(one) for one in told if one),
    )

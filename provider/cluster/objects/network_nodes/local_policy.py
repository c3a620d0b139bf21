# SPDX-License-Identifier: Apache-2.0
"""The NetworkPolicy between nodes of networks that call each other inside one cluster. Pure.

It is not one of a pod's own objects, and has not their label: it follows the pods on both sides as they come
and go (`provider/books/local_ways.py`), and an update of one of them leaves it alone.
"""

from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.cluster.objects.network_policy import policy
from trustedpods.provider.core.networks.local_nodes import Passage, Passages

NAME = "local-nodes"

LABEL = "trustedpods.dev/local-nodes"
"""On all of these policies; its value is `yes`."""

_NAMESPACE = "kubernetes.io/metadata.name"
"""The label by which Kubernetes itself names each namespace: nobody can give it to another one."""


def local_policy(namespace: str, passages: Passages) -> KubeObject:
    """What *passages* open of *namespace*: exactly those namespaces, each at exactly its ports."""
    spec: dict[str, list[object]] = {"policyTypes": []}
    if passages.into:
        spec["policyTypes"].append("Ingress")
        spec["ingress"] = [_rule("from", one) for one in passages.into]
    if passages.out:
        spec["policyTypes"].append("Egress")
        spec["egress"] = [_rule("to", one) for one in passages.out]
    made = policy(NAME, spec)
    return {**made, "metadata": {"name": NAME, "namespace": namespace, "labels": {LABEL: "yes"}}}


def _rule(side: str, passage: Passage) -> KubeObject:
    other = {"namespaceSelector": {"matchLabels": {_NAMESPACE: passage.namespace}}}
    return {side: [other], "ports": [{"protocol": passage.transport, "port": passage.port}]}

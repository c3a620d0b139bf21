# SPDX-License-Identifier: Apache-2.0
"""The policy between nodes of one cluster: exactly those namespaces, at exactly those ports."""

from trustedpods.provider.cluster.objects.names import POD_LABEL
from trustedpods.provider.cluster.objects.network_nodes.local_policy import LABEL, NAME, local_policy
from trustedpods.provider.core.networks.local_nodes import Passage, Passages


def in_namespace(name):
    return [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]


def test_both_sides():
    out, into = Passage("ns-b", "TCP", 8080), Passage("ns-c", "UDP", 53)
    made = local_policy("ns-a", Passages((out,), (into,)))
    assert made["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": in_namespace("ns-c"), "ports": [{"protocol": "UDP", "port": 53}]}],
        "egress": [{"to": in_namespace("ns-b"), "ports": [{"protocol": "TCP", "port": 8080}]}],
    }
    assert made["metadata"] == {"name": NAME, "namespace": "ns-a", "labels": {LABEL: "yes"}}
    assert POD_LABEL not in made["metadata"]["labels"], "a pod's own objects are taken away by its updates"


def test_one_side_says_nothing_of_the_other():
    spec = local_policy("ns-a", Passages(into=(Passage("ns-c", "UDP", 53),)))["spec"]
    assert (spec["policyTypes"], "egress" in spec) == (["Ingress"], False)
    spec = local_policy("ns-a", Passages(out=(Passage("ns-c", "UDP", 53),)))["spec"]
    assert (spec["policyTypes"], "ingress" in spec) == (["Egress"], False)

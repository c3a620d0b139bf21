# SPDX-License-Identifier: Apache-2.0
"""Probes of a Network file, by the nodes that are asked."""

from trustedpods.manifests.network.model import NetworkSpec
from trustedpods.publisher.core.networks.probes import NodeProbe, node_probes, of_nodes

SPEC = NetworkSpec.model_validate(
    {
        "nodes": [
            {"name": "boot", "pod": "pod.yaml", "cluster": "k1"},
            {"name": "node", "pod": "pod.yaml", "cluster": "k1", "replicas": 2},
        ],
        "probes": [
            {"name": "up", "node": "node", "exec": {"command": ["look", "twice"]}, "timeoutSeconds": 7},
            {"name": "whole", "node": "boot", "container": "geth", "exec": {"command": ["look"]}},
            {"name": "second", "node": "node-2", "exec": {"command": ["look"]}},
        ],
    }
)


def test_an_entry_with_replicas_is_asked_at_each():
    assert list(node_probes(SPEC)) == [
        NodeProbe("up", "node-1", None, ("look", "twice"), 7),
        NodeProbe("up", "node-2", None, ("look", "twice"), 7),
        NodeProbe("whole", "boot", "geth", ("look",), 60),
        NodeProbe("second", "node-2", None, ("look",), 60),
    ]


def test_only_own_nodes_are_asked():
    asked = of_nodes(tuple(node_probes(SPEC)), {"boot", "node-1"})
    assert [(one.name, one.node) for one in asked] == [("up", "node-1"), ("whole", "boot")]

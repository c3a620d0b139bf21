# SPDX-License-Identifier: Apache-2.0
"""The profile offers what the cluster has, of that what the operator allows, and nothing else."""

from trustedpods.protocol.units import Resources
from trustedpods.provider.core.placement.nodes import NodePlace
from trustedpods.provider.core.placement.offered import Allowed, ClusterFeatures, capabilities

FOUND = ClusterFeatures(
    {
        "n1": NodePlace({"zone": "a", "secret": "x"}, (), Resources(4000, 512, 10), frozenset({"csi.one"})),
        "n2": NodePlace({"zone": "b"}, (), Resources(1000, 2048, 5), frozenset({"csi.one", "csi.two"})),
    },
    {"fast": True, "plain": False},
)


def test_only_what_is_allowed_and_there():
    allowed = Allowed(
        {"fast": ["ReadWriteMany"], "gone": ["ReadWriteOnce"]},
        ("zone", "rack"),
        ("csi.one", "csi.two", "gone"),
        udp=True,
        names=True,
    )
    offered = capabilities(FOUND, allowed)
    classes = [(one.name, one.grows, one.access_modes) for one in offered.storage_classes]
    assert classes == [("fast", True, ["ReadWriteMany"])]
    assert offered.node_labels == {"zone": ["a", "b"]}
    assert offered.csi_drivers == ["csi.one"], "no scheduler looks where a driver runs"
    assert (offered.udp, offered.node_port, offered.load_balancer, offered.names) == (
        True,
        False,
        False,
        True,
    )


def test_a_class_of_the_clusters_is_offered_with_what_it_may_be_told():
    allowed = Allowed(ingress_classes={"traefik": ("t.io/a",), "gone": ()})
    found = ClusterFeatures({}, {}, frozenset({"traefik", "nginx"}))
    (offered,) = capabilities(found, allowed).ingress_classes
    assert (offered.name, offered.annotations) == ("traefik", ["t.io/a"])


def test_a_default_class_is_offered_where_there_is_one():
    assert capabilities(ClusterFeatures({}, {}, default_class="plain"), Allowed()).default_class
    assert not capabilities(FOUND, Allowed()).default_class


def test_the_largest_node_bounds_each_size():
    largest = capabilities(FOUND, Allowed()).largest_node
    assert (largest.cpu_milli, largest.memory_mib, largest.storage_mib) == (4000, 2048, 10)


def test_a_cluster_without_nodes_offers_nothing():
    offered = capabilities(ClusterFeatures({}, {}), Allowed(csi_drivers=("csi.one",), node_labels=("zone",)))
    assert (offered.csi_drivers, offered.node_labels, offered.largest_node.cpu_milli) == ([], {}, 0)

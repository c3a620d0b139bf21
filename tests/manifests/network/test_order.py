# SPDX-License-Identifier: Apache-2.0
"""Single nodes of entries with replicas, and who waits for whom."""

from itertools import pairwise

import pytest

from trustedpods.manifests.network.model import NetworkNode
from trustedpods.manifests.network.order import circle, single_nodes, waits_for


def entry(name, replicas=None, after=()):
    return NetworkNode(name=name, pod="pod.yaml", cluster="k1", replicas=replicas, depends_on=list(after))


NODES = [
    entry("web", after=["nodes"]),
    entry("nodes", 3, ["boot"]),
    entry("boot"),
    entry("last", after=["nodes-2"]),
]


def test_replicas_are_nodes_of_their_own():
    assert [(one.name, one.index, one.number) for one in single_nodes(NODES)] == [
        ("web", 0, 1),
        ("nodes-1", 1, 1),
        ("nodes-2", 1, 2),
        ("nodes-3", 1, 3),
        ("boot", 2, 1),
        ("last", 3, 1),
    ]


def test_a_name_with_replicas_stands_for_all_of_them_and_each_has_its_own():
    assert waits_for(NODES) == {
        "web": ("nodes-1", "nodes-2", "nodes-3"),
        "nodes-1": ("boot",),
        "nodes-2": ("boot",),
        "nodes-3": ("boot",),
        "boot": (),
        "last": ("nodes-2",),
    }


@pytest.mark.parametrize(
    ("waiting", "found"),
    [
        ({"a": ["b"], "b": ["c"], "c": []}, None),
        ({"a": ["b"], "b": ["a"]}, {"a", "b"}),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, {"b", "c"}),
    ],
)
def test_circles(waiting, found):
    names = circle(waiting)
    if found is None:
        assert names is None
        return
    assert names[0] == names[-1]
    assert set(names) == found
    assert all(after in waiting[name] for name, after in pairwise(names))

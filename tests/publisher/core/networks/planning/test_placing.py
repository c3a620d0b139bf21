# SPDX-License-Identifier: Apache-2.0
"""Which cluster takes a node: by name, provider, region, room and price, and that nobody is moved."""

from dataclasses import replace

import pytest

from tests.fakes.network_states import ALICE, state_of
from tests.publisher.core.test_select import row
from trustedpods.manifests.network.model import NodePlacement
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.core.cost import Shape
from trustedpods.publisher.core.networks import components
from trustedpods.publisher.core.networks.planning.placing import FileNode, hour_of, placed

SHAPE = Shape(cpu_milli=1000, memory_mib=1024, storage_mib=0, scratch_mib=0, max_replicas=1, min_replicas=1)
ROWS = {
    "k1": replace(row(1), region="eu"),
    "k2": replace(row(2), region="us"),
    "k3": replace(row(3), region="eu"),
}


def node(name, entry=None, **where):
    wanted = where["cluster"] if "cluster" in where else NodePlacement(**where)
    return FileNode(name, entry or name, wanted, b"1" * 32, SHAPE)


def content(**there):
    state = state_of().model_copy(update={"components": []})
    for name, cluster in there.items():
        made = components.requested(node(name, cluster="k1").at(cluster), ALICE.address)
        state = state.model_copy(update={"components": [*state.components, made]})
    return state


def clusters(*nodes, state=None, rows=ROWS):
    return {one.name: one.cluster for one in placed(nodes, state or content(), rows)}


def test_a_cluster_that_is_named_is_taken():
    assert clusters(node("a", cluster="k2"), node("b", cluster="k9")) == {"a": "k2", "b": "k9"}


def test_nodes_are_spread_and_count_those_that_are_named():
    three = [node(f"n-{number}", "n") for number in range(1, 4)]
    assert sorted(clusters(*three).values()) == ["k1", "k2", "k3"]
    assert clusters(node("a"), node("b", cluster="k1"), node("c", cluster="k2"))["a"] == "k3"


def test_a_region_and_a_provider_leave_out_the_others():
    assert set(clusters(*[node(f"n{number}", region="eu") for number in range(4)]).values()) == {"k1", "k3"}
    owner = ROWS["k2"].owner
    assert clusters(node("a", provider=owner), node("b", provider=f"{owner}/0")) == {"a": "k2", "b": "k2"}


def test_the_cheapest_is_taken_each_time():
    rows = ROWS | {"k2": row(2, cpu=1)}
    assert set(
        clusters(node("a", strategy="cheapest"), node("b", strategy="cheapest"), rows=rows).values()
    ) == {"k2"}
    assert hour_of(SHAPE, rows["k2"]) < hour_of(SHAPE, rows["k1"])


def test_distinct_replicas_are_at_distinct_owners_and_say_where_there_are_too_few():
    rows = ROWS | {"k2": replace(ROWS["k1"], daemon=1)}
    two = [node(f"n-{number}", "n", distinct="provider") for number in (1, 2)]
    assert clusters(*two, rows=rows) == {"n-1": "k1", "n-2": "k3"}
    with pytest.raises(BadInput) as caught:
        clusters(*two, node("n-3", "n", distinct="provider"), rows=rows)
    assert caught.value.where == "node n-3"
    assert caught.value.what.count("has a replica at its owner") == 3
    assert clusters(*two, node("m", "m", distinct="provider"), rows=rows)["m"] == "k2"


def test_a_node_stays_where_it_is_while_the_file_lets_it():
    state = content(a="k3", b="k3")
    assert clusters(node("c"), node("a"), node("b"), state=state) == {"c": "k1", "a": "k3", "b": "k3"}
    assert clusters(node("a", region="us"), state=state) == {"a": "k2"}
    replicas = [node("a", "n", distinct="provider"), node("b", "n", distinct="provider")]
    assert clusters(*replicas, state=state) == {"a": "k3", "b": "k1"}


def test_fifty_nodes_on_ten_providers_find_their_places():
    rows = {f"k{number}": row(number) for number in range(1, 11)}
    found = clusters(*[node(f"n{number}") for number in range(50)], rows=rows)
    assert {list(found.values()).count(one) for one in rows} == {5}

# SPDX-License-Identifier: Apache-2.0
"""Which nodes take a pod, and what is said where none does."""

import pytest

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.capabilities import (
    MAX_LABEL_VALUES,
    LabelRule,
    Placement,
    Tolerated,
)
from trustedpods.provider.core.placement.nodes import (
    NodePlace,
    Taint,
    advertised_labels,
    check_drivers,
    check_placement,
    takes,
)

NODES = {
    "n1": NodePlace({"zone": "a", "disk": "ssd", "secret": "x"}),
    "n2": NodePlace({"zone": "a", "disk": "hdd"}),
    "n3": NodePlace({"zone": "b", "disk": "hdd"}, (Taint("tee", "snp", "NoSchedule"),)),
}
KEYS = ("zone", "disk")


def rule(key, operator="Exists", *values):
    return LabelRule(key=key, operator=operator, values=list(values))


def tolerating(operator="Equal", value="snp", effect="NoSchedule", key="tee"):
    return Placement(tolerated=[Tolerated(key=key, operator=operator, value=value, effect=effect)])


def fitting(placement, replicas=1, keys=KEYS):
    return set(check_placement(placement, replicas, NODES, keys))


def refusal(placement, replicas=1, keys=KEYS):
    with pytest.raises(Refused) as caught:
        check_placement(placement, replicas, NODES, keys)
    assert caught.value.rule == "placement"
    return caught.value.what


def test_a_pod_that_says_nothing_runs_where_no_taint_is():
    assert fitting(Placement()) == {"n1", "n2"}


def test_each_label_of_the_selector_and_one_term_must_hold():
    assert fitting(Placement(selector={"zone": "a", "disk": "hdd"})) == {"n2"}
    either = [[rule("disk", "In", "ssd")], [rule("zone", "In", "a"), rule("disk", "NotIn", "ssd")]]
    assert fitting(Placement(terms=either)) == {"n1", "n2"}


def test_labels_on_no_single_node_are_refused_though_each_is_advertised():
    words = refusal(Placement(selector={"zone": "b", "disk": "ssd"}))
    assert "none of 3 nodes is as the pod wants it" in words


def test_a_label_that_is_not_advertised_is_not_told_of():
    words = refusal(Placement(selector={"secret": "x"}))
    assert words == "no node with secret=x; advertised: disk=hdd|ssd, zone=a|b"
    assert refusal(Placement(selector={"zone": "a"}), keys=()).endswith("advertised: none")


@pytest.mark.parametrize("key", ["secret", "kubernetes.io/hostname"])
def test_no_alternative_chooses_by_a_label_that_is_not_advertised(key):
    """Each rule of the first may hold, but on no node both: the other alternative would choose alone."""
    never = [rule("zone", "In", "a"), rule("zone", "In", "b")]
    words = refusal(Placement(terms=[never, [rule(key)]]))
    assert words == f"label {key} is not advertised, so nodeAffinity cannot name it"


@pytest.mark.parametrize("values", [(), ("1", "2"), ("x",)])
def test_a_comparison_without_one_number_holds_nowhere(values):
    numbered = {"n1": NodePlace({"size": "3"})}
    with pytest.raises(Refused) as caught:
        check_placement(Placement(terms=[[rule("size", "Gt", *values)]]), 1, numbered, ("size",))
    assert caught.value.rule == "placement"


@pytest.mark.parametrize(
    ("placement", "goes"),
    [
        (tolerating(), True),
        (tolerating("Exists", "", None), True),
        (tolerating(value="tdx"), False),
        (tolerating(effect="NoExecute"), False),
        (tolerating(key="disk"), False),
    ],
)
def test_a_taint_is_tolerated_as_kubernetes_does(placement, goes):
    assert takes(NODES["n3"], placement) is goes


def test_a_taint_of_preference_keeps_nobody_away():
    assert takes(NodePlace(taints=(Taint("a", "", "PreferNoSchedule"),)), Placement())


def test_replicas_that_keep_apart_have_places_enough():
    assert fitting(Placement(apart=["kubernetes.io/hostname"]), replicas=2) == {"n1", "n2"}
    words = refusal(Placement(apart=["kubernetes.io/hostname"]), replicas=3)
    assert words == ("3 replicas wanted, no two with one kubernetes.io/hostname: 2 there on nodes that fit")
    assert "1 there" in refusal(Placement(apart=["zone"]), replicas=2)


def test_a_driver_runs_on_every_node_that_may_be_taken():
    nodes = {"n1": NodePlace(csi_drivers=frozenset({"csi.one"})), "n2": NodePlace()}
    check_drivers(["csi.one"], nodes, {"n1"})
    with pytest.raises(Refused, match="does not run on 1 of 2 nodes") as caught:
        check_drivers(["csi.one"], nodes, {"n1", "n2"})
    assert caught.value.rule == "csi-driver"


def test_values_are_listed_until_they_are_too_many():
    few = [NodePlace({"host": f"n{number}"}) for number in range(MAX_LABEL_VALUES)]
    assert advertised_labels(few, ["host", "absent"]) == {"host": sorted(f"n{n}" for n in range(16))}
    assert advertised_labels([*few, NodePlace({"host": "more"})], ["host"]) == {"host": []}

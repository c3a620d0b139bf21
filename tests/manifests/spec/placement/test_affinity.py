# SPDX-License-Identifier: Apache-2.0
"""How the words on nodes are written, and what they come to in the question that a provider is asked."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.fakes.provider.pods import a_manifest
from trustedpods.manifests.spec.placement.affinity import MatchExpression
from trustedpods.manifests.spec.placement.labels import LabelKey
from trustedpods.manifests.spec.placement.toleration import Toleration, TopologySpread
from trustedpods.manifests.spec.placement.wanted import placement
from trustedpods.protocol.messages.capabilities import LabelRule, Placement, Tolerated

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@pytest.mark.parametrize(
    ("operator", "values", "words"),
    [
        ("In", [], "needs values"),
        ("NotIn", [], "needs values"),
        ("Exists", ["a"], "takes no values"),
        ("Gt", ["a"], "one whole number"),
        ("Lt", ["1", "2"], "one whole number"),
    ],
)
def test_an_operator_has_the_values_that_it_needs(operator: str, values: list[str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MatchExpression.model_validate({"key": "disk", "operator": operator, "values": values})


@pytest.mark.parametrize("key", ["", "-a", "a/", "/a", "A/b", "a b", "a" * 64, "a/b/c"])
def test_a_key_is_one_that_kubernetes_takes(key: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(LabelKey).validate_python(key)
    assert TypeAdapter(LabelKey).validate_python("example.org/disk_Kind.1")


@pytest.mark.parametrize(
    ("model", "given", "words"),
    [
        (Toleration, {"key": "a", "operator": "Exists", "value": "b"}, "takes no value"),
        (Toleration, {"operator": "Exists"}, "Field required"),
        (
            TopologySpread,
            {"topologyKey": "a", "minDomains": 2, "whenUnsatisfiable": "ScheduleAnyway"},
            "minDomains needs",
        ),
    ],
)
def test_what_makes_no_sense_is_said(model: Any, given: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        model.model_validate(given)


def test_a_manifest_asks_for_all_of_its_words() -> None:
    term = {"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["8"]}]}
    manifest = a_manifest(
        nodeSelector={"disk": "ssd"},
        affinity={
            "nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}},
            "podAntiAffinity": {REQUIRED: [{"topologyKey": "zone"}]},
        },
        tolerations=[{"key": "tee", "effect": "NoSchedule", "value": "snp"}],
        topologySpreadConstraints=[{"topologyKey": "rack"}],
    )
    assert manifest.placement == Placement(
        selector={"disk": "ssd"},
        terms=[[LabelRule(key="cores", operator="Gt", values=["8"])]],
        tolerated=[Tolerated(key="tee", operator="Equal", value="snp", effect="NoSchedule")],
        apart=["zone"],
        spread=["rack"],
    )
    assert a_manifest().placement == placement({}, None, [], []) == Placement()

# SPDX-License-Identifier: Apache-2.0
"""Each field of the model is explained, and what is none leads to the one that was meant."""

import pytest

from trustedpods.manifests.explain import ExplainedField, explained
from trustedpods.protocol.errors import BadInput


def every_field(path: str, kind: str) -> list[ExplainedField]:
    found = explained(path, kind)
    return [found, *(one for below in found.fields for one in every_field(below.path, kind))]


@pytest.mark.parametrize("path", ["spec.scale", "spec.services", "spec.volumes", "spec.network", "metadata"])
def test_every_field_below_a_part_says_something(path: str) -> None:
    fields = every_field(path, "Pod")
    assert len(fields) > 1
    assert [one.path for one in fields if not (one.type and one.about)] == []


@pytest.mark.parametrize(
    ("path", "type_", "default"),
    [
        ("spec.scale.max", "whole number", "1"),
        ("spec.scale.idleConnection", "time", "600s"),
        ("spec.containers.resources.limits.cpu", "quantity", "100m"),
        ("spec.containers.resources.limits.memory", "quantity", "128Mi"),
        ("spec.scale.ownSleep", "true or false", "false"),
        ("spec.containers", "list of object", None),
        ("kind", "'Pod'", None),
    ],
)
def test_types_and_defaults(path: str, type_: str, default: str | None) -> None:
    found = explained(path)
    assert (found.type, found.default) == (type_, default)


def test_bounds_and_what_is_required_are_said() -> None:
    assert explained("spec.scale.max").rules == ("at least 1", "at most 20")
    assert explained("spec.containers.image").required
    assert not explained("spec.containers.args").required


def test_a_plain_value_is_explained_by_its_part() -> None:
    found = explained("spec.scale.idleAfter")
    assert found.within == "spec.scale"
    assert found.about == explained("spec.scale").about


@pytest.mark.parametrize(
    "path", ["idleAfter", "scale.idleAfter", "pod.spec.scale.idleAfter", "Pod.spec.scale.idleAfter"]
)
def test_the_end_of_a_path_is_enough_where_it_is_the_only_one(path: str) -> None:
    assert explained(path).path == "spec.scale.idleAfter"


def test_indices_may_stay() -> None:
    assert explained("spec.containers[0].image").path == "spec.containers.image"


def test_the_whole_file_and_networks() -> None:
    assert [one.path for one in explained("").fields] == ["apiVersion", "kind", "metadata", "spec"]
    assert "spec.nodes.name" in [one.path for one in explained("spec.nodes", "Network").fields]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("spec.scale.idelAfter", "did you mean 'idleAfter'"),
        ("idelAfter", "did you mean 'idleAfter'"),
        ("spec.containers.healthcheck", "readinessProbe"),
        ("spec.containers.helthcheck", "readinessProbe"),
        ("spec.scale.max.x", "no fields of its own"),
        ("zzz.qqq", "there is: apiVersion"),
        ("spec.qqqqqq", "there is: "),
        (".".join(["spec"] * 40), "more than"),
        ("image", "2 places: spec.containers.image, spec.initContainers.image"),
    ],
)
def test_what_is_no_field_leads_on(path: str, said: str) -> None:
    with pytest.raises(BadInput) as raised:
        explained(path)
    assert said in f"{raised.value} {raised.value.hint}"

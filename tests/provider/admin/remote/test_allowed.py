# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""From outside a verb is one of a list, and an answer's fields are too; nobody adds one without saying so."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.provider.admin.remote.allowed import (
    EMPTY,
    NUMBERS,
    PLAIN,
    VERBS,
    Leaf,
    allowed,
    let_out,
    may_say,
)
from trustedpods.provider.admin.reports.health_views import Health, HealthRequest
from trustedpods.provider.admin.views import (
    DaemonIdentity,
    DrainRequest,
    Evicted,
    EvictRequest,
    IdentityRequest,
    Overview,
    OverviewRequest,
    PodList,
    PodsRequest,
)

MODELS = {
    "health": (HealthRequest, Health),
    "overview": (OverviewRequest, Overview),
    "pods": (PodsRequest, PodList),
    "identity": (IdentityRequest, DaemonIdentity),
    "drain": (DrainRequest, Evicted),
    "evict": (EvictRequest, Evicted),
}
INSIDE = {"evict": {"deny"}}
"""Fields that are asked on the machine alone."""


def test_every_verb_is_looked_at_here():
    assert set(VERBS) == set(MODELS)


@pytest.mark.parametrize("verb", sorted(MODELS))
def test_every_field_of_a_question_is_taken_or_left_inside_on_purpose(verb):
    request, _ = MODELS[verb]
    assert VERBS[verb].asked | INSIDE.get(verb, set()) | {"verb"} == set(request.model_fields)


@pytest.mark.parametrize("verb", sorted(MODELS))
def test_every_field_of_an_answer_is_named(verb):
    """One that is not named stays inside; this says so to whoever adds one."""
    same_names(MODELS[verb][1], VERBS[verb].told)


def same_names(model, fields):
    assert set(fields) == {one.alias for one in model.model_fields.values()}
    for one in model.model_fields.values():
        inner = model_in(one.annotation)
        if inner is not None and fields[one.alias] is not EMPTY:
            same_names(inner, fields[one.alias])


def model_in(annotation):
    """The view that a field holds, in a list or beside None too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [model_in(one) for one in get_args(annotation)]
    return next((one for one in found if one is not None), None)


@pytest.mark.parametrize(
    "verb", ["claim", "disclose", "evidence", "store", "operator-key", "", None, 7, ["pods"]]
)
def test_another_verb_is_refused(verb):
    with pytest.raises(Refused) as refused:
        allowed({"verb": verb})
    assert refused.value.rule == "operator-verb"


def test_a_field_that_is_not_listed_is_refused_by_name():
    with pytest.raises(Refused, match="deny"):
        allowed({"verb": "evict", "target": "a", "reason": "b", "deny": True})
    assert allowed({"verb": "evict", "target": "a", "reason": "b"}).changes


def test_what_a_pod_says_or_its_publisher_named_stays_inside():
    pod = {"label": "a", "why": "password=1", "services": {"secret-name": "http"}, "new": 1}
    assert let_out({"pods": [pod]}, VERBS["pods"].told) == {
        "pods": [{"label": "a", "why": "", "services": {}}]
    }


def test_what_kubernetes_said_stays_inside():
    health = {"isolationDoubt": "quota of secret-name", "trouble": "secret-name", "pods": 1}
    assert let_out(health, VERBS["health"].told) == {"isolationDoubt": "", "trouble": "", "pods": 1}
    assert let_out({"isolationDoubt": None}, VERBS["health"].told) == {"isolationDoubt": None}
    assert not may_say(Refused("secret-name is forbidden", where="pods", rule="Forbidden"))
    assert not may_say(NetworkFailure("secret-name"))


def test_numbers_are_numbers_alone():
    assert let_out({"a": 1, "b": 0.5, "c": "text", "d": {"e": 1}, "f": None}, NUMBERS) == {"a": 1, "b": 0.5}


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(json, st.sampled_from(sorted(VERBS)))
def test_nothing_unnamed_leaves_whatever_an_answer_is(value, verb):
    only_named(let_out(value, VERBS[verb].told), VERBS[verb].told)


def only_named(value, fields):
    if isinstance(value, list):
        for one in value:
            only_named(one, fields)
    elif isinstance(value, dict):
        if isinstance(fields, Leaf):
            assert fields is not PLAIN
            assert fields is NUMBERS or not value
        else:
            for name, one in value.items():
                only_named(one, fields[name])
    elif fields is EMPTY:
        assert not value

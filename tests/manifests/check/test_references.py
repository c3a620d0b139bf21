# SPDX-License-Identifier: Apache-2.0
"""`$(NAME)` as Kubernetes takes it: what names nothing stays as it is, and is said."""

import pytest

from tests.fakes.provider.pods import a_manifest
from trustedpods.manifests.check.references import unknown_references


def said(**container):
    part = {"name": "c", "image": "oci-archive:x.tar", **container}
    volumes = [{"name": "keys", "secret": {"files": {"token": "t"}, "generate": {"word": {}}}}]
    return [
        (problem.location[3:], problem.text.split(";")[0])
        for problem in unknown_references(a_manifest(containers=[part], volumes=volumes))
    ]


ENV = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]
FROM = [{"secretRef": {"name": "keys"}, "prefix": "K_"}]


@pytest.mark.parametrize(
    "word",
    [
        "$(A)",
        "$(B)$(A)",
        "$$(C)",
        "$$$$(C)",
        "$(K_token)",
        "$(K_word)",
        "$(TRUSTEDPODS_URLS)",
        "$C",
        "${C}",
        "$(C",
        "$",
    ],
)
def test_what_is_known_or_no_reference(word: str) -> None:
    assert said(env=ENV, envFrom=FROM, args=[word]) == []


@pytest.mark.parametrize("word", ["$(C)", "x-$(C)-$(A)", "$$$(C)", "$(A )", "$()"])
def test_what_names_nothing_is_said_where_it_stands(word: str) -> None:
    ((location, text),) = said(env=ENV, envFrom=FROM, command=["/app"], args=["-v", word])
    assert location == ("args", 1)
    assert "is no variable of this container" in text


def test_a_variable_refers_to_those_before_it_only() -> None:
    found = said(env=list(reversed(ENV)))
    assert found == [(("env", 0, "value"), "$(A) stays as it is: it is defined further down")]
    assert said(env=[{"name": "A", "value": "$(A)"}])[0][0] == ("env", 0, "value")

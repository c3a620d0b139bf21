# SPDX-License-Identifier: Apache-2.0
"""What a pod finds in its secret volumes."""

import json
from base64 import b64decode
from dataclasses import replace

import pytest
from hypothesis import given

from tests.provider.cluster.strategies import by_kind, lives
from trustedpods.protocol.errors import Refused
from trustedpods.provider.cluster.objects.secret import PULL_SECRET, PullLogin, made_files, secret


@given(lives())
def test_secrets_arrive_whole(life):
    for made in by_kind(life, "Secret"):
        files = {name: b64decode(data) for name, data in made["data"].items()}
        assert files == life.secrets[made["metadata"]["name"]]


@given(lives())
def test_nodes_are_told_what_to_say_to_the_registry_where_it_asks(life):
    [deployment] = by_kind(life, "Deployment")
    assert "imagePullSecrets" not in deployment["spec"]["template"]["spec"]
    asked = replace(life, pull=PullLogin("127.0.0.1:5000", "pull", "word"))
    [deployment] = by_kind(asked, "Deployment")
    assert deployment["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": PULL_SECRET}]
    [made] = [one for one in by_kind(asked, "Secret") if one["metadata"]["name"] == PULL_SECRET]
    said = json.loads(b64decode(made["data"][".dockerconfigjson"]))
    assert said == {"auths": {"127.0.0.1:5000": {"username": "pull", "password": "word"}}}
    assert made["metadata"]["namespace"] == life.namespace


def test_what_was_made_is_found_again_with_its_renewals():
    found = made_files(secret("keys", {"a": b"\xff", "b": b""}, {"a": 3}))
    assert (found.files, found.renewals) == ({"a": b"\xff", "b": b""}, {"a": 3})
    assert made_files(secret("keys", {"a": b"x"})).renewals == {}
    typed = secret("keys", {"a": b"x"}, {}, {"a": "x25519"})
    assert made_files(typed).types == {"a": "x25519"}
    assert made_files(None).files == {}


@pytest.mark.parametrize("note", ["true", "no JSON", '{"a": null}', '{"a": "1"}', '{"a": -1}', '{"a": true}'])
def test_a_note_that_somebody_edited_makes_nothing_anew(note):
    edited = secret("keys", {"a": b"x"}, {})
    edited["metadata"]["annotations"]["trustedpods.dev/made-here"] = note
    with pytest.raises(Refused, match="Secret keys cannot be read") as caught:
        made_files(edited)
    assert caught.value.rule == "generated-key"

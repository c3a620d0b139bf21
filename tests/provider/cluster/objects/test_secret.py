# SPDX-License-Identifier: Apache-2.0
"""What a pod finds in its secret volumes."""

import json
from base64 import b64decode
from dataclasses import replace

from hypothesis import given

from tests.provider.cluster.strategies import by_kind, lives
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
    assert made_files(None).files == {}
    older = secret("keys", {"a": b"x"}, {})
    older["metadata"]["annotations"]["trustedpods.dev/made-here"] = "true"
    assert made_files(older).renewals == {}

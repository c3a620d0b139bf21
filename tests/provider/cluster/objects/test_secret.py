# SPDX-License-Identifier: Apache-2.0
"""What a pod finds in its secret volumes."""

import json
import re
import secrets
from base64 import b64decode
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.provider.cluster.strategies import by_kind, lives
from trustedpods.manifests.spec.volume import Generated
from trustedpods.provider.cluster.objects.secret import PULL_SECRET, PullLogin, with_generated


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


FORMS = {kind: Generated(type=kind, length=21) for kind in ("password", "hex", "bytes")}


@given(st.randoms(use_true_random=False))
def test_what_is_generated_has_its_form(source):
    made = with_generated(FORMS, [], source.randbytes)
    assert {len(value) for value in made.values()} == {21}
    assert re.fullmatch(b"[A-Za-z0-9]+", made["password"])
    assert re.fullmatch(b"[0-9a-f]+", made["hex"])


@given(st.randoms(use_true_random=False))
def test_what_was_made_once_is_kept(source):
    made = with_generated(FORMS, [], source.randbytes)
    assert with_generated(FORMS, [made], source.randbytes) == made


def test_another_form_is_made_anew():
    kept = dict.fromkeys(FORMS, b"no hex, 21 characters")
    made = with_generated(FORMS, [kept], secrets.token_bytes)
    assert made["bytes"] == kept["bytes"]
    assert made["hex"] != kept["hex"]
    assert made["password"] != kept["password"]
    assert (
        with_generated({"hex": Generated(type="hex", length=8)}, [{"hex": b"0" * 9}], secrets.token_bytes)[
            "hex"
        ]
        != b"0" * 9
    )


@given(st.randoms(use_true_random=False))
def test_the_first_that_has_the_form_is_taken(source):
    """A hex value of its length is a password too, and not the one that was made first."""
    first, second = (
        with_generated({"key": FORMS[kind]}, [], source.randbytes) for kind in ("password", "hex")
    )
    wanted = {"key": FORMS["password"]}
    assert with_generated(wanted, [first, second], source.randbytes) == first
    assert with_generated({"key": FORMS["bytes"]}, [{}, second], source.randbytes) == second


def test_each_letter_of_a_password_is_as_likely():
    """Every byte once: of 256 the last 8 would make 8 letters likelier."""
    rounds = iter([bytes(range(256)), bytes(248)])
    form = {"p": Generated(type="password", length=256)}
    made = with_generated(form, [], lambda _: next(rounds))["p"][:248]
    assert {made.count(letter) for letter in made} == {4}

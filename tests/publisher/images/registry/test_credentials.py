# SPDX-License-Identifier: Apache-2.0
"""Docker's own file and helpers are read as Docker reads them, and say what is wrong with them."""

import base64
import json
import os

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.images.registry.credentials import HUB_KEY, Credentials, credentials_of

ALICE = {"auth": base64.b64encode(b"alice:se:cret").decode()}
FOUND = Credentials("alice", "se:cret")


@pytest.fixture
def kept(tmp_path):
    """Keeps a file, or its text, and asks for the credentials of a host."""

    def ask(tree, host="r.example:5000"):
        (tmp_path / "config.json").write_text(tree if isinstance(tree, str) else json.dumps(tree))
        return credentials_of(host, {"DOCKER_CONFIG": str(tmp_path), "PATH": str(tmp_path)})

    return ask


@pytest.fixture
def helper(tmp_path):
    def make(script, name="docker-credential-mine"):
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    return make


@pytest.mark.parametrize(
    "key", ["r.example:5000", "https://r.example:5000", "https://r.example:5000/v1/", "http://r.example:5000"]
)
def test_an_entry_is_found_under_every_form_of_its_host(kept, key):
    assert kept({"auths": {"other.example": {}, key: ALICE}}) == FOUND


@pytest.mark.parametrize("key", [HUB_KEY, "index.docker.io", "docker.io"])
def test_the_entry_of_docker_hub(kept, key):
    assert kept({"auths": {key: ALICE}}, "docker.io") == FOUND


def test_forms_of_an_entry(kept):
    key = "r.example:5000"
    assert kept({"auths": {key: {"identitytoken": "t", **ALICE}}}) == Credentials("", "t")
    assert kept({"auths": {key: {"username": "a", "password": "b"}}}) == Credentials("a", "b")
    assert kept({"auths": {"r.example": ALICE, "r.example:5001": ALICE}}) is None
    assert kept({"auths": {key: {}}}) is kept({}) is kept("") is None


def test_no_file_is_nobody(tmp_path):
    assert credentials_of("r.example", {"HOME": str(tmp_path)}) is None
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {"r.example": ALICE}}))
    assert credentials_of("r.example", {"HOME": str(tmp_path)}) == FOUND


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ({"auths": {"r.example:5000": {"auth": "%%"}}}, "is damaged"),
        ({"auths": {"r.example:5000": {"auth": base64.b64encode(b"alice").decode()}}}, "is damaged"),
        ({"auths": {"r.example:5000": {"identitytoken": 7}}}, "is no text"),
        ({"credsStore": "../x"}, "not the name of a credential helper"),
        ({"credsStore": ["x"]}, "not the name of a credential helper"),
        ({"credsStore": "desktop"}, "docker-credential-desktop has the password"),
        (" " * 2_000_000, "larger than"),
    ],
)
def test_what_is_wrong_is_one_line(kept, tree, said):
    with pytest.raises(BadInput, match=said.replace("(", r"\(")) as caught:
        kept(tree)
    assert caught.value.where


def test_a_helper_is_asked_by_its_protocol(kept, helper):
    helper('read host; echo "{\\"Username\\": \\"$1\\", \\"Secret\\": \\"$host\\"}"')
    assert kept({"credsStore": "mine", "auths": {"r.example:5000": ALICE}}) == Credentials(
        "get", "r.example:5000"
    )
    assert kept({"credHelpers": {"docker.io": "mine"}}, "docker.io") == Credentials("get", HUB_KEY)
    assert kept({"credHelpers": {"other": "mine"}, "auths": {"r.example:5000": ALICE}}) == FOUND


def test_a_helpers_identity_token(kept, helper):
    helper('echo \'{"Username": "<token>", "Secret": "t"}\'')
    assert kept({"credsStore": "mine"}) == Credentials("", "t")


def test_a_helper_that_knows_nobody(kept, helper):
    helper("echo 'credentials not found in native keychain'; exit 1")
    assert kept({"credsStore": "mine"}) is None


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo no bus >&2; exit 1", "no bus"), ("echo '{}'", "no Username"), ("echo '['", "no Username")],
)
def test_a_helper_that_fails(kept, helper, script, said):
    helper(script)
    with pytest.raises(BadInput, match=said) as caught:
        kept({"credsStore": "mine"})
    assert caught.value.where == "docker-credential-mine"


def test_a_secret_is_in_no_text():
    assert "cret" not in repr(FOUND)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_cannot_be_read(kept, tmp_path):
    kept({})
    (tmp_path / "config.json").chmod(0)
    with pytest.raises(BadInput, match="cannot read"):
        credentials_of("r.example", {"DOCKER_CONFIG": str(tmp_path)})

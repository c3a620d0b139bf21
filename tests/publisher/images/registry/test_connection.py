# SPDX-License-Identifier: Apache-2.0
"""Tokens, passwords, redirects, retries: what is told to whom, and what a person reads when it fails."""

import pytest

from tests.fakes.images.oci_images import ImageFiles, digest
from tests.fakes.images.registry import TOKEN, FakeRegistry, serving
from trustedpods.protocol.errors import BadInput, NetworkFailure
from trustedpods.protocol.images.references import parse_reference
from trustedpods.publisher.images.registry.connection import Patience, Registry
from trustedpods.publisher.images.registry.credentials import Credentials

ALICE = Credentials("alice", "secret")


@pytest.fixture
def registry():
    with serving(FakeRegistry()) as served:
        served.put(ImageFiles())
        yield served


class Asked:
    """One connection, what it paused, and the credentials that it was given."""

    def __init__(self, registry, known=None, **patience):
        self.paused, self.hosts, self.known = [], [], known
        self.door = Registry(
            parse_reference(f"{registry.host}/team/app:1"),
            self.credentials,
            Patience(pause=self.paused.append, answer=5, **patience),
        )

    def credentials(self, host):
        self.hosts.append(host)
        return self.known

    def manifest(self):
        with self.door:
            return self.door.manifest()[0]

    def blob(self, data):
        made = bytearray()

        def write(offset, piece):
            made[offset:] = piece

        with self.door:
            self.door.blob(digest(data), len(data), 0, write)
        return bytes(made)


def refused(asked, error=BadInput):
    with pytest.raises(error) as caught:
        asked.manifest()
    assert "team/app:1" in str(caught.value) or caught.value.where
    assert caught.value.hint
    return f"{caught.value} ({caught.value.hint})"


def test_nobody_is_told_anything_where_nothing_is_asked(registry):
    asked = Asked(registry, ALICE)
    asked.manifest()
    assert (asked.hosts, {one.authorization for one in registry.seen}) == ([], {None})


def test_a_token_is_fetched_once_and_for_pulling_alone(registry):
    registry.asks_for, registry.user = "bearer", "alice:secret"
    asked = Asked(registry, ALICE)
    with asked.door:
        asked.door.manifest()
        asked.door.manifest()
    assert asked.hosts == [registry.host]
    (token,) = [one for one in registry.seen if one.path.startswith("/token")]
    assert token.path == "/token?service=the+fake&scope=repository%3Ateam%2Fapp%3Apull"
    assert [one.authorization for one in registry.seen if "manifests" in one.path] == [
        None,
        f"Bearer {TOKEN}",
        f"Bearer {TOKEN}",
    ]


def test_a_token_for_anybody(registry):
    registry.asks_for = "bearer"
    asked = Asked(registry)
    asked.manifest()
    assert [one.authorization for one in registry.seen if "token" in one.path] == [None]


def test_an_identity_token_is_traded_and_never_in_an_address(registry):
    registry.asks_for, registry.identity_token = "bearer", "long-lived"
    Asked(registry, Credentials("", "long-lived")).manifest()
    (token,) = [one for one in registry.seen if one.path.startswith("/token")]
    assert (token.method, "refresh_token=long-lived" in token.form) == ("POST", True)
    assert not any("long-lived" in one.path for one in registry.seen)


def test_a_password_where_that_is_asked_for(registry):
    registry.asks_for, registry.user = "basic", "alice:secret"
    Asked(registry, ALICE).manifest()
    said = refused(Asked(registry))
    assert "not logged in" in said
    assert f"docker login {registry.host}" in said


def test_a_wrong_password_is_one_line_that_says_who_asks(registry):
    registry.asks_for, registry.user = "bearer", "bob:other"
    said = refused(Asked(registry, ALICE))
    assert "docker login" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "realm",
    ["http://tokens.example/", "https://a:b@tokens.example/", "ftp://127.0.0.1/", "//x", "https://[/"],
)
def test_a_realm_in_the_clear_is_sent_nothing(registry, realm):
    registry.asks_for, registry.realm = "bearer", realm
    asked = Asked(registry, ALICE)
    with pytest.raises(BadInput, match="nothing was sent there"):
        asked.manifest()


def test_another_host_never_learns_who_asks(registry):
    registry.asks_for, registry.user = "bearer", "alice:secret"
    with serving(FakeRegistry(blobs=registry.blobs)) as other:
        registry.redirect = f"http://{other.host}/elsewhere/"
        data = ImageFiles().config
        assert Asked(registry, ALICE).blob(data) == data
        assert [one.authorization for one in other.seen] == [None]


def test_a_place_that_it_leads_to_is_not_logged_in_at(registry):
    """Its challenge would name a token server of its own."""
    with serving(FakeRegistry(asks_for="bearer")) as other:
        registry.redirect = f"http://{other.host}/v2/team/app/blobs/"
        with pytest.raises(BadInput):
            Asked(registry, ALICE).blob(ImageFiles().config)
        assert [(one.path.split("/")[1], one.authorization) for one in other.seen] == [("v2", None)]


def test_no_proxy_hears_of_a_registry_of_this_machine(registry, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert Asked(registry).manifest() == ImageFiles().manifest


@pytest.mark.parametrize("place", ["http://elsewhere.example/", "ftp://127.0.0.1/"])
def test_a_redirect_into_the_clear_is_not_followed(registry, place):
    registry.redirect = place
    with pytest.raises(BadInput, match="not https"):
        Asked(registry).blob(ImageFiles().config)


def test_a_ring_of_redirects_ends(registry):
    registry.redirect = f"http://{registry.host}/v2/team/app/blobs/"
    with pytest.raises(NetworkFailure, match="redirects"):
        Asked(registry).blob(ImageFiles().config)


def test_what_may_pass_is_asked_for_again(registry):
    registry.statuses = [(503, {}), (429, {"retry-after": "3"}), (500, {})]
    asked = Asked(registry)
    asked.manifest()
    assert asked.paused == [0.5, 3.0, 2.0]


def test_a_registry_that_is_asked_too_often_says_how_long(registry):
    registry.statuses = [(429, {"retry-after": "3600"})]
    asked = Asked(registry)
    said = refused(asked, NetworkFailure)
    assert "429" in said
    assert "docker login" in said
    assert asked.paused == []


def test_no_registry_is_asked_for_ever(registry):
    registry.statuses = [(503, {})] * 9
    asked = Asked(registry)
    with pytest.raises(NetworkFailure, match="answered 503"):
        asked.manifest()
    assert len(asked.paused) == 3


@pytest.mark.parametrize(
    ("status", "said"), [(404, "no such image"), (403, "docker login"), (401, "not known here")]
)
def test_a_refusal_is_one_line_with_what_to_do(registry, status, said):
    registry.statuses = [(status, {})] * 2
    assert said in refused(Asked(registry))


def test_a_registry_that_is_not_there():
    with serving(FakeRegistry()) as gone:
        pass
    asked = Asked(gone)
    said = refused(asked, NetworkFailure)
    assert "cannot be reached" in said
    assert "oci-archive:FILE" in said


def test_a_document_without_an_end_is_cut(registry):
    registry.document(b"{" + b" " * (5 * 2**20), "application/vnd.oci.image.index.v1+json", "1")
    with pytest.raises(BadInput, match="more than"):
        Asked(registry).manifest()


def test_what_breaks_off_is_gone_on_with(registry):
    data = b"0123456789" * 50
    registry.blobs[digest(data)] = data
    registry.cut_after = [7, 13, 1]
    assert Asked(registry).blob(data) == data
    assert [one.range for one in registry.blob_requests()] == [None, "bytes=7-", "bytes=20-", "bytes=21-"]

# SPDX-License-Identifier: Apache-2.0
"""References in files: each field, what stays as it is, what is refused and where, and the bounds."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.provider.pods import a_manifest
from tests.protocol.networks.books import a_book, entry
from trustedpods.manifests import rendering
from trustedpods.manifests.rendering import MAX_REFERENCES, WrongReference, followed, references, rendered
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.sealing.trust_anchors import trust_anchor
from trustedpods.provider.core.generated.key_pairs import made_key, public_key

BOOK = a_book(
    entry("b", "p2p", 30303, published=30500),
    entry("b", "p2p", 30303, published=30500, transport="UDP"),
    entry("b", "web", 80, address="b.example", published=8443, identity=b"\x01\xff"),
    entry("b", "web", 81, address=""),
    entry("c", "rpc", 8545, address=""),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${node.b.p2p.name}", "b.shop.internal"),
        ("${node.b.p2p.port}", "30303"),
        ("${node.b.p2p.address}:${node.b.p2p.publishedPort}", "192.0.2.7:30500"),
        ("${node.b.p2p.url}", "tcp://192.0.2.7:30500"),
        ("${node.b.web:80.address}", "b.example"),
        ("${node.b.identity.hex}", "01ff"),
        ("${node.b.identity.base64}", "Af8="),
        ("$${node.c.identity.hex}", "${node.c.identity.hex}"),
        ("${node.c.rpc.address}:${node.c.rpc.publishedPort}", "c.shop.internal:8545"),
        ("${node.c.rpc.url}", "tcp://c.shop.internal:8545"),
        ("$${node.b.web.port}", "${node.b.web.port}"),
        ("${HOME} {{ x }} $(A) ${nodes.b} ${node} $$", "${HOME} {{ x }} $(A) ${nodes.b} ${node} $$"),
    ],
)
def test_values(text, value):
    assert rendered(f"<{text}>", BOOK) == f"<{value}>"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${node.x.web.port}", "calls no node 'x'"),
        ("${node.b.api.port}", "no exposed service 'api'"),
        ("${node.b.web.port}", "several ports: write web:PORT"),
        ("${node.b.web:82.port}", "no port 82"),
        ("${node.b.web:80.colour}", "no reference"),
        ("${node.b.web", "no reference"),
        ("${node.}", "no reference"),
        ("${node.b.web.identity}", "no reference"),
        ("${node.b.web.hex}", "no reference"),
        ("${node.b.identity:80.hex}", "no reference"),
        ("${node.x.identity.hex}", "calls no node 'x'"),
        ("${node.b.web:80.address.more}", "no reference"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, why):
    with pytest.raises(WrongReference, match=why) as caught:
        rendered(f"ab {text}", BOOK)
    assert caught.value.at == 3


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a\n x ${node.c.identity.hex} y\nb\n", "a\nb\n"),
        ("${node.c.identity.hex}${node.c.identity.pem}\n${node.b.identity.hex}", "01ff"),
        ("a\n${node.b.identity.hex} ${node.c.identity.hex}", "a\n"),
        ("${node.c.identity.hex}", ""),
        ("${node.b.identity.enodeId}\na", "a"),
        ("\n${node.c.identity.hex}\n\n${node.c.identity.hex}\n", "\n\n"),
    ],
)
def test_a_line_about_what_nobody_confirmed_is_left_out(text, made):
    assert rendered(text, BOOK) == made


def test_an_identity_changes_files_as_an_address_does():
    volume = {"name": "one", "secret": {"files": {"a": "a"}, "rendered": ["a"]}}
    manifest = a_manifest(network={"nodes": ["b"]}, volumes=[volume])
    assert followed(manifest, {"one": {"a": b"${node.b.identity.hex}"}}) == {"b": "restart"}


KEYS = [public_key(made_key(kind, lambda size: b"\x07" * size)) for kind in ("p256", "secp256k1", "ed25519")]


def test_ca_certificates_stand_for_the_names_by_which_nodes_are_called_here():
    tls, other = KEYS[:2]
    book = a_book(entry("acme-one", identity=tls), entry("b", identity=other), entry("c"))
    anchor = trust_anchor(tls, ("acme-one.shop.internal",))
    assert rendered("<${node.acme-one.identity.ca}>", book) == f"<{anchor}>"
    assert rendered("a\n${node.b.identity.ca}\n${node.c.identity.ca}\nb", book) == "a\nb"
    assert rendered("${node.*.identity.ca}\n", book) == f"{anchor}\n"
    assert rendered("a\n${node.*.identity.ca}\n", a_book(entry("b", identity=other))) == "a\n"


def test_nodes_that_say_they_have_one_key_share_a_certificate():
    """Else who copies another owner's key would put his own certificate before it, by the same name."""
    book = a_book(*(entry(node, identity=KEYS[0]) for node in ("acme-one", "bolt-one")))
    both = trust_anchor(KEYS[0], ("acme-one.shop.internal", "bolt-one.shop.internal"))
    assert rendered("${node.*.identity.ca}", book) == both
    assert rendered("${node.bolt-one.identity.ca}", book) == both


@pytest.mark.parametrize("text", ["${node.*.identity.hex}", "${node.*.web.port}", "${node.*.identity:1.ca}"])
def test_of_all_nodes_there_are_ca_certificates_alone(text):
    with pytest.raises(WrongReference, match="is no reference"):
        rendered(text, BOOK)


def test_ca_certificates_of_all_follow_the_nodes_that_are_named():
    volume = {"name": "one", "secret": {"files": {"a": "a"}, "rendered": ["a"], "onChange": "reload"}}
    manifest = a_manifest(network={"nodes": ["b", "c"], "linkedNodes": 2}, volumes=[volume])
    assert followed(manifest, {"one": {"a": b"${node.*.identity.ca}"}}) == {"b": "reload", "c": "reload"}


@given(st.binary(max_size=128), st.binary(max_size=128))
def test_whatever_nodes_say_they_are_known_by_makes_whole_certificates(one, other):
    made = rendered("${node.*.identity.ca}", a_book(entry("b", identity=one), entry("c", identity=other)))
    assert made.count("BEGIN CERTIFICATE") == made.count("END CERTIFICATE")


def test_references_are_found_in_order():
    found = list(references("${node.b.web:80.port} $${node.x.y.port} ${node.c.rpc.name}"))
    assert [(one.node, one.service, one.port, one.field) for one in found] == [
        ("b", "web", 80, "port"),
        ("c", "rpc", None, "name"),
    ]


def test_what_comes_out_is_bounded_and_takes_linear_time():
    one = "${node.c.rpc.url}"
    with pytest.raises(BadInput, match="256 KiB"):
        rendered((one + "x" * 60) * (MAX_REFERENCES - 1), BOOK)
    hostile = "${node." * 150_000
    began = time.process_time()
    with pytest.raises(WrongReference):
        rendered(hostile, BOOK)
    assert rendered("$" * 250_000, BOOK) == "$" * 250_000
    assert time.process_time() - began < 2


def test_a_file_has_no_more_references_than_are_looked_up_in_a_moment():
    one = "${node.c.rpc.name}\n"
    assert rendered(one * MAX_REFERENCES, BOOK).count("\n") == MAX_REFERENCES
    for many in (one, "$" + one):
        with pytest.raises(WrongReference, match="more than 4096 references"):
            rendered(many * (MAX_REFERENCES + 1), BOOK)
        with pytest.raises(WrongReference, match="more than 4096 references"):
            list(references(many * (MAX_REFERENCES + 1)))


@given(st.text())
def test_any_text_is_rendered_or_refused(text):
    try:
        made = rendered(text, BOOK)
    except WrongReference:
        return
    assert made == text or "${node." in text


def test_every_field_has_a_value():
    assert set(rendering.FIELDS) == set(rendering._VALUES)


def test_which_nodes_moves_change_files_and_what_follows():
    texts = {"a": b"${node.b.web.address} ${node.c.web.name}", "z": b"${node.b.web.url} ${node.d.web.url}"}
    volumes = [
        {"name": "one", "secret": {"files": {"a": "a"}, "rendered": ["a"]}},
        {"name": "two", "secret": {"files": {"z": "z"}, "rendered": ["z"], "onChange": "reload"}},
    ]
    manifest = a_manifest(network={"nodes": ["b", "c", "d"]}, volumes=volumes)
    secrets = {"one": {"a": texts["a"]}, "two": {"z": texts["z"]}}
    assert followed(manifest, secrets) == {"b": "restart", "d": "reload"}

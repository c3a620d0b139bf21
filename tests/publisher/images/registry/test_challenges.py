# SPDX-License-Identifier: Apache-2.0
"""What a registry asks for is read as RFC 9110 writes it, or refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.images.registry.challenges import (
    Challenge,
    checked_realm,
    is_loopback,
    parse_challenge,
)

KNOWN = {
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull"': (
        Challenge("bearer", "https://auth.docker.io/token", "registry.docker.io")
    ),
    "bearer realm=https://a.example/t": Challenge("bearer", "https://a.example/t", ""),
    'Basic realm="x", Bearer realm="https://a.example/t", service=s': (
        Challenge("bearer", "https://a.example/t", "s")
    ),
    'Basic realm="a \\"quoted\\" one"': Challenge("basic", 'a "quoted" one', ""),
    "Basic": Challenge("basic", "", ""),
    'Negotiate, Basic realm="x"': Challenge("basic", "x", ""),
}


@pytest.mark.parametrize("header", KNOWN)
def test_a_challenge_is_read(header):
    assert parse_challenge(header, "r.example") == KNOWN[header]


@pytest.mark.parametrize("header", ["", "Negotiate", "Bearer", "Bearer service=s", "Basic" + " " * 5000, '"'])
def test_what_cannot_be_met_is_refused(header):
    with pytest.raises(BadInput) as caught:
        parse_challenge(header, "r.example")
    assert caught.value.hint


@settings(max_examples=examples(500))
@given(st.text('Bearbsic="\\, \t', max_size=200) | st.text(max_size=60))
def test_any_header_is_read_or_refused(header):
    try:
        found = parse_challenge(header, "r.example")
    except BadInput:
        return
    assert found.scheme in {"basic", "bearer"}


def test_a_long_header_costs_little():
    with pytest.raises(BadInput):
        parse_challenge("a" * 4000 + "=" * 96, "r.example")


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True), ("localhost:5000", True), ("127.0.0.1:5000", True), ("[::1]:5000", True),
        ("127.9.9.9", True), ("127.0.0.1.example", False), ("localhost.example", False), ("10.0.0.1", False),
        ("[::2]", False), ("a/localhost", False), ("[", False),
    ],
)  # fmt: skip
def test_only_this_machine_is_loopback(host, here):
    assert is_loopback(host) is here


def test_a_realm_here_is_for_a_registry_here():
    assert checked_realm("http://127.0.0.1:1/t", "localhost:5000") == "http://127.0.0.1:1/t"
    with pytest.raises(BadInput):
        checked_realm("http://127.0.0.1:1/t", "r.example")

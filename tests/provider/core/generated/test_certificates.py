# SPDX-License-Identifier: Apache-2.0
"""Certificates of a node's key: kept while they are good, renewed in time, and made anew for another name."""

import secrets
from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.manifests.spec.volume import Generated
from trustedpods.protocol.errors import Refused
from trustedpods.provider.core.generated.certificates import (
    RENEWED_BEFORE,
    VALID_FOR,
    any_due,
    with_certificates,
)
from trustedpods.provider.core.generated.key_pairs import private_file, private_key
from trustedpods.provider.core.generated.values import MadeFiles, with_generated

NOW = 1_800_000_000
GOOD_S = int((VALID_FOR - RENEWED_BEFORE).total_seconds())
"""From its making to its renewal."""


def wanted(**names):
    certificates = names or {"tls": "one.ring.internal"}
    form = Generated(type="p256", encoding="pem", identity=True, certificates=certificates)
    return {"tls.key": form, "password": Generated()}


def made(forms, *kept, now=NOW):
    values = with_generated(forms, kept, secrets.token_bytes)
    return with_certificates(forms, values, kept, secrets.token_bytes, now)


def test_a_certificate_is_of_its_key_and_name():
    files = made(wanted()).files
    found = x509.load_pem_x509_certificate(files["tls"])
    key = private_key(files["tls.key"], "p256")
    assert found.public_key() == key.public_key()
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["one.ring.internal"]
    assert found.not_valid_after_utc == datetime.fromtimestamp(NOW, UTC) + VALID_FOR
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    found.verify_directly_issued_by(_self_issued(found, key))


def _self_issued(leaf, key):
    from cryptography.hazmat.primitives.hashes import SHA256

    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    return x509.CertificateBuilder(leaf.issuer, leaf.issuer, key.public_key(), 1, start, end).sign(
        key, SHA256()
    )


@pytest.mark.parametrize(("later", "same"), [(0, True), (GOOD_S - 1, True), (GOOD_S, False), (-3601, False)])
def test_it_is_kept_until_a_month_before_its_end(later, same):
    first = made(wanted())
    assert any_due(wanted(), first, NOW + later) is not same
    second = made(wanted(), first, now=NOW + later)
    assert (second == first) is same
    assert second.files["tls.key"] == first.files["tls.key"]
    assert not any_due(wanted(), second, NOW + later)


def test_another_name_or_key_takes_another_certificate():
    first = made(wanted())
    renamed = made(wanted(tls="two.ring.internal"), first)
    assert renamed.files["tls"] != first.files["tls"]
    assert renamed.files["tls.key"] == first.files["tls.key"]
    other = private_file(private_key(made(wanted()).files["tls.key"], "p256"), "pem")
    assert any_due(wanted(), MadeFiles({**first.files, "tls.key": other}), NOW)


def test_each_name_has_a_file_of_its_own():
    files = made(wanted(tls="one.ring.internal", far="acme-one.ring.internal")).files
    assert set(files) == {"tls.key", "password", "tls", "far"}
    assert files["tls"] != files["far"]


def test_the_first_that_is_good_for_long_enough_is_taken():
    """Of the version that was proven last, then of the one in its place."""
    old = made(wanted())
    new = made(wanted(), old, now=NOW + GOOD_S)
    assert made(wanted(), old, new, now=NOW + GOOD_S).files == new.files
    assert made(wanted(), old, new).files == old.files


@given(st.binary(max_size=5000))
def test_whatever_else_stands_there_is_due(content):
    first = made(wanted())
    held = MadeFiles({**first.files, "tls": content})
    assert any_due(wanted(), held, NOW)
    assert made(wanted(), held).files["tls"].startswith(b"-----BEGIN CERTIFICATE-----")


def test_nothing_is_due_of_a_pod_that_was_not_made():
    assert not any_due(wanted(), MadeFiles(), NOW)


def test_a_key_that_is_none_any_more_is_refused():
    first = made(wanted())
    with pytest.raises(Refused, match=r"tls.key holds no p256 key any more") as caught:
        any_due(wanted(), MadeFiles({**first.files, "tls.key": b"no key"}), NOW)
    assert caught.value.rule == "generated-key"

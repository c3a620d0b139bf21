# SPDX-License-Identifier: Apache-2.0
"""Which certificates of publishers the facade takes: one that it cannot load keeps it from starting."""

from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from trustedpods.protocol.errors import Refused
from trustedpods.provider.facade.certificates import (
    MAX_CHAIN,
    VALID,
    as_read,
    certificate_of,
    certificate_pem,
    key_pem,
)

NAME = "www.own.example"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


SHA256 = hashes.SHA256()


def made(key, digest=SHA256, signer=None):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).serial_number(7)
    builder = builder.public_key(key.public_key()).not_valid_before(NOW).not_valid_after(NOW + VALID)
    names = x509.SubjectAlternativeName([x509.DNSName(NAME)])
    return builder.add_extension(names, critical=False).sign(signer or key, digest)


def taken(key, *chain):
    return certificate_of(b"".join(map(certificate_pem, chain)), key_pem(key), [NAME], NOW)


def refused(key, *chain):
    with pytest.raises(Refused) as caught:
        taken(key, *chain)
    assert caught.value.rule == "tls"


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_rsa_that_is_served(bits):
    key = rsa.generate_private_key(65537, bits)
    assert taken(key, made(key)).names == (NAME,)


@pytest.mark.parametrize("curve", [ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def test_curves_that_are_served(curve):
    key = ec.generate_private_key(curve())
    assert taken(key, made(key)).names == (NAME,)


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 1024),
        lambda: rsa.generate_private_key(65537, 2040),
        lambda: rsa.generate_private_key(65537, 4104),
        lambda: ec.generate_private_key(ec.SECP192R1()),
        lambda: ec.generate_private_key(ec.SECP224R1()),
        lambda: ec.generate_private_key(ec.SECP256K1()),
        lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
    ],
)
def test_keys_that_are_not_loaded_or_cost_too_much(make):
    key = make()
    refused(key, made(key))
    good = ec.generate_private_key(ec.SECP256R1())
    refused(good, made(good, signer=key), made(key))  # nor behind a good one in its chain


def test_signatures_that_are_not_loaded():
    key = rsa.generate_private_key(65537, 2048)
    refused(key, made(key, hashes.SHA224()))


def test_a_chain_has_an_end_and_one_kind_of_signature():
    key, other = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    taken(key, *[made(key)] * MAX_CHAIN)
    refused(key, *[made(key)] * (MAX_CHAIN + 1))
    refused(key, made(key, None, signer=other))


def test_one_that_has_expired_is_shown_but_not_taken():
    key = ec.generate_private_key(ec.SECP256R1())
    chain, late = certificate_pem(made(key)), NOW + 2 * VALID
    with pytest.raises(Refused):
        certificate_of(chain, key_pem(key), [NAME], late)
    assert certificate_of(chain, key_pem(key), [NAME], None).names == (NAME,)


@pytest.mark.parametrize(
    ("common", "others", "beyond"),
    [
        (NAME, [], None),
        ("victim.example", [], "victim.example"),
        (NAME, [x509.DNSName("*.own.example")], r"\*.own.example"),
        (NAME, [x509.IPAddress(IPv4Address("192.0.2.1"))], "192.0.2.1"),
    ],
)
def test_a_controller_is_given_no_certificate_for_other_names(common, others, beyond):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).serial_number(7)
    builder = builder.public_key(key.public_key()).not_valid_before(NOW).not_valid_after(NOW + VALID)
    names = x509.SubjectAlternativeName([x509.DNSName(NAME), *others])
    chain = certificate_pem(builder.add_extension(names, critical=False).sign(key, SHA256))
    certificate_of(chain, key_pem(key), [NAME], NOW)  # the facade goes by its own books
    if beyond is None:
        certificate_of(chain, key_pem(key), [NAME], NOW, alone=True)
        return
    with pytest.raises(Refused, match=f"tls.crt is for '{beyond}' too"):
        certificate_of(chain, key_pem(key), [NAME], NOW, alone=True)


def test_a_controller_is_given_what_was_read_and_nothing_beside_it():
    """Go skips what has the older label: it would show the second certificate, which nobody looked at."""
    key = ec.generate_private_key(ec.SECP256R1())
    first, second = certificate_pem(made(key)), certificate_pem(made(key))
    older = first.replace(b" CERTIFICATE", b" X509 CERTIFICATE")
    other = key_pem(ec.generate_private_key(ec.SECP256R1()))
    chain, private = as_read(b"a note\r\n" + older + second, key_pem(key) + other)
    assert (chain, private) == (first + second, key_pem(key))
    with pytest.raises(Refused):
        as_read(b"no certificate", key_pem(key))

# SPDX-License-Identifier: Apache-2.0
"""A key as a CA certificate: in one form for ever, for exactly the names that who trusts it says."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import given
from hypothesis import strategies as st

from tests.paths import VECTORS
from tests.protocol.sealing.tls import handshake
from trustedpods.manifests.spec.volume import Generated
from trustedpods.protocol.networks.names import MAX_IDENTITY
from trustedpods.protocol.sealing.trust_anchors import issuer_of, trust_anchor
from trustedpods.provider.core.generated.certificates import with_certificates
from trustedpods.provider.core.generated.key_pairs import private_file
from trustedpods.provider.core.generated.values import MadeFiles

KEY = ec.derive_private_key(7, ec.SECP256R1())
OTHER = ec.derive_private_key(8, ec.SECP256R1())
NAME = "acme-one.ring.internal"
LATER = timedelta(days=1)
NOW = int(datetime.now(UTC).timestamp())


def known(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate(key, name):
    """As the machine of the node with *key* makes it."""
    form = Generated(type="p256", encoding="pem", identity=True, certificates={"tls.pem": name})
    made = MadeFiles({"tls.key": private_file(key, "pem")})
    return with_certificates({"tls.key": form}, made, [], lambda size: b"\x01" * size, NOW).files["tls.pem"]


def test_the_form_is_frozen():
    """What is rendered of a key must not change: replicas would restart for it."""
    made = trust_anchor(known(KEY), (NAME, "bolt-one.ring.internal"))
    assert made + "\n" == (VECTORS / "trust_anchor.pem").read_text()


def test_it_is_a_ca_of_its_names_alone():
    (found,) = x509.load_pem_x509_certificates(trust_anchor(known(KEY), (NAME,)).encode())
    basic = found.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    bounds = found.extensions.get_extension_for_class(x509.NameConstraints)
    assert bounds.critical
    nobody = [x509.RFC822Name("nobody.invalid"), x509.UniformResourceIdentifier("nobody.invalid")]
    assert bounds.value.permitted_subtrees == [x509.DNSName(NAME), *nobody]
    assert {str(one.value) for one in bounds.value.excluded_subtrees} == {"0.0.0.0/0", "::/0"}


@pytest.mark.parametrize("strict", [False, True])
def test_programs_take_a_node_for_itself_and_for_nobody_else(tmp_path, strict):
    bundle = "\n".join(
        [trust_anchor(known(OTHER), ("bolt-one.ring.internal",)), trust_anchor(known(KEY), (NAME,))]
    )
    pem = private_file(KEY, "pem")
    handshake(tmp_path, bundle, certificate(KEY, NAME), pem, NAME, strict=strict)
    theirs = "bolt-one.ring.internal"
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        handshake(tmp_path, bundle, certificate(KEY, theirs), pem, theirs, strict=strict)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(tmp_path, bundle, certificate(KEY, NAME), pem, theirs, strict=strict)


def signed_by_itself(*more):
    """What a node signs beside its provider: a certificate for its name, and for *more*."""
    issuer, public, now = issuer_of(KEY.public_key()), KEY.public_key(), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
    builder = x509.CertificateBuilder(issuer, subject, public, 7, now - timedelta(hours=1), now + LATER)
    names = x509.SubjectAlternativeName([x509.DNSName(NAME), *more])
    return builder.add_extension(names, critical=False).sign(KEY, SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (x509.DNSName("bolt-one.ring.internal"), "permitted subtree violation"),
        (x509.UniformResourceIdentifier("spiffe://ring/bolt"), "permitted subtree violation"),
        (x509.UniformResourceIdentifier("https://bolt-one.ring.internal/"), "permitted subtree violation"),
        (x509.UniformResourceIdentifier("urn:ring:bolt"), "unsupported or invalid name syntax"),
        (x509.RFC822Name("bolt@ring.internal"), "permitted subtree violation"),
        (x509.IPAddress(ip_address("192.0.2.7")), "excluded subtree violation"),
    ],
)
def test_no_name_of_another_kind_goes_along(tmp_path, more, why):
    bundle, pem = trust_anchor(known(KEY), (NAME,)), private_file(KEY, "pem")
    handshake(tmp_path, bundle, signed_by_itself(), pem, NAME)
    with pytest.raises(ssl.SSLCertVerificationError, match=why):
        handshake(tmp_path, bundle, signed_by_itself(more), pem, NAME)


def test_who_is_taken_out_of_the_bundle_is_nobody(tmp_path):
    bundle = trust_anchor(known(OTHER), (NAME,))
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        handshake(tmp_path, bundle, certificate(KEY, NAME), private_file(KEY, "pem"), NAME)


@given(st.binary(max_size=MAX_IDENTITY))
def test_what_is_no_key_of_p256_is_trusted_for_nothing(identity):
    assert trust_anchor(identity, (NAME,)) == ""


@pytest.mark.parametrize("curve", [ec.SECP256K1(), ec.SECP384R1()])
def test_keys_of_other_curves_are_none(curve):
    assert trust_anchor(known(ec.derive_private_key(7, curve)), (NAME,)) == ""


def test_a_key_has_one_form():
    """Else somebody gives another's key in another form, and the two are not seen to be one."""
    point = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    compressed = b"\x30\x39" + algorithm + b"\x03\x22\x00" + point
    assert load_der_public_key(compressed) == KEY.public_key()
    assert trust_anchor(compressed, (NAME,)) == ""


def test_a_key_without_a_name_is_trusted_for_nothing():
    assert trust_anchor(known(KEY), ()) == ""

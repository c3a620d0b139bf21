# SPDX-License-Identifier: Apache-2.0
"""A key as a CA certificate: in one form for ever, for exactly the names that who trusts it says."""

import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from hypothesis import given
from hypothesis import strategies as st

from tests.paths import VECTORS
from tests.protocol.sealing.tls import handshake
from trustedpods.manifests.spec.volume import Generated
from trustedpods.protocol.networks.names import MAX_IDENTITY
from trustedpods.protocol.sealing.trust_anchors import trust_anchor
from trustedpods.provider.core.generated.certificates import with_certificates
from trustedpods.provider.core.generated.key_pairs import private_file
from trustedpods.provider.core.generated.values import MadeFiles

KEY = ec.derive_private_key(7, ec.SECP256R1())
OTHER = ec.derive_private_key(8, ec.SECP256R1())
NAME = "acme-one.ring.internal"
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
    assert bounds.value.permitted_subtrees == [x509.DNSName(NAME)]
    assert {str(one.value) for one in bounds.value.excluded_subtrees} == {"0.0.0.0/0", "::/0"}


def test_programs_take_a_node_for_itself_and_for_nobody_else(tmp_path):
    bundle = "\n".join(
        [trust_anchor(known(OTHER), ("bolt-one.ring.internal",)), trust_anchor(known(KEY), (NAME,))]
    )
    pem = private_file(KEY, "pem")
    handshake(tmp_path, bundle, certificate(KEY, NAME), pem, NAME)
    theirs = "bolt-one.ring.internal"
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        handshake(tmp_path, bundle, certificate(KEY, theirs), pem, theirs)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(tmp_path, bundle, certificate(KEY, NAME), pem, theirs)


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

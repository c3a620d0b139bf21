# SPDX-License-Identifier: Apache-2.0
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.protocol.attestation.pki import NOW, Cert, Pki
from trustedpods.protocol.attestation.simulated import (
    SimulatedMarket,
    SimulatedRoot,
    SimulatedSigner,
    issuer_digest,
    market_digest,
)
from trustedpods.protocol.attestation.snp.chain import load_vek
from trustedpods.protocol.attestation.snp.verifier import verify
from trustedpods.protocol.errors import BadInput, EvidenceRefused
from trustedpods.protocol.ids import address_from_bytes

REGISTRY = address_from_bytes(b"\x0a" * 20)
PAYMENTS = address_from_bytes(b"\x0b" * 20)
ROOT = SimulatedRoot.make(31337, REGISTRY, PAYMENTS, NOW)
DIGEST = market_digest(31337, REGISTRY, PAYMENTS)


def test_the_digest_of_a_market_is_frozen():
    assert DIGEST == "2bc2714a1b1ce5926696f4ee53fd4b9741a6b8a7"


@pytest.mark.parametrize(
    "other", [(31338, REGISTRY, PAYMENTS), (31337, PAYMENTS, REGISTRY), (31337, REGISTRY, REGISTRY)]
)
def test_every_part_of_a_market_counts(other):
    assert market_digest(*other) != DIGEST


def test_its_reports_pass_the_common_verifier():
    evidence = SimulatedSigner(ROOT.machine_pem).sign(b"\x07" * 64)
    vek = load_vek(evidence.certificates[0])
    market = SimulatedMarket(ROOT.chain_pem, 31337, REGISTRY, PAYMENTS)
    verified = verify(evidence.report, vek, market.roots, NOW)
    assert verified.report.report_data == b"\x07" * 64
    assert issuer_digest(vek) == DIGEST
    market.check(DIGEST)


def test_all_reports_of_a_machine_name_one_chip():
    signer, again = SimulatedSigner(ROOT.machine_pem), SimulatedSigner(ROOT.machine_pem)
    assert signer.sign(bytes(64)).report[0x1A0:0x1E0] == again.sign(b"\1" * 64).report[0x1A0:0x1E0]


def test_each_root_is_new():
    again = SimulatedRoot.make(31337, REGISTRY, PAYMENTS, NOW)
    assert again.chain_pem != ROOT.chain_pem
    assert "PRIVATE" not in ROOT.chain_pem
    assert ROOT.machine_pem.count("PRIVATE KEY") == 2  # one key: that of the chip


def test_evidence_of_another_market_is_foreign():
    market = SimulatedMarket(ROOT.chain_pem, 31337, REGISTRY, PAYMENTS)
    with pytest.raises(EvidenceRefused) as error:
        market.check(market_digest(31338, REGISTRY, PAYMENTS))
    assert error.value.rule == "foreign-localnet"


def test_a_root_carried_into_another_market_is_foreign():
    carried = SimulatedMarket(ROOT.chain_pem, 1, REGISTRY, PAYMENTS)
    for digest in (DIGEST, market_digest(1, REGISTRY, PAYMENTS)):
        with pytest.raises(EvidenceRefused) as error:
            carried.check(digest)
        assert error.value.rule == "foreign-localnet"


def test_real_certificates_have_no_market():
    _, vek = Pki().make()
    assert issuer_digest(vek) is None


def other_key() -> str:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode() + ROOT.machine_pem[ROOT.machine_pem.index("-----BEGIN CERT") :]


def rsa_machine() -> str:
    """A key that fits its certificate and signs no report."""
    pki = Pki()
    key = pki.keys["ask"].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = pki.certify(pki.keys["ask"], Cert())
    return (key + certificate.public_bytes(serialization.Encoding.PEM)).decode()


def without_chip() -> str:
    pki, key = Pki(), ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = pki.certify(key, Cert(chip=None))
    return (pem + certificate.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.mark.parametrize("pem", ["", "x", ROOT.chain_pem, other_key(), rsa_machine(), without_chip()])
def test_what_is_no_machine_is_bad_input(pem):
    with pytest.raises(BadInput):
        SimulatedSigner(pem)


@pytest.mark.parametrize("pem", ["", "x", ROOT.machine_pem])
def test_what_is_no_chain_is_bad_input(pem):
    with pytest.raises(BadInput):
        SimulatedMarket(pem, 31337, REGISTRY, PAYMENTS)

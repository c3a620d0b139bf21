# SPDX-License-Identifier: Apache-2.0
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization

from tests.protocol.attestation.evidence import IN_2025, IN_2026, certificate, read
from tests.protocol.attestation.pki import DAY, NOW, Pki, der
from trustedpods.protocol.attestation.snp import chain as snp_chain
from trustedpods.protocol.errors import BadInput, EvidenceRefused

# SHA-256 of the DER of AMD's roots, as published with the vectors (roots/README.md).
ARKS = {
    "Milan": "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
    "Genoa": "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
    "Turin": "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
}


def refused(check, *arguments, **keywords) -> str | None:
    with pytest.raises(EvidenceRefused) as error:
        check(*arguments, **keywords)
    return error.value.rule


def test_the_packaged_roots_are_amds():
    found = {
        product: pinned.ark.fingerprint(hashes.SHA256()).hex()
        for product, pinned in snp_chain.amd_roots().items()
    }
    assert found == ARKS


@pytest.mark.parametrize("product", ARKS)
def test_each_packaged_issuer_hangs_on_its_root(product):
    pinned = snp_chain.amd_roots()[product]
    assert snp_chain.common_name(pinned.ark.subject) == f"ARK-{product}"
    assert snp_chain.common_name(pinned.ask.subject) == f"SEV-{product}"
    assert snp_chain.common_name(pinned.asvk.subject) == f"SEV-VLEK-{product}"
    for issuer in (pinned.ark, pinned.ask, pinned.asvk):
        issuer.verify_directly_issued_by(pinned.ark)


def test_the_chain_of_a_real_turin_chip():
    vek = certificate("snp-turin-virtee-certs-only", "vcek_turin.der")
    pinned = snp_chain.amd_roots()["Turin"]
    assert snp_chain.check_chain(vek, pinned, IN_2025, vlek=False) == pinned.ask
    assert snp_chain.product_of_issuer(vek, snp_chain.amd_roots()) == "Turin"


def test_the_chain_of_a_real_cloud_until_it_expires():
    vek = certificate("snp-milan-vlek-trustee", "test-vlek.der")
    pinned = snp_chain.amd_roots()["Milan"]
    assert snp_chain.check_chain(vek, pinned, IN_2025, vlek=True) == pinned.asvk
    assert refused(snp_chain.check_chain, vek, pinned, IN_2026, vlek=True) == "validity"
    assert refused(snp_chain.check_chain, vek, pinned, IN_2025, vlek=False) == "chain"


@pytest.mark.parametrize("year", [2015, 2035])
def test_a_chain_outside_its_dates_is_refused(year):
    vek = certificate("snp-milan-virtee", "vcek_milan.der")
    now = datetime(year, 1, 1, tzinfo=UTC)
    assert refused(snp_chain.check_chain, vek, snp_chain.amd_roots()["Milan"], now, vlek=False) == "validity"


def test_no_clouds_key_without_its_issuer():
    vek = certificate("snp-milan-vlek-trustee", "test-vlek.der")
    pinned = snp_chain.amd_roots()["Milan"]
    without = snp_chain.ProductRoots(pinned.ark, pinned.ask)
    assert refused(snp_chain.check_chain, vek, without, IN_2025, vlek=True) == "chain"


@pytest.mark.parametrize(
    "raw",
    [b"", b"\0", b"x" * 2000, read("snp-genoa-azure-trustee", "vcek.pem"), bytes(16 * 1024)],
    ids=["empty", "zero", "text", "pem", "zeros"],
)
def test_what_is_no_der_certificate_is_refused(raw):
    assert refused(snp_chain.load_vek, raw) == "certificates"


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_chain_of_roots_has_two_or_three(count):
    pem = Pki().pinned.ark.public_bytes(serialization.Encoding.PEM) * count
    with pytest.raises(BadInput):
        snp_chain.ProductRoots.from_pem(pem, "roots.pem")


def test_an_issuer_that_is_not_pinned_has_no_product():
    _, vek = Pki("Genoa").make()
    assert snp_chain.product_of_issuer(vek, Pki("Milan").roots) is None


class TestRevocation:
    pki = Pki()
    other = Pki(offset=3)

    def check(self, crl: bytes, now: datetime = NOW) -> None:
        snp_chain.check_revocation(crl, self.pki.pinned.ask, self.pki.pinned.ark, now)

    def test_a_clean_list_passes(self):
        self.check(self.pki.crl())
        self.check(self.pki.crl(revoked=(1, 2, 3)))

    def test_a_revoked_issuer_is_refused(self):
        assert refused(self.check, self.pki.crl(revoked=(65537,))) == "revoked"

    def test_another_issuers_revocation_is_not_ours(self):
        self.check(self.pki.crl(revoked=(65538,)))

    @pytest.mark.parametrize("expiry", [NOW - timedelta(hours=1)])
    def test_an_expired_list_is_refused(self, expiry):
        assert refused(self.check, self.pki.crl(expiry=expiry)) == "revocation"

    def test_a_list_of_the_future_is_refused(self):
        assert refused(self.check, self.pki.crl(), NOW - 3 * DAY) == "revocation"

    def test_a_list_signed_by_another_is_refused(self):
        assert refused(self.check, self.pki.crl(signer=self.other.keys["ark"])) == "revocation"
        assert refused(self.check, Pki("Genoa").crl()) == "revocation"

    @pytest.mark.parametrize("raw", [b"", b"x" * 100, der(Pki().pinned.ark)])
    def test_what_is_no_list_is_refused(self, raw):
        assert refused(self.check, raw) == "revocation"

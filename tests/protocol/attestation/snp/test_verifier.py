# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.protocol.attestation.evidence import IN_2025, IN_2026, certificate, flipped, read
from tests.protocol.attestation.pki import CHIP, CPUID, DAY, NOW, OLDER_TCB, REPORT, TCB, VLEK, Cert, Pki
from trustedpods.protocol.attestation.snp.chain import amd_roots
from trustedpods.protocol.attestation.snp.report import GuestPolicy, Tcb
from trustedpods.protocol.attestation.snp.verifier import verify
from trustedpods.protocol.errors import EvidenceRefused

REAL = [
    ("snp-milan-google", "attestation.bin", "vcek.der", "Milan", IN_2025),
    ("snp-milan-virtee", "report_milan.hex", "vcek_milan.der", "Milan", IN_2025),
    ("snp-milan-trustee", "test-report.bin", "test-vcek.der", "Milan", IN_2025),
    ("snp-milan-vlek-trustee", "test-vlek-report.bin", "test-vlek.der", "Milan", IN_2025),
    ("snp-genoa-azure-trustee", "report.bin", "vcek.pem", "Genoa", IN_2025),
    ("snp-e2e-trustee", "report.bin", "vcek.der", "Genoa", IN_2025),
    ("snp-milan-dstack", "report.bin", "sev_snp_vcek.pem", "Milan", IN_2026),
]
GOOD = read("snp-milan-virtee", "report_milan.hex")
GOOD_VEK = certificate("snp-milan-virtee", "vcek_milan.der")
MILAN = Pki("Milan")
OTHER = Pki("Milan", offset=3)


def rule_of(raw, vek, roots, now=NOW, crl=None) -> str | None:
    with pytest.raises(EvidenceRefused) as error:
        verify(raw, vek, roots, now, crl)
    return error.value.rule


class TestRealReports:
    @pytest.mark.parametrize(("folder", "file", "vek", "product", "now"), REAL)
    def test_verifies(self, folder, file, vek, product, now):
        verified = verify(read(folder, file), certificate(folder, vek), amd_roots(), now)
        assert verified.product == product
        assert verified.vlek == ("vlek" in folder)
        assert verified.reported.snp > 0

    def test_a_debuggable_guest_is_genuine(self):
        """Policy has to refuse it; the signature cannot."""
        verified = verify(
            read("snp-milan-google", "attestation.bin"),
            certificate("snp-milan-google", "vcek.der"),
            amd_roots(),
            IN_2025,
        )
        assert verified.report.policy & GuestPolicy.DEBUG

    @pytest.mark.parametrize("file", ["test-vcek-invalid-legacy.der", "test-vcek-invalid-new.der"])
    def test_a_broken_certificate_is_refused(self, file):
        raw, vek = read("snp-milan-trustee", "test-report.bin"), certificate("snp-milan-trustee", file)
        assert rule_of(raw, vek, amd_roots(), IN_2025) == "chain"

    def test_another_chips_certificate_is_refused(self):
        vek = certificate("snp-milan-trustee", "test-vcek.der")
        assert rule_of(GOOD, vek, amd_roots(), IN_2025) == "signature"

    def test_another_products_certificate_is_refused(self):
        turin = certificate("snp-turin-virtee-certs-only", "vcek_turin.der")
        milan_v3 = read("snp-milan-dstack", "report.bin")
        assert rule_of(GOOD, turin, amd_roots(), IN_2025) == "signature"
        assert rule_of(milan_v3, turin, amd_roots(), IN_2026) == "chain"

    def test_without_a_pinned_root_it_is_refused(self):
        roots = {"Genoa": amd_roots()["Genoa"]}
        assert rule_of(GOOD, GOOD_VEK, roots, IN_2025) == "product"
        assert rule_of(GOOD, GOOD_VEK, {}, IN_2025) == "product"

    def test_an_expired_certificate_is_refused(self):
        _, file, vek, _, _ = REAL[3]
        folder = "snp-milan-vlek-trustee"
        assert rule_of(read(folder, file), certificate(folder, vek), amd_roots(), IN_2026) == "validity"

    @pytest.mark.parametrize(
        ("offset", "mask", "rule"),
        [
            (0x00, 1, "product"),  # version 3, which must have a CPUID
            (0x0A, 8, "signature"),  # guest policy: debug
            (0x30, 1, "signature"),  # privilege level
            (0x50, 1, "signature"),  # report data
            (0x90, 1, "signature"),  # measurement
            (0xC0, 1, "signature"),  # host data
            (0x186, 1, "signature"),  # reported firmware
            (0x1A0, 1, "signature"),  # chip id
            (0x1F0, 1, "signature"),  # launch firmware
            (0x2A0, 1, "signature"),  # r
            (0x2D5, 1, "signature"),  # padding of r
            (0x2E8, 1, "signature"),  # s
            (0x49F, 1, "signature"),  # behind the signature
        ],
    )
    def test_a_flipped_bit_is_refused(self, offset, mask, rule):
        assert rule_of(flipped(GOOD, offset, mask), GOOD_VEK, amd_roots(), IN_2025) == rule

    def test_a_signature_of_zeros_is_refused(self):
        assert rule_of(GOOD[:0x2A0] + bytes(512), GOOD_VEK, amd_roots(), IN_2025) == "signature"


class TestSyntheticReports:
    """Correctly signed, under a root that is pinned for the test."""

    @pytest.mark.parametrize("product", ["Milan", "Genoa"])
    def test_a_good_one_verifies(self, product):
        pki = Pki(product)
        raw, vek = pki.make(REPORT._replace(cpuid=CPUID[product]))
        verified = verify(raw, vek, pki.roots, NOW)
        assert verified.product == product
        assert verified.reported == Tcb(bootloader=4, tee=0, snp=24, microcode=219)
        assert not verified.revocation_checked

    def test_a_good_turin_verifies(self):
        pki, tcb, chip = Pki("Turin"), bytes([1, 4, 0, 24, 0, 0, 0, 219]), b"\xab" * 8
        report = REPORT._replace(
            cpuid=CPUID["Turin"],
            chip_id=chip.ljust(64, b"\0"),
            current_tcb=tcb,
            reported_tcb=tcb,
            committed_tcb=tcb,
            launch_tcb=tcb,
        )
        raw, vek = pki.make(report, Cert(versions=tcb, chip=chip))
        assert verify(raw, vek, pki.roots, NOW).reported.fmc == 1
        raw, vek = pki.make(report, Cert(versions=bytes([2]) + tcb[1:], chip=chip))
        assert rule_of(raw, vek, pki.roots) == "tcb-certificate"
        raw, vek = pki.make(report._replace(chip_id=CHIP), Cert(versions=tcb, chip=chip))
        assert rule_of(raw, vek, pki.roots) == "chip-id"

    def test_a_good_cloud_key_verifies(self):
        raw, vek = MILAN.make(REPORT._replace(key_info=VLEK, chip_id=bytes(64)))
        assert verify(raw, vek, MILAN.roots, NOW).vlek

    def test_a_chip_id_in_an_octet_string_verifies(self):
        raw, vek = MILAN.make(cert=Cert(chip=bytes([4, 64]) + CHIP))
        assert verify(raw, vek, MILAN.roots, NOW).report.chip_id == CHIP

    def test_version_2_is_told_by_its_issuer(self):
        raw, vek = MILAN.make(REPORT._replace(version=2, cpuid=bytes(3)))
        assert verify(raw, vek, MILAN.roots, NOW).product == "Milan"

    def test_a_clean_revocation_list_is_noted(self):
        raw, vek = MILAN.make()
        assert verify(raw, vek, MILAN.roots, NOW, MILAN.crl()).revocation_checked

    @pytest.mark.parametrize(
        ("crl", "rule"),
        [
            (MILAN.crl(revoked=(65537,)), "revoked"),
            (MILAN.crl(expiry=NOW - DAY), "revocation"),
            (MILAN.crl(signer=OTHER.keys["ark"]), "revocation"),
            (b"\x30\x00", "revocation"),
        ],
        ids=["issuer revoked", "expired", "other signer", "garbage"],
    )
    def test_a_bad_revocation_list_is_refused(self, crl, rule):
        raw, vek = MILAN.make()
        assert rule_of(raw, vek, MILAN.roots, crl=crl) == rule

    def test_other_roots_are_refused(self):
        raw, vek = MILAN.make()
        assert rule_of(raw, vek, amd_roots()) == "chain"
        assert rule_of(raw, vek, OTHER.roots) == "chain"

    @pytest.mark.parametrize(
        ("fields", "rule"),
        [
            ({"version": 1}, "report"),
            ({"version": 9}, "report"),
            ({"signature_algorithm": 2}, "signing-key"),
            ({"key_info": 7 << 2}, "signing-key"),
            ({"cpuid": CPUID["Genoa"]}, "product"),
            ({"cpuid": bytes([0x17, 1, 1])}, "product"),
            ({"reported_tcb": bytes([4, 0, 1, 0, 0, 0, 24, 219])}, "report"),
            ({"committed_tcb": b"\xff" * 8}, "report"),
            ({"launch_tcb": b"\xff" * 8}, "report"),
        ],
    )
    def test_a_bad_report_is_refused(self, fields, rule):
        raw, vek = MILAN.make(REPORT._replace(**fields))
        assert rule_of(raw, vek, MILAN.roots) == rule

    @pytest.mark.parametrize(
        ("cert", "rule"),
        [
            (Cert(versions=bytes([*TCB[:6], 25, 219])), "tcb-certificate"),
            (Cert(versions=OLDER_TCB), "tcb-certificate"),
            (Cert(without=("3.3",)), "tcb-certificate"),
            (Cert(raw={"3.3": b"\x04\x01\x18"}), "tcb-certificate"),
            (Cert(raw={"3.3": b"\x02\x02\x18"}), "tcb-certificate"),
            (Cert(raw={"3.3": b"\x02\x00"}), "tcb-certificate"),
            (Cert(raw={"3.3": b""}), "tcb-certificate"),
            (Cert(chip=b"\xac" * 64), "chip-id"),
            (Cert(chip=CHIP[:63]), "chip-id"),
            (Cert(chip=CHIP[:8]), "chip-id"),
            (Cert(chip=b""), "chip-id"),
            (Cert(without=("4",)), "chip-id"),
            (Cert(not_after=NOW - DAY), "validity"),
            (Cert(hash_algorithm=hashes.SHA256()), "chain"),
            (Cert(pkcs1=True), "chain"),
            (Cert(curve=ec.SECP256R1()), "signature"),
            (Cert(curve=ec.SECP521R1()), "signature"),
            (Cert(issuer_key="ark"), "chain"),
            (Cert(issuer_key="asvk"), "chain"),
            (Cert(issuer_key="asvk", issuer="SEV-Milan"), "chain"),
            (Cert(subject="ARK-Milan"), "chain"),
            (Cert(subject="SEV-VLEK"), "chain"),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )
    def test_a_bad_certificate_is_refused(self, cert, rule):
        raw, vek = MILAN.make(cert=cert)
        assert rule_of(raw, vek, MILAN.roots) == rule

    def test_a_signing_key_that_is_rsa_is_refused(self):
        raw, _ = MILAN.make()
        assert rule_of(raw, MILAN.certify(MILAN.keys["ask"], Cert()), MILAN.roots) == "signature"

    def test_an_expired_root_is_refused(self):
        expired = Pki(ark_expiry=NOW - DAY)
        raw, vek = expired.make()
        assert rule_of(raw, vek, expired.roots) == "validity"

    def test_a_root_that_is_not_its_own_issuer_is_refused(self):
        raw, vek = MILAN.make()
        swapped = replace(MILAN.pinned, ark=MILAN.pinned.ask)
        assert rule_of(raw, vek, {"Milan": swapped}) == "chain"

    def test_a_chips_certificate_for_a_clouds_report_is_refused(self):
        raw, vek = MILAN.make(REPORT._replace(key_info=VLEK), Cert())
        assert rule_of(raw, vek, MILAN.roots) == "chain"

    def test_a_masked_chip_id_is_refused(self):
        raw, vek = MILAN.make(REPORT._replace(chip_id=bytes(64)), Cert(chip=bytes(64)))
        assert rule_of(raw, vek, MILAN.roots) == "chip-id"

    def test_a_pinned_root_must_be_valid_itself(self):
        raw, vek = MILAN.make()
        swapped = {"Milan": replace(MILAN.pinned, ark=OTHER.pinned.ark)}
        assert rule_of(raw, vek, swapped) == "chain"
        assert rule_of(raw, vek, MILAN.roots, NOW + 9999 * DAY) == "validity"

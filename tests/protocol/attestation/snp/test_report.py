# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.attestation.evidence import flipped, read
from tests.protocol.attestation.pki import CPUID, REPORT, VLEK
from trustedpods.protocol.attestation.snp.report import REPORT_BYTES, SigningKey, SnpReport, Tcb
from trustedpods.protocol.errors import EvidenceRefused

GOOD = REPORT.pack().ljust(REPORT_BYTES, b"\0")


def changed(**fields) -> bytes:
    return REPORT._replace(**fields).pack().ljust(REPORT_BYTES, b"\0")


def test_fields_of_a_real_report():
    report = SnpReport.parse(read("snp-milan-virtee", "report_milan.hex"))
    assert (report.version, report.policy, report.vmpl) == (2, 0x30000, 0)
    assert Tcb.from_bytes(report.reported_tcb, "Milan") == Tcb(bootloader=3, tee=0, snp=8, microcode=115)
    assert report.signing_key is SigningKey.VCEK
    assert report.product is None


def test_report_data_where_its_maker_put_it():
    report = SnpReport.parse(read("snp-milan-dstack", "report.bin"))
    assert report.report_data.rstrip(b"\0") == b"attest-test-fixture-2026"


@pytest.mark.parametrize(
    ("folder", "file", "product"),
    [
        ("snp-milan-dstack", "report.bin", "Milan"),
        ("snp-genoa-azure-trustee", "report.bin", "Genoa"),
        ("snp-e2e-trustee", "report.bin", "Genoa"),
        ("snp-milan-vlek-trustee", "test-vlek-report.bin", "Milan"),
    ],
)
def test_product_of_a_real_report(folder, file, product):
    assert SnpReport.parse(read(folder, file)).product == product


@pytest.mark.parametrize("product", CPUID)
def test_product_by_cpuid(product):
    assert SnpReport.parse(changed(cpuid=CPUID[product])).product == product


def test_packing_is_the_inverse_of_parsing():
    raw = read("snp-genoa-azure-trustee", "report.bin")
    assert SnpReport.parse(raw).pack() == raw[:0x2A0]


def test_tcb_of_turin_has_its_own_layout():
    raw = bytes([1, 2, 3, 4, 0, 0, 0, 5])
    assert Tcb.from_bytes(raw, "Turin") == Tcb(fmc=1, bootloader=2, tee=3, snp=4, microcode=5)


@pytest.mark.parametrize("product", ["Milan", "Genoa", "Turin"])
def test_tcb_with_reserved_bytes_is_refused(product):
    with pytest.raises(EvidenceRefused) as error:
        Tcb.from_bytes(bytes([1] * 8), product)
    assert error.value.rule == "report"


@pytest.mark.parametrize("component", ["bootloader", "tee", "snp", "microcode", "fmc"])
def test_tcb_is_compared_by_component(component):
    assert Tcb(9, 9, 9, 9, 9).reaches(Tcb(**{component: 9}))
    assert not Tcb(9, 9, 9, 9, 9).reaches(Tcb(**{component: 10}))


@pytest.mark.parametrize("size", [0, 1, 671, 672, 1183, 1185, 10_000_000])
def test_a_wrong_length_is_refused(size):
    with pytest.raises(EvidenceRefused) as error:
        SnpReport.parse((GOOD * 2)[:size] if size < 2000 else bytes(size))
    assert error.value.rule == "report"


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (bytes(REPORT_BYTES), "report"),
        (b"\xff" * REPORT_BYTES, "report"),
        (changed(version=1), "report"),
        (changed(version=9), "report"),
        (changed(reserved_1=b"\0\0\0\1"), "report"),
        (changed(reserved_2=b"\1" + bytes(20)), "report"),
        (changed(reserved_3=bytes(151) + b"\1"), "report"),
        (changed(current_version=b"\0\0\0\1"), "report"),
        (changed(committed_version=b"\0\0\0\1"), "report"),
        (changed(launch_mitigations=b"\1" + bytes(7)), "report"),
        (changed(version=2), "report"),  # version 2 has no CPUID
        (changed(policy=0x10000), "report"),  # bit 17 is always one
        (changed(policy=0x30000 | 1 << 26), "report"),
        (changed(signature_algorithm=2), "signing-key"),
        (changed(key_info=7 << 2), "signing-key"),
        (changed(key_info=2 << 2), "signing-key"),
        (changed(key_info=2), "signing-key"),
        (changed(key_info=1 << 5), "signing-key"),
    ],
)
def test_a_malformed_report_is_refused(raw, rule):
    with pytest.raises(EvidenceRefused) as error:
        SnpReport.parse(raw)
    assert error.value.rule == rule


def test_what_later_versions_may_fill():
    assert SnpReport.parse(changed(version=5, current_mitigations=b"\1" * 8)).version == 5
    assert SnpReport.parse(changed(key_info=VLEK)).signing_key is SigningKey.VLEK


def rule_or_none(raw: bytes) -> str | None:
    try:
        SnpReport.parse(raw)
    except EvidenceRefused as error:
        return error.rule
    return None


@given(st.binary(max_size=2 * REPORT_BYTES))
def test_any_bytes_are_refused_by_name(raw):
    assert rule_or_none(raw) in ("report", "signing-key")


@given(st.integers(0, 0x29F), st.integers(1, 255))
def test_any_changed_byte_is_parsed_or_refused_by_name(offset, mask):
    assert rule_or_none(flipped(GOOD, offset, mask)) in (None, "report", "signing-key")

# SPDX-License-Identifier: Apache-2.0
"""The machine's id out of evidence: the bytes that a verdict names, without its checks."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.attestation.evidence import read
from tests.protocol.attestation.pki import NOW
from tests.protocol.attestation.tdx.tdx_pki import PIID, Body, Intel, Platform
from trustedpods.protocol.attestation.chip import NO_CHIP, chip_digest_of, chip_id_of
from trustedpods.protocol.attestation.simulated import SimulatedRoot, SimulatedSigner
from trustedpods.protocol.errors import EvidenceRefused
from trustedpods.protocol.evidence import Evidence
from trustedpods.protocol.ids import address_from_bytes

ADDRESS = address_from_bytes(b"\x0a" * 20)
INTEL = Intel()


def snp(report):
    return Evidence(kind="sev-snp", report=report)


def tdx(quote):
    return Evidence(kind="tdx", report=quote)


@pytest.mark.parametrize("file", ["snp-milan-virtee/report_milan.hex", "snp-genoa-azure-trustee/report.bin"])
def test_real_chips(file):
    report = read(*file.split("/"))
    assert chip_id_of(snp(report)) == report[0x1A0:0x1E0]
    assert chip_digest_of(snp(report)) == hashlib.sha256(report[0x1A0:0x1E0]).digest()


def test_a_real_platform():
    quote = read("tdx-v4-phala-uptodate", "tdx_quote")
    assert chip_id_of(tdx(quote)).hex() == "07828474603e7019dc930775ffe8cdd2"


def test_two_simulated_chips_differ_and_one_stays_the_same():
    first, second = (SimulatedRoot.make(31337, ADDRESS, ADDRESS, NOW).machine_pem for _ in range(2))
    one, again = (chip_digest_of(SimulatedSigner(first).sign(bytes([n]) * 64)) for n in (0, 1))
    assert one == again != chip_digest_of(SimulatedSigner(second).sign(bytes(64)))
    assert one != NO_CHIP


def test_no_machine_is_named_without_hardware_or_behind_a_mask():
    assert chip_digest_of(Evidence(kind="none")) == NO_CHIP
    report = bytearray(read("snp-milan-virtee", "report_milan.hex"))
    report[0x1A0:0x1E0] = bytes(64)
    assert chip_digest_of(snp(bytes(report))) == NO_CHIP


def test_a_platform_with_and_without_a_name():
    assert chip_digest_of(tdx(INTEL.quote(Body(), Platform()))) == hashlib.sha256(PIID).digest()
    assert chip_digest_of(tdx(INTEL.quote(Body(), Platform(piid=b"")))) == NO_CHIP


@pytest.mark.parametrize("rubbish", [b"", b"\x00" * 100, read("tdx-v4-phala-uptodate", "tdx_quote")[:700]])
def test_rubbish_is_refused(rubbish):
    for evidence in (snp(rubbish), tdx(rubbish)):
        with pytest.raises(EvidenceRefused):
            chip_id_of(evidence)


@pytest.mark.parametrize(("at", "what"), [(766, "cannot be read"), (1252, "no readable certificate")])
def test_a_quote_that_is_broken_inside_is_refused(at, what):
    broken = bytearray(read("tdx-v4-phala-uptodate", "tdx_quote"))
    broken[at] ^= 0xFF
    with pytest.raises(EvidenceRefused, match=what):
        chip_id_of(tdx(bytes(broken)))


@given(st.integers(0, 5005), st.binary(min_size=1, max_size=8))
def test_any_quote_has_an_id_or_is_refused(at, noise):
    quote = bytearray(read("tdx-v4-phala-uptodate", "tdx_quote"))
    quote[at : at + len(noise)] = noise
    try:
        assert isinstance(chip_id_of(tdx(bytes(quote))), bytes)
    except EvidenceRefused as error:
        assert error.rule  # noqa: PT017

# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from tests.protocol.attestation.evidence import IN_2025, certificate, read
from tests.protocol.attestation.pki import CHIP, MEASUREMENT, NOW, OLDER_TCB, REPORT, VLEK, Pki
from trustedpods.protocol.attestation.snp.chain import amd_roots
from trustedpods.protocol.attestation.snp.policy import SnpEntry, appraise
from trustedpods.protocol.attestation.snp.report import PlatformInfo, Tcb
from trustedpods.protocol.attestation.snp.verifier import VerifiedSnp, verify
from trustedpods.protocol.errors import BadInput, EvidenceRefused

PKI = Pki()
ENTRY = SnpEntry(
    product="Milan",
    measurements=frozenset({MEASUREMENT}),
    minimum=Tcb(bootloader=4, tee=0, snp=24, microcode=219),
    revocation="if-present",
)


def genuine(crl: bytes | None = None, **fields) -> VerifiedSnp:
    raw, vek = PKI.make(REPORT._replace(**fields))
    return verify(raw, vek, PKI.roots, NOW, crl)


def rule_of(verified: VerifiedSnp, *entries: SnpEntry) -> str | None:
    with pytest.raises(EvidenceRefused) as error:
        appraise(verified, entries)
    return error.value.rule


def test_a_machine_that_matches_is_accepted():
    assert appraise(genuine(), (ENTRY,)) is ENTRY


def test_any_entry_that_matches_completely_is_enough():
    other = replace(ENTRY, measurements=frozenset({b"\x22" * 48}))
    assert appraise(genuine(), (other, ENTRY)) is ENTRY
    assert rule_of(genuine(), other, other) == "measurement"


def test_halves_of_two_entries_are_not_a_match():
    one = replace(ENTRY, measurements=frozenset({b"\x22" * 48}))
    two = replace(ENTRY, minimum=Tcb(snp=25))
    assert rule_of(genuine(), one, two) == "measurement"
    assert rule_of(genuine(), two, one) == "tcb-minimum"


def test_nothing_listed_is_nothing_accepted():
    assert rule_of(genuine()) == "policy"
    assert rule_of(genuine(), replace(ENTRY, product="Genoa")) == "policy"


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"policy": 0xB0000}, "debug"),
        ({"policy": 0x70000}, "migration-agent"),
        ({"vmpl": 1}, "vmpl"),
        ({"vmpl": 3}, "vmpl"),
        ({"vmpl": 0xFFFFFFFF}, "vmpl"),
        ({"measurement": b"\x12" * 48}, "measurement"),
        ({"committed_tcb": OLDER_TCB}, "tcb-minimum"),
        ({"launch_tcb": OLDER_TCB}, "tcb-minimum"),
        ({"platform_info": 0x07}, "platform-info"),
        ({"key_info": VLEK, "chip_id": bytes(64)}, "vlek"),
    ],
)
def test_a_genuine_but_unwanted_machine_is_refused(fields, rule):
    assert rule_of(genuine(**fields), ENTRY) == rule


@pytest.mark.parametrize(
    ("stricter", "rule"),
    [
        ({"minimum": Tcb(bootloader=5)}, "tcb-minimum"),
        ({"minimum": Tcb(tee=1)}, "tcb-minimum"),
        ({"minimum": Tcb(snp=25)}, "tcb-minimum"),
        ({"minimum": Tcb(microcode=220)}, "tcb-minimum"),
        ({"minimum": Tcb(fmc=1)}, "tcb-minimum"),
        ({"allow_smt": False}, "smt"),
        ({"require_single_socket": True}, "single-socket"),
        ({"min_guest_svn": 1}, "guest-svn"),
        ({"platform_require": PlatformInfo.CIPHERTEXT_HIDING}, "platform-info"),
        ({"revocation": "require"}, "revocation"),
        ({"host_data": frozenset({b"\x01" * 32})}, "host-data"),
        ({"allowed_chip_ids": frozenset({b"\xac" * 64})}, "allowed-chip"),
    ],
)
def test_a_stricter_entry_refuses(stricter, rule):
    assert rule_of(genuine(), replace(ENTRY, **stricter)) == rule


def test_what_each_demand_accepts():
    strict = replace(
        ENTRY,
        allow_smt=False,
        require_single_socket=True,
        min_guest_svn=3,
        vmpl=frozenset({1}),
        revocation="require",
        host_data=frozenset({b"\x01" * 32}),
        allowed_chip_ids=frozenset({CHIP}),
    )
    machine = genuine(PKI.crl(), policy=0x120000, guest_svn=3, vmpl=1, host_data=b"\x01" * 32)
    assert appraise(machine, (strict,)) is strict
    cloud = genuine(key_info=VLEK, chip_id=bytes(64))
    assert appraise(cloud, (replace(ENTRY, allow_vlek=True),)).allow_vlek


@pytest.mark.parametrize(
    ("folder", "report", "vek", "rule"),
    [
        ("snp-milan-google", "attestation.bin", "vcek.der", "debug"),
        ("snp-milan-vlek-trustee", "test-vlek-report.bin", "test-vlek.der", "vmpl"),
    ],
)
def test_real_machines_that_no_policy_may_take(folder, report, vek, rule):
    verified = verify(read(folder, report), certificate(folder, vek), amd_roots(), IN_2025)
    lax = SnpEntry("Milan", frozenset({verified.report.measurement}), Tcb(), revocation="if-present")
    assert rule_of(verified, lax) == rule


@pytest.mark.parametrize(
    "bad",
    [
        {"measurements": frozenset()},
        {"vmpl": frozenset()},
        {"host_data": frozenset()},
        {"allowed_chip_ids": frozenset()},
        {"measurements": frozenset({b"\x11" * 47})},
        {"host_data": frozenset({b""})},
        {"allowed_chip_ids": frozenset({bytes(8)})},
    ],
)
def test_a_policy_that_means_nothing_is_an_error(bad):
    with pytest.raises(BadInput):
        replace(ENTRY, **bad)

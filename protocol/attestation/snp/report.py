# SPDX-License-Identifier: Apache-2.0
"""AMD SEV-SNP attestation reports as bytes (AMD publication 56860, ATTESTATION_REPORT)."""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple, Self

from trustedpods.protocol.attestation.checks import Check, need

REPORT_BYTES: Final = 0x4A0
SIGNED_BYTES: Final = 0x2A0
VERSIONS: Final = (2, 3, 4, 5)
ECDSA_P384_SHA384: Final = 1

_STRUCT: Final = struct.Struct("<IIQ16s16sII8sQI4s64s48s32s48s48s32s32s8s3s21s64s8s4s4s8s8s8s152s")
assert _STRUCT.size == SIGNED_BYTES

_PRODUCTS: Final = {  # CPUID family, and the high half of its model
    (0x19, 0x0): "Milan",
    (0x19, 0x1): "Genoa",
    (0x19, 0xA): "Genoa",
    (0x1A, 0x0): "Turin",
    (0x1A, 0x1): "Turin",
}


class GuestPolicy(IntFlag):
    """What the guest's owner allowed the host at launch; the low 16 bits are an ABI version."""

    SMT = 1 << 16
    ALWAYS_ONE = 1 << 17
    MIGRATE_MA = 1 << 18
    DEBUG = 1 << 19
    SINGLE_SOCKET = 1 << 20


class PlatformInfo(IntFlag):
    """What protects the whole machine."""

    SMT = 1 << 0
    TSME = 1 << 1
    ECC = 1 << 2
    RAPL_DISABLED = 1 << 3
    CIPHERTEXT_HIDING = 1 << 4
    ALIAS_CHECK_COMPLETE = 1 << 5


class SigningKey(IntEnum):
    """Which key signed the report: the chip's own, or one that a cloud holds for its chips."""

    VCEK = 0
    VLEK = 1
    NONE = 7


_POLICY_RESERVED: Final = ~((1 << 26) - 1)
_MASK_CHIP_KEY: Final = 1 << 1


@dataclass(frozen=True, slots=True)
class Tcb:
    """Versions of the firmware that everything rests on; `fmc` exists on Turin only."""

    bootloader: int = 0
    tee: int = 0
    snp: int = 0
    microcode: int = 0
    fmc: int = 0

    @classmethod
    def from_bytes(cls, raw: bytes, product: str) -> Self:
        """Read the eight bytes as *product* lays them out; its reserved bytes must be zero."""
        if product == "Turin":
            need(not any(raw[4:7]), Check.REPORT, "reserved bytes of a TCB version are not zero")
            return cls(fmc=raw[0], bootloader=raw[1], tee=raw[2], snp=raw[3], microcode=raw[7])
        need(not any(raw[2:6]), Check.REPORT, "reserved bytes of a TCB version are not zero")
        return cls(bootloader=raw[0], tee=raw[1], snp=raw[6], microcode=raw[7])

    def highest(self, other: Self) -> Self:
        """Each component the higher of the two."""
        return type(self)(
            max(self.bootloader, other.bootloader),
            max(self.tee, other.tee),
            max(self.snp, other.snp),
            max(self.microcode, other.microcode),
            max(self.fmc, other.fmc),
        )

    def reaches(self, minimum: Self) -> bool:
        """Every component is at least that of *minimum*."""
        return (
            self.bootloader >= minimum.bootloader
            and self.tee >= minimum.tee
            and self.snp >= minimum.snp
            and self.microcode >= minimum.microcode
            and self.fmc >= minimum.fmc
        )


class SnpReport(NamedTuple):
    """The signed fields of a report, in their order; nothing here is verified yet."""

    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algorithm: int
    current_tcb: bytes
    platform_info: int
    key_info: int
    reserved_1: bytes
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    cpuid: bytes
    reserved_2: bytes
    chip_id: bytes
    committed_tcb: bytes
    current_version: bytes
    committed_version: bytes
    launch_tcb: bytes
    launch_mitigations: bytes
    current_mitigations: bytes
    reserved_3: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Fields of a whole report; EvidenceRefused (rule "report", "signing-key") when malformed."""
        need(len(raw) == REPORT_BYTES, Check.REPORT, f"a report has {REPORT_BYTES} bytes, not {len(raw)}")
        report = cls._make(_STRUCT.unpack_from(raw))
        need(report.version in VERSIONS, Check.REPORT, f"report version {report.version} is not known")
        _check_reserved(report)
        _check_signing_key(report)
        return report

    def pack(self) -> bytes:
        """The bytes that a signature covers."""
        return _STRUCT.pack(*self)

    @property
    def signing_key(self) -> SigningKey:
        """Which key signed; `parse` has refused all but VCEK and VLEK."""
        return SigningKey(self.key_info >> 2 & 7)

    @property
    def product(self) -> str | None:
        """The processor's name from its CPUID; None when unknown, or in a version 2 report."""
        return _PRODUCTS.get((self.cpuid[0], self.cpuid[1] >> 4)) if self.version >= 3 else None


def _check_reserved(report: SnpReport) -> None:
    zeros = [report.reserved_1, report.reserved_2, report.reserved_3]
    zeros += [report.current_version[3:], report.committed_version[3:]]
    if report.version < 3:
        zeros.append(report.cpuid)
    if report.version < 5:
        zeros += [report.launch_mitigations, report.current_mitigations]
    need(not any(map(any, zeros)), Check.REPORT, "reserved bytes of the report are not zero")
    reserved_bits = report.policy & _POLICY_RESERVED or not report.policy & GuestPolicy.ALWAYS_ONE
    need(not reserved_bits, Check.REPORT, "reserved bits of the guest policy are wrong")


def _check_signing_key(report: SnpReport) -> None:
    need(
        report.signature_algorithm == ECDSA_P384_SHA384,
        Check.SIGNING_KEY,
        f"signature algorithm {report.signature_algorithm} is not ECDSA P-384",
    )
    need(not report.key_info >> 5, Check.SIGNING_KEY, "reserved bits of the key information are set")
    need(not report.key_info & _MASK_CHIP_KEY, Check.SIGNING_KEY, "the host masked the chip's key")
    selected = report.key_info >> 2 & 7
    need(
        selected in (SigningKey.VCEK, SigningKey.VLEK),
        Check.SIGNING_KEY,
        f"the report is signed by key {selected}, neither VCEK nor VLEK",
    )

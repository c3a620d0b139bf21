# SPDX-License-Identifier: Apache-2.0
"""Is this SEV-SNP report genuine? Not yet: is it of a machine that we want (policy.py)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from trustedpods.protocol.attestation.checks import Check, need, refusal
from trustedpods.protocol.attestation.snp import chain as snp_chain
from trustedpods.protocol.attestation.snp.report import SIGNED_BYTES, SigningKey, SnpReport, Tcb

_OID: Final = "1.3.6.1.4.1.3704.1."
_CHIP_ID_OID: Final = "4"
_SPL_OIDS: Final = {"bootloader": "3.1", "tee": "3.2", "snp": "3.3", "microcode": "3.8"}
_FMC_OID: Final = "3.9"
_NUMBER_BYTES: Final = 48
_FIELD_BYTES: Final = 72


@dataclass(frozen=True, slots=True)
class VerifiedSnp:
    """A genuine report: signed by a real processor (or a localnet's simulated one)."""

    report: SnpReport
    product: str
    reported: Tcb
    committed: Tcb
    launch: Tcb
    revocation_checked: bool

    @property
    def vlek(self) -> bool:
        """Signed by a cloud's key, not by the chip's own."""
        return self.report.signing_key is SigningKey.VLEK


def verify(
    raw: bytes, vek: x509.Certificate, roots: snp_chain.Roots, now: datetime, crl: bytes | None = None
) -> VerifiedSnp:
    """Check report and signing key up to the pinned roots, at *now* (with a time zone).

    EvidenceRefused by the first of "report", "signing-key", "product", "chain", "validity",
    "revocation", "revoked", "signature", "tcb-certificate", "chip-id" that fails.
    """
    report = SnpReport.parse(raw)
    product = _product(report, vek, roots)
    pinned = roots[product]
    vlek = report.signing_key is SigningKey.VLEK
    issuer = snp_chain.check_chain(vek, pinned, now, vlek=vlek)
    if crl is not None:
        snp_chain.check_revocation(crl, issuer, pinned.ark, now)
    _check_signature(raw, vek)
    reported = Tcb.from_bytes(report.reported_tcb, product)
    _check_tcb(vek, reported, product)
    if not vlek:
        _check_chip(vek, report.chip_id, product)
    return VerifiedSnp(
        report,
        product,
        reported,
        committed=Tcb.from_bytes(report.committed_tcb, product),
        launch=Tcb.from_bytes(report.launch_tcb, product),
        revocation_checked=crl is not None,
    )


def _product(report: SnpReport, vek: x509.Certificate, roots: snp_chain.Roots) -> str:
    """From the CPUID that the report carries; only version 2, which has none, is told by its issuer."""
    known = report.product if report.version >= 3 else snp_chain.product_of_issuer(vek, roots)
    product = known or "unknown"
    need(product in roots, Check.PRODUCT, f"no root is pinned for this processor ({product})")
    return product


def _check_signature(raw: bytes, vek: x509.Certificate) -> None:
    """ECDSA P-384 over the report; r and s are little-endian numbers in fields of 72 bytes."""
    with snp_chain.refuse_unreadable(Check.SIGNATURE, "the signing key is unreadable"):
        key = vek.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise refusal(Check.SIGNATURE, "the signing key is not on curve P-384")
    fields = raw[SIGNED_BYTES:]
    r, s, rest = fields[:_FIELD_BYTES], fields[_FIELD_BYTES : 2 * _FIELD_BYTES], fields[2 * _FIELD_BYTES :]
    padding = r[_NUMBER_BYTES:] + s[_NUMBER_BYTES:] + rest
    need(not any(padding), Check.SIGNATURE, "the padding of the report's signature is not zero")
    encoded = utils.encode_dss_signature(int.from_bytes(r, "little"), int.from_bytes(s, "little"))
    try:
        key.verify(encoded, raw[:SIGNED_BYTES], ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as error:
        raise refusal(Check.SIGNATURE, "the report is not signed by the certified key") from error


def _extension(vek: x509.Certificate, suffix: str, check: Check) -> bytes:
    with snp_chain.refuse_unreadable(check, "the signing key's certificate lacks what AMD puts into it"):
        value = vek.extensions.get_extension_for_oid(x509.ObjectIdentifier(_OID + suffix)).value
    assert isinstance(value, x509.UnrecognizedExtension)  # no library knows AMD's extensions
    return value.value


def _der_integer(value: bytes) -> int:
    well_formed = len(value) >= 3 and value[0] == 2 and value[1] == len(value) - 2
    need(well_formed, Check.TCB_CERTIFICATE, "a firmware version in the certificate is not a DER integer")
    return int.from_bytes(value[2:], "big", signed=True)


def _check_tcb(vek: x509.Certificate, reported: Tcb, product: str) -> None:
    """The signing key is derived from the firmware versions that it vouches for."""
    oids = _SPL_OIDS | ({"fmc": _FMC_OID} if product == "Turin" else {})
    for component, suffix in oids.items():
        certified = _der_integer(_extension(vek, suffix, Check.TCB_CERTIFICATE))
        stated = getattr(reported, component)
        need(
            certified == stated,
            Check.TCB_CERTIFICATE,
            f"{component} version: the report says {stated}, the certificate {certified}",
        )


def _check_chip(vek: x509.Certificate, chip_id: bytes, product: str) -> None:
    """The certificate's hardware id: raw, or in an OCTET STRING; 8 bytes on Turin, 64 before."""
    length = 8 if product == "Turin" else 64
    value = _extension(vek, _CHIP_ID_OID, Check.CHIP_ID)
    if len(value) == length + 2 and value[:2] == bytes([4, length]):
        value = value[2:]
    same = chip_id[:length] == value and not any(chip_id[length:])
    need(same, Check.CHIP_ID, "the certificate was made for another chip")
    need(any(value), Check.CHIP_ID, "the host masked the chip's id")

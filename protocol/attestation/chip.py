# SPDX-License-Identifier: Apache-2.0
"""Which machine made a piece of evidence: what a provider writes into its registry row.

Nothing is verified here. A provider reads its own evidence; who gets another's has the id from the
verdict (`verdict.Verdict.chip_id`), which is the same bytes.
"""

import hashlib
from typing import Final

from trustedpods.protocol.attestation.snp.report import SnpReport
from trustedpods.protocol.attestation.tdx import verifier as tdx
from trustedpods.protocol.evidence import Evidence

NO_CHIP: Final = bytes(32)
"""Digest of a row that names no machine."""


def chip_id_of(evidence: Evidence) -> bytes:
    """SNP's chip id, TDX's platform instance id; empty without hardware. EvidenceRefused for rubbish."""
    match evidence.kind:
        case "sev-snp":
            return SnpReport.parse(evidence.report).chip_id
        case "tdx":
            return tdx.piid_of(evidence.report)
        case "none":
            return b""


def chip_digest_of(evidence: Evidence) -> bytes:
    """SHA-256 of the machine's id; `NO_CHIP` where there is none, or where the host hides it (zeros)."""
    chip = chip_id_of(evidence)
    return hashlib.sha256(chip).digest() if any(chip) else NO_CHIP

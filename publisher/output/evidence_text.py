# SPDX-License-Identifier: Apache-2.0
"""What a provider's evidence showed, in one line."""

from trustedpods.protocol.attestation.verdict import Verdict
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.results.errors import ErrorReport


def evidence_text(proof: Verdict | ErrorReport | None) -> str:
    """Class and platform, or the error; empty where nobody asked."""
    match proof:
        case None:
            return ""
        case ErrorReport():
            return f"{proof.code}: {proof.text}"
        case Verdict():
            return f"{trust_text(proof.trust, simulated=proof.simulated)}: {proof.platform}"

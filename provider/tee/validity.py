# SPDX-License-Identifier: Apache-2.0
"""How long what a machine proves of itself is good: the first end among what lies beside its report."""

from cryptography import x509

from trustedpods.protocol.attestation.snp.chain import UNREADABLE
from trustedpods.protocol.evidence import Evidence


def good_until(evidence: Evidence) -> int | None:
    """When the first of the signing key's certificate and AMD's revocation list ends, in Unix seconds.

    None where neither is there: no TEE, or a TDX quote, whose ends its verifier alone reads.
    """
    if evidence.kind != "sev-snp":
        return None
    ends = [_certificate_end(one) for one in evidence.certificates]
    if evidence.collateral:
        ends.append(_list_end(evidence.collateral))
    return min((end for end in ends if end is not None), default=None)


def _certificate_end(der: bytes) -> int | None:
    try:
        return int(x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp())
    except UNREADABLE:
        return None  # whoever attests is told what is wrong with it


def _list_end(der: bytes) -> int | None:
    try:
        end = x509.load_der_x509_crl(der).next_update_utc
    except UNREADABLE:
        return None
    return None if end is None else int(end.timestamp())

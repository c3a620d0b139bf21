# SPDX-License-Identifier: Apache-2.0
"""The one question that a client asks before it sends anything: may this machine have it?"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from trustedpods.protocol import limits
from trustedpods.protocol.attestation import simulated, snp, snp_chain
from trustedpods.protocol.attestation.checks import Check, need, refusal
from trustedpods.protocol.attestation.policy import SIMULATED_ENTRY, Policy, SnpEntry, appraise
from trustedpods.protocol.attestation.profile import check_profile
from trustedpods.protocol.attestation.report_data import report_data
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.messages import Attested, Evidence, KeyBinding, TrustClass
from trustedpods.protocol.sealing import hpke

_WITHOUT_HARDWARE = (
    Check.TRUST,
    Check.PEER_ID,
    Check.NONCE,
    Check.HPKE_SUITE,
    Check.HPKE_KEY,
    Check.PROFILE_SIGNATURE,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The machine is good enough: its binding may be used for this connection and nonce.

    `simulated` must be shown wherever the class is. `platform` is for people. `chip_id` is empty
    without hardware. `report_digest` (SHA-256 of the report) names the evidence in logs. `checks`
    are the names of those that were made and passed.
    """

    trust: TrustClass
    simulated: bool
    platform: str
    chip_id: bytes
    report_digest: bytes
    checks: tuple[str, ...]


def verify_evidence(
    attested: Attested, *, nonce: bytes, peer_id: bytes, now: datetime, policy: Policy
) -> Verdict:
    """Judge the answer to an `AttestRequest`.

    *nonce* is the request's, *peer_id* the connection's other end, *now* has a time zone.
    EvidenceRefused, with the failed `Check` as `rule`, for anything less than *policy* demands.
    """
    binding = attested.binding
    _check_class(attested.evidence, binding, policy)
    need(binding.peer_id == peer_id, Check.PEER_ID, "the evidence is for another peer than the connected one")
    need(attested.nonce == nonce, Check.NONCE, "the evidence answers another question than the one asked now")
    _check_sealing_key(binding)
    check_profile(attested)
    if attested.evidence.kind == "none":
        return _verdict(attested, platform="no hardware evidence", checks=_WITHOUT_HARDWARE)
    return _verify_snp(attested, nonce, now, policy)


def _check_class(evidence: Evidence, binding: KeyBinding, policy: Policy) -> None:
    if binding.trust == "open":
        need(
            policy.allow_open,
            Check.TRUST,
            "the provider is of class open: its operator can read your pod",
        )
    else:
        need(
            evidence.kind != "none", Check.TRUST, "the provider says sealed, but has no evidence of hardware"
        )


def _check_sealing_key(binding: KeyBinding) -> None:
    need(
        binding.hpke_suite == hpke.SUITE_ID,
        Check.HPKE_SUITE,
        f"the provider seals with {binding.hpke_suite!r}, this client with {hpke.SUITE_ID}",
    )
    try:
        hpke.check_public(binding.hpke_key)
    except RemoteProtocolError as error:
        raise refusal(Check.HPKE_KEY, error.what) from error


def _verify_snp(attested: Attested, nonce: bytes, now: datetime, policy: Policy) -> Verdict:
    evidence = attested.evidence
    _check_size(evidence)
    need(
        evidence.kind == "sev-snp",
        Check.PLATFORM,
        f"evidence of kind {evidence.kind} cannot be verified by this version",
    )
    need(
        len(evidence.certificates) == 1,
        Check.CERTIFICATES,
        f"the evidence has {len(evidence.certificates)} certificates instead of the signing key's alone",
    )
    vek = snp_chain.load_vek(evidence.certificates[0])
    market = simulated.issuer_digest(vek)
    roots, entries = _expectations(market, policy)
    verified = snp.verify(evidence.report, vek, roots, now, crl=evidence.collateral or None)
    need(
        verified.report.report_data == report_data(nonce, attested.binding),
        Check.REPORT_DATA,
        "the report does not bind this nonce, class and keys",
    )
    entry = appraise(verified, entries)
    platform = f"AMD SEV-SNP ({verified.product})"
    return _verdict(
        attested,
        platform=f"SIMULATED {platform}" if market else platform,
        checks=_checks_made(verified, entry, in_localnet=market is not None),
        simulated_by_localnet=market is not None,
        chip_id=verified.report.chip_id,
    )


def _checks_made(verified: snp.VerifiedSnp, entry: SnpEntry, *, in_localnet: bool) -> tuple[Check, ...]:
    """All checks but those that this evidence or this entry has no use for."""
    unused: set[Check] = set()
    if not in_localnet:
        unused |= {Check.SIMULATED, Check.FOREIGN_LOCALNET}
    if not verified.revocation_checked:
        unused |= {Check.REVOCATION, Check.REVOKED}
    if verified.vlek:
        unused.add(Check.CHIP_ID)
    if entry.host_data is None:
        unused.add(Check.HOST_DATA)
    if entry.allowed_chip_ids is None:
        unused.add(Check.ALLOWED_CHIP)
    return tuple(check for check in Check if check not in unused)


def _check_size(evidence: Evidence) -> None:
    parts = (evidence.report, evidence.collateral, *evidence.certificates)
    size = sum(map(len, parts))
    need(size <= limits.MAX_EVIDENCE, Check.SIZE, f"{size} bytes of evidence are too many")


def _expectations(market: str | None, policy: Policy) -> tuple[snp_chain.Roots, tuple[SnpEntry, ...]]:
    """The vendor's roots and the policy's entries, or, for this localnet's simulated evidence, its own."""
    if market is None:
        return policy.vendor_roots, policy.entries
    if policy.simulated is None:
        raise refusal(Check.SIMULATED, "the evidence is simulated, and this market is not a localnet")
    policy.simulated.check(market)
    return policy.simulated.roots, (SIMULATED_ENTRY,)


def _verdict(
    attested: Attested,
    *,
    platform: str,
    checks: tuple[Check, ...],
    simulated_by_localnet: bool = False,
    chip_id: bytes = b"",
) -> Verdict:
    return Verdict(
        trust=attested.binding.trust,
        simulated=simulated_by_localnet,
        platform=platform,
        chip_id=chip_id,
        report_digest=hashlib.sha256(attested.evidence.report).digest(),
        checks=tuple(check.value for check in checks),
    )

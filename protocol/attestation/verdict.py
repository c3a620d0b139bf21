# SPDX-License-Identifier: Apache-2.0
"""The one question that a client asks before it sends anything: may this machine have it?"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from trustedpods.protocol import limits
from trustedpods.protocol.attestation import simulated
from trustedpods.protocol.attestation.checks import Check, need, refusal
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.attestation.profile import check_profile
from trustedpods.protocol.attestation.releases import names
from trustedpods.protocol.attestation.report_data import report_data
from trustedpods.protocol.attestation.snp import chain as snp_chain
from trustedpods.protocol.attestation.snp import policy as snp_policy
from trustedpods.protocol.attestation.snp import verifier as snp
from trustedpods.protocol.attestation.tdx import policy as tdx_policy
from trustedpods.protocol.attestation.tdx import verifier as tdx
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.evidence import Attested, Evidence, KeyBinding
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.protocol.sealing import hpke

_WITHOUT_HARDWARE: Final = (
    Check.TRUST,
    Check.PEER_ID,
    Check.NONCE,
    Check.HPKE_SUITE,
    Check.HPKE_KEY,
    Check.PROFILE_SIGNATURE,
)
_OF_ANY_HARDWARE: Final = (
    *_WITHOUT_HARDWARE,
    Check.SIZE,
    Check.PLATFORM,
    Check.REPORT,
    Check.SIGNING_KEY,
    Check.CERTIFICATES,
    Check.CHAIN,
    Check.VALIDITY,
    Check.SIGNATURE,
    Check.REPORT_DATA,
    Check.POLICY,
    Check.DEBUG,
    Check.MIGRATION,
    Check.MEASUREMENT,
    Check.TCB_MINIMUM,
)
_OF_SNP: Final = (
    Check.PRODUCT,
    Check.TCB_CERTIFICATE,
    Check.SMT,
    Check.SINGLE_SOCKET,
    Check.VMPL,
    Check.VLEK,
    Check.GUEST_SVN,
    Check.PLATFORM_INFO,
)
_OF_TDX: Final = (
    Check.COLLATERAL,
    Check.REVOCATION,
    Check.REVOKED,
    Check.QUOTING_ENCLAVE,
    Check.TDX_MODULE,
    Check.QUOTE,
    Check.EVENT_LOG,
    Check.TD_ATTRIBUTES,
    Check.XFAM,
    Check.RTMR,
    Check.TCB_STATUS,
    Check.TCB_EVALUATION,
    Check.ADVISORY,
)

ANY_CHIP: Final = (
    "any machine of this kind is accepted: the policy has no allowed_{}, and whoever owns a machine "
    "can attack it physically (docs/attestation.md)"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The machine is good enough: its binding may be used for this connection and nonce.

    `simulated` must be shown wherever the class is, and every one of `warnings`. `platform` is for
    people. `chip_id` (SNP's chip id, TDX's platform instance id) is empty without hardware.
    `report_digest` (SHA-256 of the report) names the evidence in logs. `checks` are the names of
    those that were made and passed. `policy` is the policy's label, `entry` what it was that
    matched. `expiry` is when the vendor's statements end, where there are any.
    """

    trust: TrustClass
    simulated: bool
    platform: str
    chip_id: bytes
    report_digest: bytes
    checks: tuple[str, ...]
    policy: str = ""
    entry: str = ""
    warnings: tuple[str, ...] = ()
    expiry: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Finding:
    """What hardware evidence says, once it is accepted."""

    platform: str
    entry: str
    checks: tuple[Check, ...]
    simulated: bool = False
    chip_id: bytes = b""
    warnings: tuple[str, ...] = field(default=())
    expiry: datetime | None = None


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
    evidence, expected = attested.evidence, report_data(nonce, binding)
    match evidence.kind:
        case "none":
            finding = _Finding("no hardware evidence", "none", _WITHOUT_HARDWARE)
        case "sev-snp":
            _check_size(evidence, policy)
            finding = _judge_snp(evidence, expected, now, policy)
        case "tdx":
            _check_size(evidence, policy)
            finding = _judge_tdx(evidence, expected, now, policy)
    made = {*finding.checks, *_check_configuration(binding, policy)}
    return Verdict(
        trust=binding.trust,
        simulated=finding.simulated,
        platform=finding.platform,
        chip_id=finding.chip_id,
        report_digest=hashlib.sha256(evidence.report).digest(),
        checks=tuple(check.value for check in Check if check in made),
        policy=policy.label,
        entry=finding.entry,
        warnings=finding.warnings,
        expiry=finding.expiry,
    )


def _check_class(evidence: Evidence, binding: KeyBinding, policy: Policy) -> None:
    if binding.trust == "open":
        need(
            policy.allow_open,
            Check.TRUST,
            "the provider is of class open: its operator can read your pod",
        )
        hardware = evidence.kind != "none" or not policy.require_hardware
        need(hardware, Check.TRUST, "the policy demands evidence of hardware, and the provider has none")
    else:
        need(policy.allow_sealed, Check.TRUST, "the policy accepts providers of class open only")
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


def _check_configuration(binding: KeyBinding, policy: Policy) -> tuple[Check, ...]:
    """The check, where the policy demands it."""
    if policy.config_digests is None:
        return ()
    found = binding.config_digest
    words = f"the provider's configuration {found.hex()[:16]}... is not one that the policy lists"
    need(found in policy.config_digests, Check.CONFIG_DIGEST, words)
    return (Check.CONFIG_DIGEST,)


def _check_size(evidence: Evidence, policy: Policy) -> None:
    parts = (evidence.report, evidence.collateral, evidence.event_log, *evidence.certificates)
    size = sum(map(len, parts))
    limit = min(policy.max_evidence, limits.MAX_EVIDENCE)
    need(size <= limit, Check.SIZE, f"{size} bytes of evidence are too many")


def _judge_snp(evidence: Evidence, expected: bytes, now: datetime, policy: Policy) -> _Finding:
    need(
        len(evidence.certificates) == 1,
        Check.CERTIFICATES,
        f"the evidence has {len(evidence.certificates)} certificates instead of the signing key's alone",
    )
    need(not evidence.event_log, Check.REPORT, "SEV-SNP has no event log")
    vek = snp_chain.load_vek(evidence.certificates[0])
    market = simulated.issuer_digest(vek)
    roots, entries = _expectations(market, policy)
    verified = snp.verify(evidence.report, vek, roots, now, crl=evidence.collateral or None)
    _check_report_data(verified.report.report_data, expected)
    named = None if market else names.snp_image(policy.release, verified.report.measurement)
    with names.refused_in_words(None if market else policy.release, named):
        entry = snp_policy.appraise(verified, entries)
    platform = f"AMD SEV-SNP ({verified.product})"
    return _Finding(
        platform=f"SIMULATED {platform}" if market else platform,
        entry="simulated" if market else names.entry_name(f"snp {entries.index(entry) + 1}", named),
        checks=_snp_checks(verified, entry, in_localnet=market is not None),
        simulated=market is not None,
        chip_id=verified.report.chip_id,
        warnings=_warnings("chip_ids", named, any_chip=entry.allowed_chip_ids is None and not market),
    )


def _judge_tdx(evidence: Evidence, expected: bytes, now: datetime, policy: Policy) -> _Finding:
    need(not evidence.certificates, Check.CERTIFICATES, "certificates beside a TDX quote, which has its own")
    verified = tdx.verify(evidence.report, evidence.collateral, evidence.event_log, now, policy.intel_root)
    _check_report_data(verified.report_data, expected)
    named = names.tdx_image(policy.release, verified.mrtd, verified.rtmr)
    with names.refused_in_words(policy.release, named):
        entry = tdx_policy.appraise(verified, policy.tdx)
    unused = {
        Check.HOST_DATA: entry.mr_config_id,
        Check.MR_SEAM: entry.mr_seam,
        Check.EVENTS: entry.events or None,
        Check.ALLOWED_CHIP: entry.allowed_piids,
        Check.WITHDRAWN: entry.image or None,
    }
    made = (check for check, demanded in unused.items() if demanded is not None)
    return _Finding(
        platform="Intel TDX",
        entry=names.entry_name(f"tdx {policy.tdx.index(entry) + 1}", named),
        checks=(*_OF_ANY_HARDWARE, *_OF_TDX, *made),
        chip_id=verified.piid,
        warnings=_warnings("piids", named, any_chip=entry.allowed_piids is None),
        expiry=verified.expiry,
    )


def _check_report_data(found: bytes, expected: bytes) -> None:
    need(found == expected, Check.REPORT_DATA, "the report does not bind this nonce, class and keys")


def _snp_checks(
    verified: snp.VerifiedSnp, entry: snp_policy.SnpEntry, *, in_localnet: bool
) -> tuple[Check, ...]:
    """All checks but those that this evidence or this entry has no use for."""
    made = [*_OF_ANY_HARDWARE, *_OF_SNP]
    if in_localnet:
        made += [Check.SIMULATED, Check.FOREIGN_LOCALNET]
    if verified.revocation_checked:
        made += [Check.REVOCATION, Check.REVOKED]
    if not verified.vlek:
        made.append(Check.CHIP_ID)
    if entry.host_data is not None:
        made.append(Check.HOST_DATA)
    if entry.allowed_chip_ids is not None:
        made.append(Check.ALLOWED_CHIP)
    if entry.image:
        made.append(Check.WITHDRAWN)
    return tuple(made)


def _warnings(chips: str, named: names.ReleasedImage | None, *, any_chip: bool) -> tuple[str, ...]:
    """What a person must be told although the machine is good enough."""
    found = [ANY_CHIP.format(chips)] if any_chip else []
    if named is not None and named.image.withdrawn is not None:
        found.append(f"the policy lists a measurement of {named.words}")
    return tuple(found)


def _expectations(
    market: str | None, policy: Policy
) -> tuple[snp_chain.Roots, tuple[snp_policy.SnpEntry, ...]]:
    """The vendor's roots and the policy's entries, or, for this localnet's simulated evidence, its own."""
    if market is None:
        return policy.vendor_roots, policy.snp
    if policy.simulated is None:
        raise refusal(Check.SIMULATED, "the evidence is simulated, and the policy accepts none from here")
    policy.simulated.check(market)
    entry = replace(snp_policy.SIMULATED_ENTRY, measurements=policy.simulated.measurements)
    return policy.simulated.roots, (entry,)

# SPDX-License-Identifier: Apache-2.0
"""Is this TDX quote genuine? Not yet: is it of a machine that we want (tdx_policy.py).

dcap-qvl verifies signatures, certificates, revocation lists, dates and Intel's statements about the
platform. What it accepts and we do not is refused before (tdx_quote.py) and after.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import dcap_qvl

from trustedpods.protocol.attestation.checks import Check, need, refusal
from trustedpods.protocol.attestation.tdx import events as tdx_events
from trustedpods.protocol.attestation.tdx.quote import without_padding

# What dcap-qvl 0.7 says, and which of our checks that is; the first that is found counts.
_REFUSALS: Final = (
    ("Debug mode is enabled", Check.DEBUG),
    ("TD migration is enabled", Check.MIGRATION),
    ("Invalid MR service TD", Check.MIGRATION),
    ("SERVTD_EXT is enabled", Check.MIGRATION),
    ("TD profiling is enabled", Check.TD_ATTRIBUTES),
    ("SEPT_VE_DISABLE is not enabled", Check.TD_ATTRIBUTES),
    ("Reserved bits in TD attributes", Check.TD_ATTRIBUTES),
    ("CertRevoked", Check.REVOKED),
    ("CrlExpired", Check.VALIDITY),
    ("CertExpired", Check.VALIDITY),
    ("CertNotValidYet", Check.VALIDITY),
    ("TCBInfo expired", Check.VALIDITY),
    ("QE Identity expired", Check.VALIDITY),
    ("Collateral expired", Check.VALIDITY),
    ("issue date is in the future", Check.VALIDITY),
    ("No matching TCB level", Check.TCB_STATUS),
    ("TCB status is invalid", Check.TCB_STATUS),
    ("TDX module", Check.TDX_MODULE),
    ("QE ISVSVN", Check.QUOTING_ENCLAVE),
    ("QE ISVPRODID", Check.QUOTING_ENCLAVE),
    ("QE MRSIGNER", Check.QUOTING_ENCLAVE),
    ("QE MISCSELECT", Check.QUOTING_ENCLAVE),
    ("QE ATTRIBUTES", Check.QUOTING_ENCLAVE),
    ("QE vendor ID", Check.QUOTING_ENCLAVE),
    ("in quote_collateral", Check.COLLATERAL),
    ("QE Identity", Check.COLLATERAL),
    ("QeIdentity", Check.COLLATERAL),
    ("TCB Info", Check.COLLATERAL),
    ("TcbInfo", Check.COLLATERAL),
    ("CRL", Check.COLLATERAL),
    ("Crl", Check.COLLATERAL),
    ("UnknownRevocationStatus", Check.COLLATERAL),
    ("Fmspc mismatch", Check.COLLATERAL),
    ("Failed to decode quote", Check.REPORT),
    ("attestation key type", Check.SIGNING_KEY),
    ("QE report hash mismatch", Check.SIGNATURE),
    ("ignature is invalid", Check.SIGNATURE),
    ("PCK certificate", Check.CHAIN),
    ("certificate chain", Check.CHAIN),
)


@dataclass(frozen=True, slots=True)
class VerifiedTdx:
    """A genuine quote: signed by a real processor whose state Intel has spoken about.

    `status` and `advisories` are Intel's words, `evaluation` the number of the evaluation they come
    from, `piid` names the platform (empty where Intel gave it no name), `expiry` is when the first
    of Intel's statements ends. `events` are those behind RTMR3, or nothing without a log.
    """

    mrtd: bytes
    rtmr: tuple[bytes, ...]
    report_data: bytes
    td_attributes: bytes
    xfam: bytes
    mr_seam: bytes
    mr_config_id: bytes
    tee_tcb_svns: tuple[bytes, ...]
    status: str
    advisories: frozenset[str]
    evaluation: int
    piid: bytes
    expiry: datetime
    events: tuple[tuple[str, bytes], ...]


def verify(
    raw: bytes, collateral: bytes, event_log: bytes, now: datetime, root: bytes | None = None
) -> VerifiedTdx:
    """Check a quote up to Intel's root at *now* (with a time zone), and that the log belongs to it.

    *collateral* is the JSON that Intel's service answers (dcap-qvl's `QuoteCollateralV3`), *root* a
    DER certificate in the place of Intel's, for tests. EvidenceRefused by the first failed check.
    """
    quote = without_padding(raw)
    claims = _verified_claims(quote, _read_collateral(collateral), now, root)
    report = _body(claims["report"])
    registers = tuple(bytes.fromhex(report[f"rt_mr{number}"]) for number in range(tdx_events.RTMRS))
    svns = [report["tee_tcb_svn"], *(report[name] for name in ("tee_tcb_svn2",) if name in report)]
    return VerifiedTdx(
        mrtd=bytes.fromhex(report["mr_td"]),
        rtmr=registers,
        report_data=bytes.fromhex(report["report_data"]),
        td_attributes=bytes.fromhex(report["td_attributes"]),
        xfam=bytes.fromhex(report["xfam"]),
        mr_seam=bytes.fromhex(report["mr_seam"]),
        mr_config_id=bytes.fromhex(report["mr_config_id"]),
        tee_tcb_svns=tuple(map(bytes.fromhex, svns)),
        status=claims["tcb"]["status"],
        advisories=frozenset(claims["tcb"]["advisory_ids"]),
        evaluation=min(claims["tcb"]["eval_data_number"], claims["qe"]["tcb_eval_data_number"]),
        piid=bytes(claims["platform"]["pck"]["platform_instance_id"] or b""),
        expiry=datetime.fromtimestamp(
            min(claims["earliest_expiration_date"], claims["qe_iden_earliest_expiration_date"]), UTC
        ),
        events=tdx_events.runtime_events(event_log, registers),
    )


def piid_of(raw: bytes) -> bytes:
    """The platform instance id in a quote's own certificate, without any verification; empty without one.

    EvidenceRefused when it is no quote, or has no such certificate.
    """
    try:
        extension = dcap_qvl.parse_quote(without_padding(raw)).pck_extension()
    except ValueError as error:
        raise refusal(Check.REPORT, f"the quote cannot be read: {_one_line(error)}") from None
    need(extension, Check.REPORT, "the quote has no readable certificate")
    return bytes(extension.platform_instance_id or b"")


def _read_collateral(raw: bytes) -> dcap_qvl.QuoteCollateralV3:
    need(raw, Check.COLLATERAL, "the evidence lacks Intel's collateral")
    try:
        return dcap_qvl.QuoteCollateralV3.from_json(raw.decode())
    except ValueError as error:  # a UnicodeDecodeError is one
        raise refusal(Check.COLLATERAL, f"Intel's collateral is unreadable: {_one_line(error)}") from None


def _verified_claims(
    quote: bytes, collateral: dcap_qvl.QuoteCollateralV3, now: datetime, root: bytes | None
) -> dict[str, Any]:
    """What dcap-qvl vouches for; which statuses are good enough is for our policy to say."""
    seconds = int(now.timestamp())
    verifier = dcap_qvl.QuoteVerifier() if root is None else dcap_qvl.QuoteVerifier(root)
    everything = dcap_qvl.QuotePolicy.claims_only(seconds)
    try:
        claims = verifier.verify_with_policy(quote, collateral, seconds, everything)
    except ValueError:
        check, reason = _reason(quote, collateral, seconds, root)
        raise refusal(check, f"the quote does not verify: {reason}") from None
    found: dict[str, Any] = json.loads(claims.to_json())
    return found


def _reason(
    quote: bytes, collateral: dcap_qvl.QuoteCollateralV3, seconds: int, root: bytes | None
) -> tuple[Check, str]:
    """Why a quote was refused: only this way of asking dcap-qvl tells what is behind its first words."""
    try:
        if root is None:
            dcap_qvl.verify(quote, collateral, seconds)
        else:
            dcap_qvl.verify_with_root_ca(quote, collateral, root, seconds)
    except ValueError as error:
        check = next((check for words, check in _REFUSALS if words in str(error)), Check.QUOTE)
        return check, _one_line(error)
    return Check.QUOTE, "its claims cannot be read"


def _body(report: dict[str, Any]) -> dict[str, str]:
    """The fields of a TD report of any version: each contains the one before as `base`."""
    (inner,) = report.values()
    fields: dict[str, str] = {}
    while inner is not None:
        fields |= {name: value for name, value in inner.items() if isinstance(value, str)}
        inner = inner.get("base")
    return fields


def _one_line(error: ValueError) -> str:
    text = " ".join(str(error).removeprefix("Verification failed: ").split())
    return text if len(text) <= 200 else text[:200] + "..."

# SPDX-License-Identifier: Apache-2.0
"""Every parser that reads what somebody else wrote, as a function of bytes.

A target lets nothing out but our own errors; whatever else is raised is a finding.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from tests.protocol.attestation.evidence import IN_2025, NONCE, PEER_ID, certificate, read
from tests.protocol.attestation.pki import NOW as AMD_NOW
from tests.protocol.attestation.pki import Pki, der
from tests.protocol.attestation.policy.test_file import WHOLE
from tests.protocol.attestation.tdx.tdx_pki import NOW, Body, Intel
from tests.protocol.attestation.tdx.test_policy import LOG, LOGGED
from tests.protocol.attestation.test_saved import DATA, SIMULATED, TEXT, answer, snp
from tests.protocol.attestation.test_saved import tdx as tdx_answer
from tests.protocol.attestation.test_verdict import ROOT
from tests.provider.tee.test_certificates import table
from trustedpods.manifests.parse import parse_received
from trustedpods.protocol import limits
from trustedpods.protocol.attestation.policy.draft import draft
from trustedpods.protocol.attestation.policy.file import MAX_POLICY, parse_policy
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.attestation.saved import MAX_SAVED, SavedEvidence
from trustedpods.protocol.attestation.simulated import SimulatedSigner
from trustedpods.protocol.attestation.snp import chain as snp_chain
from trustedpods.protocol.attestation.snp import verifier as snp_verifier
from trustedpods.protocol.attestation.snp.report import REPORT_BYTES, SnpReport
from trustedpods.protocol.attestation.tdx import events as tdx_events
from trustedpods.protocol.attestation.tdx import quote as tdx_quote
from trustedpods.protocol.attestation.tdx import verifier as tdx
from trustedpods.protocol.attestation.verdict import verify_evidence
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.envelopes import SealedReply, SignedRequest
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.evidence import Attested, AttestRequest
from trustedpods.protocol.frames import FrameReader, frame
from trustedpods.protocol.messages.bundle import Bundle
from trustedpods.provider.tee import certificates

AMD, INTEL = Pki(), Intel()
QUOTE, STATED = INTEL.quote(), INTEL.collateral()
VECTOR = read("snp-milan-virtee", "report_milan.hex")
VCEK = der(certificate("snp-milan-virtee", "vcek_milan.der"))
CRL = AMD.crl()
ROOTS = Policy(vendor_roots=AMD.roots, intel_root=INTEL.root_der)
MANIFEST = {
    "apiVersion": "trustedpods/v1",
    "kind": "Pod",
    "metadata": {"name": "hello"},
    "spec": {
        "containers": [{"name": "hello", "image": "sha256:" + "0" * 64, "ports": [{"containerPort": 8080}]}],
        "services": [{"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}],
    },
}


@dataclass(frozen=True)
class Target:
    """`limit`: more bytes are refused before they are worked on; None where a caller bounds them."""

    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    limit: int | None = None


def _chain(raw: bytes) -> None:
    vek = snp_chain.load_vek(raw)
    snp_chain.check_chain(vek, snp_chain.amd_roots()["Milan"], IN_2025, vlek=False)


def _snp(raw: bytes) -> None:
    cut = REPORT_BYTES
    vek = snp_chain.load_vek(raw[cut:])
    snp_verifier.verify(raw[:cut], vek, snp_chain.amd_roots(), IN_2025)


def _crl(raw: bytes) -> None:
    snp_chain.check_revocation(raw, AMD.pinned.ask, AMD.pinned.ark, AMD_NOW)


def _answer(raw: bytes) -> None:
    attested = decode(raw, Attested)
    for judge in (
        lambda: verify_evidence(attested, nonce=NONCE, peer_id=PEER_ID, now=NOW, policy=ROOTS),
        lambda: draft(attested, NOW, None, ROOTS),
    ):
        try:
            judge()
        except TrustedPodsError:
            continue


def _frames(raw: bytes) -> None:
    reader, at = FrameReader(), 0
    while at < len(raw):
        wanted = reader.missing(64 * limits.KIB)
        if not wanted:
            reader.take(64 * limits.KIB)
            continue
        reader.feed(raw[at : at + wanted])
        at += wanted


def _text(raw: bytes) -> None:
    parse_policy(raw.decode("latin-1"), "policy.toml")


TARGETS: dict[str, Target] = {
    "snp-report": Target(SnpReport.parse, (VECTOR, AMD.make()[0]), REPORT_BYTES),
    "snp-certificate": Target(_chain, (VCEK,)),
    "snp-evidence": Target(_snp, (VECTOR + VCEK,)),
    "snp-revocation": Target(_crl, (CRL, AMD.crl(revoked=(1,)))),
    "snp-roots": Target(
        lambda raw: snp_chain.ProductRoots.from_pem(raw, "roots"),
        (read("snp-milan-virtee", "cert_chain_milan"),),
    ),
    "simulated-machine": Target(
        lambda raw: SimulatedSigner(raw.decode("ascii", "replace")), (ROOT.machine_pem.encode(),)
    ),
    "tdx-quote": Target(
        lambda raw: tdx.verify(raw, STATED, b"", NOW, INTEL.root_der), (QUOTE,), tdx_quote.MAX_QUOTE
    ),
    "tdx-report-data": Target(tdx_quote.report_data_of, (QUOTE,), tdx_quote.MAX_QUOTE),
    "tdx-collateral": Target(lambda raw: tdx.verify(QUOTE, raw, b"", NOW, INTEL.root_der), (STATED,)),
    "tdx-event-log": Target(
        lambda raw: tdx_events.runtime_events(raw, LOGGED.rtmr), (LOG,), tdx_events.MAX_EVENT_LOG
    ),
    "certificate-table": Target(
        certificates.parse,
        (table((certificates.VCEK, 72, 4), (certificates.VLEK, 76, 3), content=b"vcekark"),),
    ),
    "policy": Target(_text, (WHOLE.encode(),), MAX_POLICY),
    "saved-evidence": Target(lambda raw: SavedEvidence.from_json(raw, "file"), (TEXT.encode(),), MAX_SAVED),
    "answer": Target(
        _answer,
        (encode(snp(AMD)), encode(tdx_answer(Body(report_data=DATA))), encode(answer(SIMULATED))),
        limits.MAX_MESSAGE,
    ),
    "message": Target(
        lambda raw: decode(raw, AttestRequest, SignedRequest),
        (encode(AttestRequest(nonce=NONCE)),),
        limits.MAX_MESSAGE,
    ),
    "reply": Target(lambda raw: decode(raw, SealedReply), (b"\x80",), limits.MAX_MESSAGE),
    "bundle": Target(lambda raw: decode(raw, Bundle), (b"\x80",), limits.MAX_MESSAGE),
    "frames": Target(_frames, (frame(b"one") + frame(b"two"),)),
    "manifest": Target(parse_received, (json.dumps(MANIFEST).encode(),)),
}


def run(name: str, raw: bytes) -> bool:
    """Give *raw* to a target; True when it took it. Raises whatever is not one of our errors."""
    try:
        TARGETS[name].run(raw)
    except TrustedPodsError:
        return False
    return True

# SPDX-License-Identifier: Apache-2.0
"""Evidence as a file, and policies drafted from evidence."""

import json
import tomllib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.attestation.evidence import BINDING, NONCE, PEER_ID, REPLY_KEY
from tests.protocol.attestation.pki import CPUID, NOW, REPORT, VLEK, Cert, Pki, der
from tests.protocol.attestation.tdx.tdx_pki import PIID, RTMRS, Body, Intel, Platform
from tests.protocol.attestation.tdx.test_policy import (
    HASH,
    LOG,
    LOGGED,
    RTMR3,
    digest_of,
    event,
    extended,
    log_of,
)
from trustedpods.protocol.attestation.policy.draft import draft
from trustedpods.protocol.attestation.policy.file import parse_policy
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.attestation.profile import present
from trustedpods.protocol.attestation.report_data import report_data
from trustedpods.protocol.attestation.saved import MAX_SAVED, SavedEvidence
from trustedpods.protocol.attestation.simulated import SimulatedMarket, SimulatedRoot, SimulatedSigner
from trustedpods.protocol.attestation.verdict import Verdict, verify_evidence
from trustedpods.protocol.errors import BadInput, EvidenceRefused
from trustedpods.protocol.evidence import Attested, Evidence
from trustedpods.protocol.ids import address_from_bytes

INTEL = Intel()
DATA = report_data(NONCE, BINDING)
REGISTRY, PAYMENTS = address_from_bytes(b"\x0a" * 20), address_from_bytes(b"\x0b" * 20)
ROOT = SimulatedRoot.make(31337, REGISTRY, PAYMENTS, NOW)
MARKET = SimulatedMarket(ROOT.chain_pem, 31337, REGISTRY, PAYMENTS)
SIMULATED = SimulatedSigner(ROOT.machine_pem).sign(DATA)


def answer(evidence: Evidence, **binding) -> Attested:
    return present(NONCE, evidence, BINDING.model_copy(update=binding), b"a profile", REPLY_KEY)


SAVED = SavedEvidence("0xabc/1", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), NONCE, PEER_ID, answer(SIMULATED))
TEXT = SAVED.to_json()


class TestSaved:
    def test_it_comes_back(self):
        assert SavedEvidence.from_json(TEXT.encode(), "f") == SAVED

    @pytest.mark.parametrize(
        ("change", "what"),
        [
            ({"version": 2}, "version"),
            ({"version": True}, "version"),
            ({"version": 1.0}, "version"),
            ({"version": "1"}, "version"),
            ({"nonce": "00"}, "nonce"),
            ({"peer_id": ""}, "peer_id"),
            ({"saved_at": "yesterday"}, "saved_at"),
            ({"saved_at": "2026-01-02T03:04:05"}, "saved_at"),
            ({"attested": "!"}, "attested"),
            ({"attested": "AAAA"}, "attested"),
            ({"attested": "\u00e9"}, "attested"),
            ({"surprise": 1}, "surprise"),
        ],
    )
    def test_what_is_wrong_is_named(self, change, what):
        with pytest.raises(BadInput, match=what) as error:
            SavedEvidence.from_json(json.dumps(json.loads(TEXT) | change).encode(), "evidence.json")
        assert error.value.where == "evidence.json"

    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b"[" * 100_000], ids=range(5))
    def test_what_is_none(self, raw):
        with pytest.raises(BadInput):
            SavedEvidence.from_json(raw, "f")

    def test_the_bound_holds_whatever_fills_it(self):
        assert SavedEvidence.from_json(TEXT.encode().ljust(MAX_SAVED), "f")
        with pytest.raises(BadInput, match="more than"):
            SavedEvidence.from_json(TEXT.encode().ljust(MAX_SAVED + 1), "f")

    @given(st.binary(max_size=300), st.integers(0, len(TEXT)))
    def test_any_bytes_are_evidence_or_an_error(self, noise, at):
        raw = TEXT.encode()
        for changed in (noise, raw[:at] + noise + raw[at:]):
            try:
                assert isinstance(SavedEvidence.from_json(changed, "f"), SavedEvidence)
            except BadInput as error:
                assert error.where == "f"  # noqa: PT017


def accepted(attested: Attested, roots: Policy, market: SimulatedMarket | None = None) -> tuple[Verdict, str]:
    """A draft accepts what it was made from, under the same roots."""
    text = draft(attested, NOW, market, roots)
    policy = parse_policy(text, "draft").in_market(market)
    return judged(attested, policy, roots), text


def judged(attested: Attested, policy: Policy, roots: Policy) -> Verdict:
    from dataclasses import replace

    policy = replace(policy, vendor_roots=roots.vendor_roots, intel_root=roots.intel_root)
    return verify_evidence(attested, nonce=NONCE, peer_id=PEER_ID, now=NOW, policy=policy)


def snp(pki: Pki, cert: Cert | None = None, crl: bytes = b"", **fields) -> Attested:
    raw, vek = pki.make(REPORT._replace(report_data=DATA, **fields), cert)
    return answer(Evidence(kind="sev-snp", report=raw, certificates=[der(vek)], collateral=crl))


def tdx(body: Body, platform: Platform | None = None, log: bytes = b"") -> Attested:
    quote = INTEL.quote(body, platform)
    return answer(Evidence(kind="tdx", report=quote, collateral=INTEL.collateral(), event_log=log))


BY_INTEL = Policy(intel_root=INTEL.root_der)


class TestDrafts:
    def test_simulated(self):
        verdict, text = accepted(answer(SIMULATED), Policy(), MARKET)
        assert (verdict.simulated, verdict.entry) == (True, "simulated")
        assert "CONFIRM" in text

    def test_no_hardware(self):
        attested = answer(Evidence(kind="none"), trust="open")
        verdict, text = accepted(attested, Policy())
        assert (verdict.trust, verdict.entry) == ("open", "none")
        assert "can read" in text

    def test_milan(self):
        pki = Pki()
        roots = Policy(vendor_roots=pki.roots)
        verdict, text = accepted(snp(pki), roots)
        assert (verdict.entry, verdict.warnings) == ("snp 1", ())
        (table,) = tomllib.loads(text)["snp"]
        assert table["allowed_chip_ids"] == ["ab" * 64]
        assert (table["revocation"], table["allow_vlek"]) == ("if-present", False)
        assert table["min_tcb"] == {"bl": 4, "tee": 0, "snp": 24, "ucode": 219}
        with pytest.raises(EvidenceRefused, match="launched"):
            judged(snp(pki, measurement=b"\x99" * 48), parse_policy(text, "draft"), roots)

    def test_its_minimum_is_the_oldest_of_three(self):
        pki = Pki()
        older = bytes([4, 0, 0, 0, 0, 0, 23, 219])
        _, text = accepted(snp(pki, launch_tcb=older), Policy(vendor_roots=pki.roots))
        assert tomllib.loads(text)["snp"][0]["min_tcb"]["snp"] == 23

    def test_a_clouds_key_a_list_and_strict_bits(self):
        pki = Pki()
        attested = snp(pki, crl=pki.crl(), key_info=VLEK, chip_id=bytes(64), policy=0x120000, platform_info=0)
        verdict, text = accepted(attested, Policy(vendor_roots=pki.roots))
        (table,) = tomllib.loads(text)["snp"]
        assert (table["revocation"], table["allow_vlek"]) == ("require", True)
        assert (table["allowed_chip_ids"], table["platform_require"]) == ("any", "none")
        assert table["guest_policy"] == {
            "debug": False,
            "migrate_ma": False,
            "smt": False,
            "single_socket": True,
        }
        assert verdict.warnings

    def test_turin(self):
        pki, tcb, chip = Pki("Turin"), bytes([1, 4, 0, 24, 0, 0, 0, 219]), b"\xab" * 8
        fields = {"current_tcb": tcb, "reported_tcb": tcb, "committed_tcb": tcb, "launch_tcb": tcb}
        attested = snp(
            pki, Cert(versions=tcb, chip=chip), cpuid=CPUID["Turin"], chip_id=chip.ljust(64, b"\0"), **fields
        )
        _, text = accepted(attested, Policy(vendor_roots=pki.roots))
        (table,) = tomllib.loads(text)["snp"]
        assert (table["min_tcb"]["fmc"], table["allowed_chip_ids"]) == (1, ["ab" * 8])

    def test_tdx(self):
        verdict, text = accepted(tdx(Body(report_data=DATA, version=5)), BY_INTEL)
        assert (verdict.entry, verdict.warnings) == ("tdx 1", ())
        (table,) = tomllib.loads(text)["tdx"]
        assert (table["allowed_piids"], table["event_log"]) == ([PIID.hex()], "none")
        with pytest.raises(EvidenceRefused, match="launched"):
            judged(tdx(Body(report_data=DATA, mrtd=b"\x99" * 48)), parse_policy(text, "draft"), BY_INTEL)

    def test_tdx_with_a_log_and_without_a_name(self):
        body = Body(report_data=DATA, rtmr=(*RTMRS[:3], RTMR3))
        assert body.rtmr == LOGGED.rtmr
        _, text = accepted(tdx(body, Platform(piid=b""), LOG), BY_INTEL)
        (table,) = tomllib.loads(text)["tdx"]
        assert (table["rtmr"][3], table["allowed_piids"]) == ("eventlog", "any")
        assert table["event_log"] == {"system-preparing": [""], "compose-hash": ["66" * 32]}

    def test_events_of_strange_names(self):
        name = 'a"] = \n\\ \x7f'
        register = extended(digest_of(name, b"x"))
        body = Body(report_data=DATA, rtmr=(*RTMRS[:3], register))
        _, text = accepted(tdx(body, log=log_of(event(name, b"x"))), BY_INTEL)
        assert tomllib.loads(text)["tdx"][0]["event_log"] == {name: ["78"]}

    def test_an_event_that_comes_twice_leaves_the_register(self):
        register = extended(*[digest_of("compose-hash", b"\x66" * 32)] * 2)
        body = Body(report_data=DATA, rtmr=(*RTMRS[:3], register))
        _, text = accepted(tdx(body, log=log_of(HASH, HASH)), BY_INTEL)
        assert tomllib.loads(text)["tdx"][0]["rtmr"][3] == register.hex()

    @pytest.mark.parametrize(
        ("attested", "rule"),
        [
            (answer(SIMULATED), "chain"),
            (tdx(Body(report_data=DATA)), "collateral"),
            (answer(Evidence(kind="sev-snp", report=b"x", certificates=[b"x"])), "certificates"),
            (answer(Evidence(kind="sev-snp")), "certificates"),
        ],
    )
    def test_what_is_not_genuine_has_no_draft(self, attested, rule):
        with pytest.raises(EvidenceRefused) as error:
            draft(attested, NOW, None, Policy())
        assert error.value.rule == rule

# SPDX-License-Identifier: Apache-2.0
import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.paths import ROOT as REPOSITORY
from tests.protocol.attestation.evidence import (
    BINDING,
    IN_2025,
    NONCE,
    PEER_ID,
    REPLY_KEY,
    certificate,
    read,
)
from tests.protocol.attestation.pki import DAY, NOW, Cert, Pki, der
from tests.protocol.attestation.tdx.tdx_pki import ENTRY, EXPIRY, PIID, Body, Intel
from trustedpods.protocol import limits
from trustedpods.protocol.attestation.checks import Check
from trustedpods.protocol.attestation.policy.localnets import NamedLocalnet
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.attestation.profile import present
from trustedpods.protocol.attestation.report_data import report_data
from trustedpods.protocol.attestation.simulated import (
    SimulatedMarket,
    SimulatedRoot,
    SimulatedSigner,
    market_digest,
)
from trustedpods.protocol.attestation.snp.policy import SnpEntry
from trustedpods.protocol.attestation.snp.report import SnpReport, Tcb
from trustedpods.protocol.attestation.verdict import Verdict, verify_evidence
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import EvidenceRefused, RemoteProtocolError
from trustedpods.protocol.evidence import Attested, Evidence, KeyBinding
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.sealing import hpke

REGISTRY = address_from_bytes(b"\x0a" * 20)
PAYMENTS = address_from_bytes(b"\x0b" * 20)
ROOT = SimulatedRoot.make(31337, REGISTRY, PAYMENTS, NOW)
SIGNER = SimulatedSigner(ROOT.machine_pem)
POLICY = Policy(simulated=SimulatedMarket(ROOT.chain_pem, 31337, REGISTRY, PAYMENTS))
OPEN = Policy(simulated=POLICY.simulated, allow_open=True)
INTEL = Intel()
TDX_POLICY = Policy(tdx=(ENTRY,), intel_root=INTEL.root_der)
TDX_QUOTE = read("tdx-v4-phala-uptodate", "tdx_quote")
SECOND = timedelta(seconds=1)
NO_HARDWARE = Evidence(kind="none")
STRANGER = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)


def bound(**changes) -> KeyBinding:
    return BINDING.model_copy(update=changes)


def answer(
    binding: KeyBinding = BINDING,
    *,
    nonce: bytes = NONCE,
    evidence: Evidence | None = None,
    signer: SimulatedSigner = SIGNER,
) -> Attested:
    """What an honest provider with these keys says."""
    evidence = evidence or signer.sign(report_data(nonce, binding))
    return present(nonce, evidence, binding, b"a profile", REPLY_KEY)


def judge(attested: Attested, policy: Policy = POLICY, now: datetime = NOW) -> Verdict:
    return verify_evidence(attested, nonce=NONCE, peer_id=PEER_ID, now=now, policy=policy)


def rule_of(attested: Attested, policy: Policy = POLICY, now: datetime = NOW) -> str | None:
    with pytest.raises(EvidenceRefused) as error:
        judge(attested, policy, now)
    return error.value.rule


class TestAccepted:
    def test_a_simulated_machine_in_its_own_market(self):
        attested = answer()
        verdict = judge(attested)
        assert (verdict.trust, verdict.simulated) == ("sealed", True)
        assert verdict.platform == "SIMULATED AMD SEV-SNP (Milan)"
        assert verdict.report_digest == hashlib.sha256(attested.evidence.report).digest()
        assert verdict.chip_id == attested.evidence.report[0x1A0:0x1E0]
        assert {"nonce", "peer-id", "report-data", "measurement", "foreign-localnet"} <= {*verdict.checks}
        assert not {"revocation", "host-data", "allowed-chip"} & {*verdict.checks}

    def test_no_hardware_where_open_is_allowed(self):
        verdict = judge(answer(bound(trust="open"), evidence=NO_HARDWARE), OPEN)
        assert (verdict.trust, verdict.simulated, verdict.chip_id) == ("open", False, b"")
        assert verdict.platform == "no hardware evidence"
        assert "report-data" not in verdict.checks
        assert "peer-id" in verdict.checks

    def test_an_open_provider_with_hardware(self):
        assert judge(answer(bound(trust="open")), OPEN).trust == "open"

    def test_a_sealed_provider_where_open_is_allowed(self):
        assert judge(answer(), OPEN).trust == "sealed"

    def test_real_evidence_up_to_what_it_binds(self):
        """No real machine has bound our keys; all else of its evidence holds."""
        raw = read("snp-milan-virtee", "report_milan.hex")
        vek = der(certificate("snp-milan-virtee", "vcek_milan.der"))
        evidence = Evidence(kind="sev-snp", report=raw, certificates=[vek])
        assert rule_of(answer(evidence=evidence), Policy(), IN_2025) == "report-data"


class TestTheQuestion:
    """Class, peer, nonce and keys."""

    def test_open_needs_to_be_allowed(self):
        assert rule_of(answer(bound(trust="open"), evidence=NO_HARDWARE)) == "trust"
        assert rule_of(answer(bound(trust="open"))) == "trust"

    def test_sealed_needs_hardware(self):
        assert rule_of(answer(evidence=NO_HARDWARE)) == "trust"
        assert rule_of(answer(evidence=NO_HARDWARE), OPEN) == "trust"

    def test_evidence_of_another_peer(self):
        assert rule_of(answer(bound(peer_id=b"\x00\x24" + bytes(36)))) == "peer-id"

    def test_a_stale_nonce(self):
        assert rule_of(answer(nonce=b"\x00" * 32)) == "nonce"

    def test_a_stale_report_behind_a_fresh_nonce(self):
        stale = SIGNER.sign(report_data(bytes(32), BINDING))
        assert rule_of(answer(evidence=stale)) == "report-data"

    @pytest.mark.parametrize(
        "claimed",
        [
            {"hpke_key": hpke.PrivateKey.generate().public_bytes},
            {"boot_id": b"x" * 32},
            {"meter": b"x" * 20},
            {"tls_key_digest": b"x" * 32},
            {"config_digest": b"x" * 32},
        ],
        ids=lambda claimed: next(iter(claimed)),
    )
    def test_a_swapped_key(self, claimed):
        genuine = SIGNER.sign(report_data(NONCE, BINDING))
        assert rule_of(answer(bound(**claimed), evidence=genuine)) == "report-data"

    def test_a_swapped_class(self):
        open_machine = SIGNER.sign(report_data(NONCE, bound(trust="open")))
        assert rule_of(answer(evidence=open_machine)) == "report-data"

    def test_a_swapped_peer(self):
        elsewhere = SIGNER.sign(report_data(NONCE, bound(peer_id=b"\x00\x24" + bytes(36))))
        assert rule_of(answer(evidence=elsewhere)) == "report-data"

    def test_another_reply_key(self):
        forged = bound(reply_key=STRANGER.public_key().public_bytes_raw())
        assert rule_of(answer(forged)) == "profile-signature"
        both = present(NONCE, SIGNER.sign(report_data(NONCE, BINDING)), forged, b"p", STRANGER)
        assert rule_of(both) == "report-data"

    @pytest.mark.parametrize(
        "change", [{"profile": b"other"}, {"profile_signature": bytes(64)}], ids=["profile", "signature"]
    )
    def test_a_changed_profile(self, change):
        assert rule_of(answer().model_copy(update=change)) == "profile-signature"

    def test_a_profile_of_another_question(self):
        old = answer(nonce=bytes(32), evidence=SIGNER.sign(report_data(NONCE, BINDING)))
        assert rule_of(old.model_copy(update={"nonce": NONCE})) == "profile-signature"

    def test_an_unusable_reply_key(self):
        assert rule_of(answer(bound(reply_key=b"\xff" * 32))) == "profile-signature"

    def test_another_suite(self):
        assert rule_of(answer(bound(hpke_suite="DHKEM-X25519"))) == "hpke-suite"

    @pytest.mark.parametrize("size", [0, 32, 1215, 1217])
    def test_an_unusable_sealing_key(self, size):
        assert rule_of(answer(bound(hpke_key=b"\xff" * size))) == "hpke-key"


class TestTheEvidence:
    def test_a_report_of_another_kind_than_it_says(self):
        good = answer().evidence
        as_tdx = Evidence(kind="tdx", report=good.report, collateral=b"{}")
        assert rule_of(answer(evidence=as_tdx)) == "unsupported-platform"
        with_certificate = as_tdx.model_copy(update={"certificates": good.certificates})
        assert rule_of(answer(evidence=with_certificate)) == "certificates"
        as_snp = Evidence(kind="sev-snp", report=TDX_QUOTE, certificates=good.certificates)
        assert rule_of(answer(evidence=as_snp)) == "report"

    def test_an_event_log_beside_an_snp_report(self):
        evidence = answer().evidence.model_copy(update={"event_log": b"[]"})
        assert rule_of(answer(evidence=evidence)) == "report"

    def test_a_forged_root_with_our_markets_name(self):
        forged = SimulatedRoot.make(31337, REGISTRY, PAYMENTS, NOW)
        assert rule_of(answer(signer=SimulatedSigner(forged.machine_pem))) == "chain"

    @pytest.mark.parametrize(
        "market", [(31338, REGISTRY, PAYMENTS), (31337, PAYMENTS, PAYMENTS), (31337, REGISTRY, REGISTRY)]
    )
    def test_another_localnet(self, market):
        chain_id, registry, payments = market
        foreign = SimulatedRoot.make(chain_id, registry, payments, NOW)
        assert rule_of(answer(signer=SimulatedSigner(foreign.machine_pem))) == "foreign-localnet"

    def test_our_localnets_root_taken_to_another_market(self):
        elsewhere = Policy(simulated=SimulatedMarket(ROOT.chain_pem, 1, REGISTRY, PAYMENTS))
        assert rule_of(answer(), elsewhere) == "foreign-localnet"

    def test_simulated_evidence_in_a_real_market(self):
        assert rule_of(answer(), Policy()) == "simulated"
        assert rule_of(answer(), Policy(allow_open=True)) == "simulated"

    def test_a_vendor_that_nobody_pinned(self):
        raw, vek = Pki().make()
        evidence = Evidence(kind="sev-snp", report=raw, certificates=[der(vek)])
        assert rule_of(answer(evidence=evidence)) == "chain"

    def test_an_unknown_vendor_that_names_our_issuer(self):
        report = SnpReport.parse(answer().evidence.report)
        issuer = SIGNER._vek.issuer.rfc4514_string().removeprefix("CN=")
        raw, vek = Pki().make(report, Cert(issuer=issuer))
        evidence = Evidence(kind="sev-snp", report=raw, certificates=[der(vek)])
        assert rule_of(answer(evidence=evidence)) == "chain"

    def test_after_the_root_expired(self):
        assert rule_of(answer(), now=NOW + 9999 * DAY) == "validity"

    @pytest.mark.parametrize("count", [0, 2, limits.MAX_CERTIFICATES])
    def test_not_exactly_one_certificate(self, count):
        good = answer().evidence
        evidence = good.model_copy(update={"certificates": good.certificates * count})
        assert rule_of(answer(evidence=evidence)) == "certificates"

    @pytest.mark.parametrize("count", [limits.MAX_CERTIFICATES + 1, 1000])
    def test_more_certificates_than_a_message_may_hold(self, count):
        good = answer()
        many = good.evidence.model_copy(update={"certificates": good.evidence.certificates * count})
        raw = encode(good.model_copy(update={"evidence": many}))
        with pytest.raises(RemoteProtocolError, match="certificates"):
            decode(raw, Attested)

    @pytest.mark.parametrize("kind", ["", "sgx", "SEV-SNP", "arm-cca"])
    def test_an_unknown_kind(self, kind):
        good = answer()
        raw = encode(good.model_copy(update={"evidence": good.evidence.model_copy(update={"kind": kind})}))
        with pytest.raises(RemoteProtocolError, match="kind"):
            decode(raw, Attested)

    def test_clocks_at_the_ends_of_a_certificates_life(self):
        vek = x509.load_der_x509_certificate(answer().evidence.certificates[0])
        start, end = vek.not_valid_before_utc, vek.not_valid_after_utc
        for now in (start, end):
            assert judge(answer(), now=now).simulated
        for now in (start - SECOND, end + SECOND):
            assert rule_of(answer(), now=now) == "validity"

    def test_too_much_of_it(self):
        good = answer().evidence
        evidence = good.model_copy(update={"collateral": bytes(limits.MAX_EVIDENCE)})
        assert rule_of(answer(evidence=evidence)) == "size"

    def test_a_revocation_list_that_is_none(self):
        evidence = answer().evidence.model_copy(update={"collateral": b"\x30\x00"})
        assert rule_of(answer(evidence=evidence)) == "revocation"

    def test_a_genuine_machine_without_a_policy_for_it(self):
        pki = Pki()
        report = SnpReport.parse(answer().evidence.report)._replace(chip_id=b"\xab" * 64)
        raw, vek = pki.make(report)
        evidence = Evidence(kind="sev-snp", report=raw, certificates=[der(vek)])
        assert rule_of(answer(evidence=evidence), Policy(vendor_roots=pki.roots)) == "policy"
        entry = SnpEntry("Milan", frozenset({report.measurement}), Tcb(), revocation="if-present")
        verdict = judge(answer(evidence=evidence), Policy((entry,), vendor_roots=pki.roots))
        assert (verdict.simulated, verdict.platform) == (False, "AMD SEV-SNP (Milan)")
        assert verdict.entry == "snp 1"
        assert "allowed_chip_ids" in verdict.warnings[0]
        chips = replace(entry, allowed_chip_ids=frozenset({b"\xab" * 64}), host_data=frozenset({bytes(32)}))
        listed = Policy((entry, chips)[1:], vendor_roots=pki.roots)
        assert judge(answer(evidence=evidence), listed).warnings == ()
        assert {"allowed-chip", "host-data"} <= {*judge(answer(evidence=evidence), listed).checks}
        assert rule_of(answer(evidence=evidence), replace(POLICY, vendor_roots=pki.roots)) == "policy"


class TestTdx:
    """The same question to the other vendor's machines."""

    def evidence(self, data: bytes, **body) -> Evidence:
        quote = INTEL.quote(Body(report_data=data, **body))
        return Evidence(kind="tdx", report=quote, collateral=INTEL.collateral())

    def answer(self, nonce: bytes = NONCE, **body) -> Attested:
        return answer(evidence=self.evidence(report_data(nonce, BINDING), **body))

    def test_a_good_one(self):
        verdict = judge(self.answer(), TDX_POLICY)
        assert (verdict.trust, verdict.simulated, verdict.platform) == ("sealed", False, "Intel TDX")
        assert (verdict.chip_id, verdict.entry, verdict.policy) == (PIID, "tdx 1", "built-in")
        assert verdict.expiry == EXPIRY
        assert {"tcb-status", "rtmr", "xfam", "collateral", "report-data"} <= {*verdict.checks}
        assert not {"events", "allowed-chip", "mr-seam", "host-data", "vmpl"} & {*verdict.checks}
        assert "allowed_piids" in verdict.warnings[0]

    def test_a_listed_platform_needs_no_warning(self):
        listed = replace(TDX_POLICY, tdx=(replace(ENTRY, allowed_piids=frozenset({PIID})),))
        verdict = judge(self.answer(), listed)
        assert verdict.warnings == ()
        assert "allowed-chip" in verdict.checks

    def test_the_entry_that_matched_is_named(self):
        other = replace(ENTRY, mrtd=frozenset({b"\x12" * 48}))
        assert judge(self.answer(), replace(TDX_POLICY, tdx=(other, ENTRY))).entry == "tdx 2"

    def test_a_bad_one(self):
        assert rule_of(self.answer(nonce=bytes(32)), TDX_POLICY) == "report-data"
        assert rule_of(self.answer(mrtd=b"\x12" * 48), TDX_POLICY) == "measurement"
        assert rule_of(self.answer(), replace(TDX_POLICY, tdx=())) == "policy"
        assert rule_of(self.answer(), POLICY) == "collateral"  # Intel's root did not sign it
        assert rule_of(self.answer(), TDX_POLICY, NOW + 900 * DAY) == "validity"

    def test_a_swapped_key(self):
        genuine = self.evidence(report_data(NONCE, BINDING))
        swapped = bound(hpke_key=hpke.PrivateKey.generate().public_bytes)
        assert rule_of(answer(swapped, evidence=genuine), TDX_POLICY) == "report-data"

    def test_without_statements(self):
        bare = self.answer().evidence.model_copy(update={"collateral": b""})
        assert rule_of(answer(evidence=bare), TDX_POLICY) == "collateral"

    def test_with_certificates(self):
        evidence = self.answer().evidence.model_copy(update={"certificates": [b"x"]})
        assert rule_of(answer(evidence=evidence), TDX_POLICY) == "certificates"

    @pytest.mark.parametrize("part", ["report", "collateral", "event_log"])
    def test_too_much_of_it(self, part):
        evidence = self.answer().evidence.model_copy(update={part: bytes(limits.MAX_EVIDENCE)})
        assert rule_of(answer(evidence=evidence), TDX_POLICY) == "size"
        assert rule_of(self.answer(), replace(TDX_POLICY, max_evidence=1024)) == "size"
        assert rule_of(answer(evidence=evidence), replace(TDX_POLICY, max_evidence=1 << 30)) == "size"

    def test_what_the_platform_is_must_be_written_down(self):
        """A policy file's classes and kinds."""
        hardware = replace(TDX_POLICY, allow_open=True, require_hardware=True)
        nothing = answer(bound(trust="open"), evidence=NO_HARDWARE)
        assert rule_of(nothing, hardware) == "trust"
        assert judge(nothing, replace(hardware, require_hardware=False)).entry == "none"
        assert rule_of(self.answer(), replace(TDX_POLICY, allow_sealed=False, allow_open=True)) == "trust"


class TestMarkets:
    """Simulated evidence counts where the policy names the market and the market's file has its root."""

    MARKET = POLICY.simulated

    def test_a_named_market(self):
        named = Policy(localnets=(NamedLocalnet(market_digest(31337, REGISTRY, PAYMENTS)),))
        assert judge(answer(), named.in_market(self.MARKET)).entry == "simulated"
        assert judge(answer(), named.in_market(self.MARKET)).warnings == ()
        assert rule_of(answer(), named) == "simulated"
        assert rule_of(answer(), named.in_market(None)) == "simulated"

    def test_another_market(self):
        named = Policy(localnets=(NamedLocalnet(market_digest(1, REGISTRY, PAYMENTS)),))
        assert rule_of(answer(), named.in_market(self.MARKET)) == "simulated"
        assert rule_of(answer(), Policy().in_market(self.MARKET)) == "simulated"


def test_every_check_is_documented():
    text = (REPOSITORY / "docs" / "attestation.md").read_text()
    assert [check for check in Check if f"| `{check}` |" not in text] == []

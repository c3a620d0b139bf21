# SPDX-License-Identifier: Apache-2.0
"""Genuine machines judged by a policy whose measurements come from a release file."""

from dataclasses import replace

import pytest

from tests.protocol.attestation.evidence import BINDING, NONCE, PEER_ID
from tests.protocol.attestation.pki import NOW, Pki, der
from tests.protocol.attestation.policy.test_file import HEAD, SNP
from tests.protocol.attestation.releases.signed import image, release, shape, withdrawn
from tests.protocol.attestation.tdx.tdx_pki import Body
from tests.protocol.attestation.test_verdict import INTEL, answer
from trustedpods.protocol.attestation.policy.file import parse_policy
from trustedpods.protocol.attestation.report_data import report_data
from trustedpods.protocol.attestation.snp.report import SnpReport
from trustedpods.protocol.attestation.verdict import verify_evidence
from trustedpods.protocol.errors import EvidenceRefused
from trustedpods.protocol.evidence import Evidence

PKI = Pki()
MILAN = {"Milan": {"bl": 0, "tee": 0, "snp": 0, "ucode": 0, "fmc": None}}
TDX_SHAPES = [{"page_order": "page-by-page", "mrtd": "11" * 48, "rtmr1": "21" * 48, "rtmr2": "22" * 48}]
TABLE = (
    SNP.replace("Genoa", "Milan")
    .replace("bl = 10, tee = 0, snp = 23, ucode = 84", "bl = 0, tee = 0, snp = 0, ucode = 0")
    .replace('"require"', '"if-present"')
    .replace('["alias_check_complete"]', '"none"')
    .replace(f'["{"ab" * 64}"]', '"any"')
)
ONLY_SNP = HEAD.replace('"sev-snp", "tdx", "simulated"', '"sev-snp"')
BY_RELEASE = ONLY_SNP + "min_release = 1\n" + TABLE.replace(f'["{"11" * 48}"]', '"release"')
BY_LIST = ONLY_SNP + TABLE


class Fixed:
    def __init__(self, held):
        self.held = held

    def demanded(self, least):
        return self.held

    def for_names(self):
        return self.held


def held(**changes):
    return release(
        images=[image("0.1.0", [shape("ff")], least_snp=MILAN), image("0.2.0", least_snp=MILAN, **changes)]
    )


def machine(measurement: bytes):
    report = SnpReport.parse(answer().evidence.report)._replace(measurement=measurement, chip_id=b"\xab" * 64)
    raw, vek = PKI.make(report)
    return answer(evidence=Evidence(kind="sev-snp", report=raw, certificates=[der(vek)]))


def judge(attested, text: str, what):
    policy = replace(parse_policy(text, "p", Fixed(what)), vendor_roots=PKI.roots, intel_root=INTEL.root_der)
    return verify_evidence(attested, nonce=NONCE, peer_id=PEER_ID, now=NOW, policy=policy)


def refused(attested, text: str, what) -> EvidenceRefused:
    with pytest.raises(EvidenceRefused) as error:
        judge(attested, text, what)
    return error.value


OURS = machine(b"\x11" * 48)


def test_a_released_image_is_accepted_by_its_name():
    verdict = judge(OURS, BY_RELEASE, held())
    assert verdict.entry == "snp 1: image 0.2.0 with 2 vCPUs (EPYC-v4)"  # the newest image's is the first
    assert "withdrawn" in verdict.checks


def test_a_withdrawn_image_is_refused_as_that():
    error = refused(OURS, BY_RELEASE, held(withdrawn=withdrawn()))
    assert error.rule == "withdrawn"
    assert error.what == (
        "the machine runs image 0.2.0 with 2 vCPUs (EPYC-v4), withdrawn on 2026-12-24:"
        " its kernel lets the host in"
    )
    alone = release(images=[image("0.2.0", least_snp=MILAN, withdrawn=withdrawn())])
    assert refused(OURS, BY_RELEASE, alone).rule == "withdrawn"


def test_an_image_that_nobody_released():
    error = refused(machine(b"\x77" * 48), BY_RELEASE, held())
    assert error.rule == "measurement"
    assert error.what.endswith("not one that the policy lists: it is an image that no release names")


def test_an_image_that_the_policy_does_not_list_is_named():
    other = BY_LIST.replace("11" * 48, "12" * 48)
    error = refused(OURS, other, held())
    assert error.rule == "measurement"
    assert error.what.endswith("lists: it is image 0.2.0 with 2 vCPUs (EPYC-v4)")
    assert "it is" not in refused(OURS, other, None).what


def test_the_firmware_of_the_image_that_runs_is_what_counts():
    strict = {"Milan": MILAN["Milan"] | {"snp": 255}}
    what = release(images=[image("0.1.0", [shape("ff")], least_snp=MILAN), image("0.2.0", least_snp=strict)])
    assert refused(OURS, BY_RELEASE, what).rule == "tcb-minimum"
    newer = release(images=[image("0.2.0", least_snp=strict), image("0.3.0", [shape("ff")], least_snp=MILAN)])
    assert refused(OURS, BY_RELEASE, newer).rule == "tcb-minimum"


def test_a_policy_may_list_a_withdrawn_image_and_is_warned():
    verdict = judge(OURS, BY_LIST, held(withdrawn=withdrawn("a hole")))
    words = "image 0.2.0 with 2 vCPUs (EPYC-v4), withdrawn on 2026-12-24: a hole"
    assert verdict.warnings[-1] == f"the policy lists a measurement of {words}"
    assert "withdrawn" not in verdict.checks


class TestTrustDomains:
    TEXT = (
        HEAD.replace('"sev-snp", "tdx", "simulated"', '"tdx"')
        + f"""\
min_release = 1
[[tdx]]
mrtd = "release"
rtmr = ["any", "release", "release", "{"23" * 48}"]
event_log = "none"
mr_seam = "any"
mr_config_id = "any"
td_attributes = "0000001000000000"
xfam = ["e702060000000000"]
min_tee_tcb_svn = "05010200000000000000000000000000"
tcb_status = ["UpToDate"]
reject_advisories = "none"
min_tcb_eval_data_number = 18
allowed_piids = "any"
"""
    )
    LEAST = "05" + "00" * 15

    def machine(self, **body):
        quote = INTEL.quote(Body(report_data=report_data(NONCE, BINDING), **body))
        return answer(evidence=Evidence(kind="tdx", report=quote, collateral=INTEL.collateral()))

    def what(self, least: str = LEAST, **changes):
        return release(images=[image("0.2.0", [], TDX_SHAPES, least_tdx=least, **changes)])

    def test_whatever_the_host_put_into_rtmr0(self):
        for first in (b"\x20" * 48, b"\x99" * 48):
            registers = (first, b"\x21" * 48, b"\x22" * 48, b"\x23" * 48)
            verdict = judge(self.machine(rtmr=registers), self.TEXT, self.what())
            assert verdict.entry == "tdx 1: image 0.2.0"

    @pytest.mark.parametrize("at", [1, 2, 3])
    def test_another_kernel_or_command_line_or_run_time(self, at):
        registers = [b"\x20" * 48, b"\x21" * 48, b"\x22" * 48, b"\x23" * 48]
        registers[at] = b"\x99" * 48
        error = refused(self.machine(rtmr=tuple(registers)), self.TEXT, self.what())
        assert error.rule == "rtmr"
        assert error.what.endswith("it is image 0.2.0" if at == 3 else "it is an image that no release names")

    def test_a_withdrawn_image_and_old_firmware(self):
        assert refused(self.machine(), self.TEXT, self.what(withdrawn=withdrawn())).rule == "withdrawn"
        assert refused(self.machine(), self.TEXT, self.what("ff" + "00" * 15)).rule == "tcb-minimum"

# SPDX-License-Identifier: Apache-2.0
"""Collecting evidence from a kernel: what it answers is checked, what passes is tried again."""

import errno
from datetime import UTC, datetime

import pytest

from tests.fakes.kernel_tee import FakeKernel
from tests.protocol.attestation.pki import NOW, REPORT, VLEK, Pki, der
from tests.protocol.attestation.tdx.tdx_pki import NOW as TDX_NOW
from tests.protocol.attestation.tdx.tdx_pki import Body, Intel
from tests.provider.tee.test_certificates import table
from trustedpods.protocol.attestation.simulated import SimulatedRoot, SimulatedSigner
from trustedpods.protocol.attestation.snp import chain as snp_chain
from trustedpods.protocol.attestation.snp import verifier as snp
from trustedpods.protocol.attestation.tdx import verifier as tdx
from trustedpods.protocol.errors import BadInput, NoContext, Refused
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.limits import MAX_EVIDENCE
from trustedpods.provider.tee import HardwareTee, certificates, from_setting, tsm

DATA = bytes(range(64))
PKI, INTEL = Pki(), Intel()
SOMEBODY = address_from_bytes(b"\x0a" * 20)


class Snp:
    """A chip that signs what it is asked, and the table with its certificate."""

    def __init__(self, **fields):
        self.fields = fields
        self.raw, self.vek = PKI.make(REPORT._replace(report_data=DATA, **fields))

    def answer(self, report_data):
        assert report_data == DATA
        return self.raw

    @property
    def table(self):
        kind = certificates.VLEK if self.fields.get("key_info") else certificates.VCEK
        raw = der(self.vek)
        return table((kind, 48, len(raw)), content=raw)


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.fixture
def kernel(tmp_path):
    """A FakeKernel over a chip of this machine."""

    def make(chip=None, **more):
        chip = chip or Snp()
        return FakeKernel(tmp_path / "report", chip.answer, **{"auxblob": chip.table} | more)

    return make


def tdx_kernel(tmp_path, answer=None, **more):
    def quote(report_data):
        return INTEL.quote(Body(report_data=report_data))

    return FakeKernel(tmp_path / "report", answer or quote, provider="tdx_guest", floor=None, **more)


def no_pause(_seconds):
    """Tests do not wait."""


def hardware(kernel, files=None):
    return HardwareTee(kernel, files, no_pause)


class TestSnp:
    def test_evidence_verifies(self, kernel):
        collector = hardware(kernel())
        evidence = collector.collect(DATA)
        assert (collector.kind, collector.simulated, evidence.kind) == ("sev-snp", False, "sev-snp")
        vek = snp_chain.load_vek(evidence.certificates[0])
        assert snp.verify(evidence.report, vek, PKI.roots, NOW).report.report_data == DATA
        assert (evidence.collateral, evidence.event_log) == (b"", b"")

    def test_nothing_is_left_behind(self, kernel):
        door = kernel()
        hardware(door).collect(DATA)
        assert door.entries() == []

    def test_what_a_killed_daemon_left_is_removed(self, kernel):
        door = kernel()
        door.make("trustedpods-1-abc")
        door.make("somebody-elses")
        hardware(door)
        assert door.entries() == ["somebody-elses"]

    def test_the_highest_privilege_that_the_host_allows(self, kernel):
        door = kernel(floor="2")
        hardware(door).collect(DATA)
        assert door.privileges == [b"2"]

    def test_a_clouds_key(self, kernel):
        chip = Snp(key_info=VLEK, chip_id=bytes(64))
        evidence = hardware(kernel(chip)).collect(DATA)
        assert evidence.certificates == [der(chip.vek)]

    def test_the_certificate_of_the_other_kind_does_not_do(self, kernel):
        chip = Snp(key_info=VLEK, chip_id=bytes(64))
        raw = der(chip.vek)
        door = kernel(chip, auxblob=table((certificates.VCEK, 48, len(raw)), content=raw))
        with pytest.raises(NoContext, match="certificate"):
            hardware(door).collect(DATA)

    @pytest.mark.parametrize("auxblob", [b"", None, bytes(24)])
    def test_a_certificate_from_the_operator(self, kernel, files, auxblob):
        chip = Snp()
        collector = hardware(kernel(chip, auxblob=auxblob), files)
        with pytest.raises(NoContext) as error:
            collector.collect(DATA)
        assert error.value.where == str(files / "vek.der")
        (files / "vek.der").write_bytes(der(chip.vek))
        assert collector.collect(DATA).certificates == [der(chip.vek)]

    def test_a_revocation_list_from_the_operator(self, kernel, files):
        (files / "crl.der").write_bytes(PKI.crl())
        evidence = hardware(kernel(), files).collect(DATA)
        assert evidence.collateral == (files / "crl.der").read_bytes()
        vek = snp_chain.load_vek(evidence.certificates[0])
        assert snp.verify(evidence.report, vek, PKI.roots, NOW, evidence.collateral).revocation_checked

    def test_a_certificate_that_is_pem(self, kernel, files):
        (files / "vek.der").write_text("-----BEGIN CERTIFICATE-----\n")
        with pytest.raises(Refused, match="malformed"):
            hardware(kernel(auxblob=b""), files).collect(DATA)

    @pytest.mark.parametrize("auxblob", [b"x", table((certificates.VCEK, 47, 4), content=b"vcek")])
    def test_a_false_table(self, kernel, auxblob):
        with pytest.raises(Refused, match="unusable"):
            hardware(kernel(auxblob=auxblob)).collect(DATA)

    def test_too_much_for_one_answer(self, kernel, files):
        (files / "crl.der").write_bytes(bytes(MAX_EVIDENCE))
        with pytest.raises(Refused, match="bytes of evidence"):
            hardware(kernel(), files).collect(DATA)
        (files / "crl.der").write_bytes(bytes(MAX_EVIDENCE + 1))
        with pytest.raises(NoContext, match="more than"):
            hardware(kernel(), files).collect(DATA)

    def test_a_file_that_cannot_be_read(self, kernel, files):
        (files / "crl.der").mkdir()
        with pytest.raises(NoContext, match="cannot read"):
            hardware(kernel(), files).collect(DATA)

    @pytest.mark.parametrize("report", [b"", bytes(1184), b"\xff" * 1184, bytes(1183), Snp().raw + b"\0"])
    def test_a_report_that_is_none(self, kernel, report):
        door = kernel()
        door.answer = lambda _data: report
        with pytest.raises(Refused, match="malformed"):
            hardware(door).collect(DATA)

    def test_a_report_over_something_else(self, kernel):
        door = kernel()
        door.answer = lambda _data: Snp().raw
        with pytest.raises(Refused, match="binds something else"):
            hardware(door).collect(bytes(64))


class TestTdx:
    @pytest.fixture
    def told(self, files):
        (files / "collateral.json").write_bytes(INTEL.collateral())
        return files

    @pytest.mark.parametrize("version", [4, 5])
    def test_evidence_verifies(self, tmp_path, told, version):
        door = tdx_kernel(tmp_path, lambda data: INTEL.quote(Body(report_data=data, version=version)))
        collector = hardware(door, told)
        evidence = collector.collect(DATA)
        assert (collector.kind, evidence.kind, evidence.certificates) == ("tdx", "tdx", [])
        verified = tdx.verify(evidence.report, evidence.collateral, b"", TDX_NOW, INTEL.root_der)
        assert verified.report_data == DATA

    def test_there_is_no_privilege_to_set(self, tmp_path, told):
        door = tdx_kernel(tmp_path)
        hardware(door, told).collect(DATA)
        assert door.privileges == []

    def test_an_event_log(self, tmp_path, told):
        (told / "event_log.json").write_text("[]")
        assert hardware(tdx_kernel(tmp_path), told).collect(DATA).event_log == b"[]"

    @pytest.mark.parametrize("with_folder", [True, False])
    def test_without_intels_statements(self, tmp_path, files, with_folder):
        with pytest.raises(NoContext, match="Intel"):
            hardware(tdx_kernel(tmp_path), files if with_folder else None).collect(DATA)

    @pytest.mark.parametrize("quote", [b"", bytes(5000), INTEL.quote()[:600], INTEL.quote() + b"x"])
    def test_a_quote_that_is_none(self, tmp_path, told, quote):
        with pytest.raises(Refused, match="malformed"):
            hardware(tdx_kernel(tmp_path, lambda _data: quote), told).collect(DATA)

    def test_a_quote_over_something_else(self, tmp_path, told):
        with pytest.raises(Refused, match="binds something else"):
            hardware(tdx_kernel(tmp_path, lambda _data: INTEL.quote()), told).collect(DATA)


class TestTheKernel:
    @pytest.mark.parametrize("operation", ["make", "inblob", "privlevel", "outblob", "auxblob", "generation"])
    @pytest.mark.parametrize("number", [errno.EBUSY, errno.EINTR, errno.ETIMEDOUT, errno.EAGAIN])
    def test_what_passes_is_tried_again(self, kernel, operation, number):
        door = kernel()
        collector = hardware(door)
        door.errors[operation] = [number] * (tsm.ATTEMPTS - 1)
        assert collector.collect(DATA).report
        assert door.entries() == []

    def test_but_not_for_ever(self, kernel):
        door, pauses = kernel(), []
        collector = HardwareTee(door, None, pauses.append)
        door.errors["outblob"] = [errno.EBUSY] * tsm.ATTEMPTS
        with pytest.raises(Refused) as error:
            collector.collect(DATA)
        assert error.value.rule == "tee-busy"
        assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8]
        assert door.entries() == []

    def test_an_answer_to_somebody_elses_question_is_thrown_away(self, kernel):
        door = kernel()
        collector = hardware(door)
        door.meddle = tsm.ATTEMPTS - 1
        assert collector.collect(DATA).report
        door.meddle = tsm.ATTEMPTS
        with pytest.raises(Refused, match="somebody else"):
            collector.collect(DATA)

    @pytest.mark.parametrize(
        ("number", "kind", "what"),
        [
            (errno.ENXIO, NoContext, "no TEE"),
            (errno.ENODEV, NoContext, "no TEE"),
            (errno.EOPNOTSUPP, NoContext, "no TEE"),
            (errno.EACCES, NoContext, "no right"),
            (errno.EPERM, NoContext, "no right"),
            (errno.ENOENT, NoContext, "does not exist"),
            (errno.EINVAL, Refused, "gave no report"),
            (errno.EFBIG, Refused, "gave no report"),
            (errno.EIO, Refused, "gave no report"),
        ],
    )
    def test_what_does_not_pass_is_said(self, kernel, number, kind, what):
        door = kernel()
        collector = hardware(door)
        door.errors["outblob"] = [number]
        with pytest.raises(kind, match=what):
            collector.collect(DATA)
        door.errors["make"] = [number]
        with pytest.raises(kind, match=what):
            hardware(door)

    def test_an_unknown_kind_of_tee(self, kernel):
        with pytest.raises(NoContext, match="arm_cca_guest"):
            hardware(kernel(provider="arm_cca_guest"))

    def test_a_kind_that_changes(self, kernel):
        door = kernel()
        collector = hardware(door)
        door.provider = "tdx_guest"
        with pytest.raises(Refused, match="is now tdx_guest"):
            collector.collect(DATA)

    def test_a_generation_that_is_no_number(self, kernel):
        door = kernel(floor="many")
        with pytest.raises(Refused, match="not a number"):
            hardware(door).collect(DATA)

    def test_an_error_that_hides_the_privilege(self, kernel):
        door = kernel()
        collector = hardware(door)
        door.errors["privlevel_floor"] = [errno.EIO]
        with pytest.raises(Refused, match="gave no report"):
            collector.collect(DATA)

    def test_no_more_than_the_limit_is_read(self, tmp_path):
        (tmp_path / "entry").mkdir()
        (tmp_path / "entry" / "outblob").write_bytes(bytes(tsm.MAX_BLOB + 1))
        with pytest.raises(OSError, match="too large"):
            tsm.ConfigfsTsm(tmp_path).read("entry", "outblob", tsm.MAX_BLOB)
        assert len(tsm.ConfigfsTsm(tmp_path).read("entry", "outblob", tsm.MAX_BLOB + 1)) == tsm.MAX_BLOB + 1

    def test_a_write_that_the_kernel_cuts(self, tmp_path, monkeypatch):
        (tmp_path / "entry").mkdir()
        (tmp_path / "entry" / "inblob").write_bytes(b"")
        monkeypatch.setattr("os.write", lambda _file, data: len(data) - 1)
        with pytest.raises(OSError, match="a part"):
            tsm.ConfigfsTsm(tmp_path).write("entry", "inblob", DATA)


class TestTheSetting:
    def test_a_machine_without_one_claims_none(self, tmp_path):
        for trust in ("sealed", "open"):
            with pytest.raises(NoContext, match="no TEE reports"):
                from_setting("hardware", trust, reports=tmp_path / "absent")

    def test_a_machine_that_may_have_one_is_told(self, tmp_path):
        with pytest.raises(NoContext, match="hardware"):
            from_setting("none", "sealed", reports=tmp_path)

    def test_a_directory_without_a_kernel_behind_it(self, tmp_path):
        with pytest.raises(NoContext, match="does not exist"):
            from_setting("hardware", "sealed", str(tmp_path), reports=tmp_path)

    def test_a_simulated_one_is_told_apart(self, tmp_path):
        root = SimulatedRoot.make(31337, SOMEBODY, SOMEBODY, datetime(2026, 1, 1, tzinfo=UTC))
        path = tmp_path / "tee.pem"
        path.write_text(root.machine_pem)
        collector = from_setting(f"simulated:{path}", "sealed")
        assert (collector.simulated, collector.kind) == (True, "sev-snp")
        assert SimulatedSigner(root.machine_pem).sign(DATA).kind == collector.collect(DATA).kind
        assert from_setting("none", "open").kind == "none"
        with pytest.raises(BadInput):
            from_setting("Hardware", "sealed")

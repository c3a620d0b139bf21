# SPDX-License-Identifier: Apache-2.0
from datetime import UTC, datetime

import pytest

from trustedpods.protocol.attestation.simulated import SimulatedRoot
from trustedpods.protocol.attestation.snp.report import SnpReport
from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.provider.tee import NoTee, SimulatedTee, from_setting

SOMEBODY = address_from_bytes(b"\x0a" * 20)
ROOT = SimulatedRoot.make(31337, SOMEBODY, SOMEBODY, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def machine(tmp_path):
    path = tmp_path / "tee.pem"
    path.write_text(ROOT.machine_pem)
    return path


@pytest.mark.parametrize("trust", ["sealed", "open"])
def test_a_simulated_chip_reports_what_it_is_given(machine, trust):
    collector = from_setting(f"simulated:{machine}", trust)
    evidence = collector.collect(b"\x07" * 64)
    assert isinstance(collector, SimulatedTee)
    assert collector.simulated
    assert SnpReport.parse(evidence.report).report_data == b"\x07" * 64


def test_without_hardware_there_is_no_evidence():
    collector = from_setting("none", "open")
    assert isinstance(collector, NoTee)
    assert not collector.simulated
    assert collector.collect(bytes(64)).kind == "none"


def test_sealed_without_hardware_says_what_to_do():
    with pytest.raises(NoContext) as error:
        from_setting("none", "sealed")
    assert "/sys/kernel/config/tsm/report" in error.value.what
    assert "open" in error.value.hint


OUTSIDE = [
    "simulated",
    "simulated:here",
    "simulated:10.0.2.9:0",
    "simulated:10.0.2.9:65536",
    "simulated:10.0.2.256:1",
]


@pytest.mark.parametrize("setting", ["", "sev-snp", "None", "/tee.pem", *OUTSIDE])
def test_other_words_are_bad_input(setting):
    with pytest.raises(BadInput) as error:
        from_setting(setting, "sealed")
    assert error.value.where == "identity.tee"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", ROOT.chain_pem.encode()])
def test_a_file_that_is_no_machine_is_named(tmp_path, content):
    path = tmp_path / "tee.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadInput) as error:
        from_setting(f"simulated:{path}", "sealed")
    assert error.value.where == str(path)

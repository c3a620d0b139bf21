# SPDX-License-Identifier: Apache-2.0
"""An image's files to its numbers: both computations agree, and what cannot be is refused by name."""

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.guest.image_files import COMMAND_LINE, firmware, write_image
from trustedpods.guest import measure
from trustedpods.guest.calculator import library_digest
from trustedpods.guest.measure import ImageFiles, command_line, measure_snp, measure_tdx
from trustedpods.guest.processors import MODELS, MachineShape
from trustedpods.protocol.errors import BadInput

ALL = [
    MachineShape(vcpus, model, features) for vcpus in (1, 2, 5) for model in MODELS for features in (1, 0x21)
]


def test_both_computations_agree_for_every_shape(tmp_path):
    files = write_image(tmp_path)
    result = measure_snp(files, ALL)
    assert [one.shape for one in result.snp] == ALL
    assert dict(result.artefacts) == {
        "firmware": hashlib.sha256(firmware()).hexdigest(),
        "kernel": hashlib.sha256(files.kernel.read_bytes()).hexdigest(),
        "initrd": hashlib.sha256(b"initrd" * 1000).hexdigest(),
        "cmdline": hashlib.sha256(COMMAND_LINE.encode()).hexdigest(),
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pages=st.integers(2, 5),
    kernel=st.binary(max_size=300),
    initrd=st.binary(max_size=300),
    line=st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), min_size=1, max_size=100),
    shape=st.sampled_from(ALL),
)
def test_both_computations_agree_for_any_files(tmp_path, pages, kernel, initrd, line, shape):
    parts = {"firmware": firmware(pages), "kernel": kernel, "initrd": initrd, "command_line": line.encode()}
    (one,) = measure_snp(write_image(tmp_path, **parts), [shape]).snp
    assert len(one.digest) == 48


def test_files_that_change_under_way_are_not_measured(tmp_path):
    files = write_image(tmp_path)
    other = tmp_path / "other"
    other.write_bytes(b"another kernel")
    shape = MachineShape(1, "EPYC-v4")
    first = library_digest(files.firmware, files.kernel, files.initrd, COMMAND_LINE, shape)
    assert first != library_digest(files.firmware, other, files.initrd, COMMAND_LINE, shape)
    assert first == measure_snp(files, [shape]).snp[0].digest


def test_the_library_refuses_a_firmware_without_hashes(tmp_path):
    files = write_image(tmp_path, firmware=firmware(without="7255371f"))
    with pytest.raises(BadInput, match="sev-snp-measure refuses"):
        library_digest(files.firmware, files.kernel, files.initrd, COMMAND_LINE, MachineShape(1, "EPYC-v4"))


def test_a_trust_domain_has_both_orders_of_pages(tmp_path):
    first, second = measure_tdx(write_image(tmp_path)).tdx
    assert (first.order, second.order) == ("page-by-page", "section-by-section")
    assert first.mrtd != second.mrtd
    assert (first.rtmr1, first.rtmr2) == (second.rtmr1, second.rtmr2)


def test_command_lines_that_a_boot_loader_might_change():
    assert command_line(b"a b ", "cmdline") == "a b "
    for raw, why in (
        (b"a\n", "line break"),
        (b"", "one line"),
        (b"a\tb", "one line"),
        ("ä".encode(), "ASCII"),
    ):
        with pytest.raises(BadInput, match=why):
            command_line(raw, "cmdline")


def test_files_that_are_not_there_or_too_long(tmp_path):
    files = write_image(tmp_path)
    files.command_line.write_bytes(b"x" * (measure.MAX_COMMAND_LINE + 1))
    with pytest.raises(BadInput, match="larger than 2047 bytes"):
        measure_tdx(files)
    gone = ImageFiles(files.firmware, tmp_path / "none", files.initrd, files.command_line)
    with pytest.raises(BadInput, match="cannot read it: No such file"):
        measure_tdx(gone)

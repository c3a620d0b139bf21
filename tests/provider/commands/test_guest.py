# SPDX-License-Identifier: Apache-2.0
"""`guest measure`: files in, the fields of an image in a release file out."""

import json

import pytest
from click.testing import CliRunner

from tests.guest.image_files import firmware, write_image
from tests.protocol.attestation.releases.signed import TCB, image, release
from trustedpods.guest.measure import measure_snp, measure_tdx
from trustedpods.guest.processors import MachineShape
from trustedpods.provider.cli import main


@pytest.fixture
def files(tmp_path):
    return write_image(tmp_path)


def run(files, *more: str):
    words = ["guest", "measure", files.firmware, files.kernel, files.initrd, files.command_line, *more]
    return CliRunner().invoke(main, [str(word) for word in words])


def test_launch_digests_of_every_shape_that_was_asked_for(files):
    ran = run(
        files, "--vcpus", "2", "--vcpus", "4", "--model", "EPYC-Genoa", "--model", "EPYC-v4", "-o", "json"
    )
    assert ran.exit_code == 0
    found = json.loads(ran.stdout)
    shapes = [(one["model"], one["vcpus"]) for one in found["snp"]]
    assert shapes == [("EPYC-Genoa", 2), ("EPYC-Genoa", 4), ("EPYC-v4", 2), ("EPYC-v4", 4)]
    (expected,) = measure_snp(files, [MachineShape(4, "EPYC-v4")]).snp
    assert found["snp"][3]["digest"] == expected.digest.hex()
    assert set(found["artefacts"]) == {"firmware", "kernel", "initrd", "cmdline"}


def test_the_output_is_what_a_release_file_holds_of_an_image(files):
    snp = json.loads(run(files, "--vcpus", "1", "-o", "json").stdout)
    tdx = json.loads(run(files, "--platform", "tdx", "-o", "json").stdout)
    whole = image("0.2.0", snp["snp"], tdx["tdx"], artefacts=snp["artefacts"], least_snp={"Genoa": TCB})
    held = release(images=[whole])
    assert held.images[0].tdx[0].rtmr2 == measure_tdx(files).tdx[0].rtmr2.hex()


def test_a_table_for_people_and_another_digest_with_debug_swap(files):
    plain, swapped = run(files, "--vcpus", "2"), run(files, "--vcpus", "2", "--debug-swap")
    assert "kernel: " in plain.stdout
    assert "EPYC-v4" in plain.stdout
    (first,) = measure_snp(files, [MachineShape(2, "EPYC-v4", 0x1)]).snp
    (second,) = measure_snp(files, [MachineShape(2, "EPYC-v4", 0x21)]).snp
    assert first.digest.hex() in plain.stdout
    assert second.digest.hex() in swapped.stdout
    assert "mrtd: " in run(files, "--platform", "tdx").stdout


def test_what_cannot_be_measured_is_one_line_and_exit_code_2(files):
    for more in (("--model", "host"), ("--vcpus", "0")):
        ran = run(files, *more)
        assert ran.exit_code == 2
        assert len(ran.stderr.splitlines()) <= 2
    files.firmware.write_bytes(firmware(without="7255371f"))
    ran = run(files)
    assert ran.exit_code == 2
    assert "measures no kernel, initrd and command line" in ran.stderr
    assert "Traceback" not in ran.output

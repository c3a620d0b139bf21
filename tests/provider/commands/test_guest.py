# SPDX-License-Identifier: Apache-2.0
"""`guest`: an image in; the fields of a release file, a line for qemu, a domain for libvirt out."""

import json
import shlex

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


@pytest.fixture
def folder(files, tmp_path):
    """The same files as `make guest` names them, with the firmware of one platform."""
    image = tmp_path / "image"
    image.mkdir()
    for name, path in {
        "OVMF.snp.fd": files.firmware, "vmlinuz": files.kernel, "initrd.img": files.initrd,
        "cmdline": files.command_line, "root.img": files.initrd,
    }.items():  # fmt: skip
        (image / name).write_bytes(path.read_bytes())
    return image


def asked(verb, folder, *more: str):
    return CliRunner().invoke(main, ["guest", verb, "--image", str(folder), *more])


def test_the_files_of_an_images_folder_are_measured_where_none_are_named(files, folder):
    named, found = run(files, "-o", "json"), asked("measure", folder, "-o", "json")
    assert found.exit_code == 0
    assert found.stdout == named.stdout
    assert "it has no OVMF.tdx.fd" in asked("measure", folder, "--platform", "tdx").stderr
    some = CliRunner().invoke(main, ["guest", "measure", str(files.firmware), str(files.kernel)])
    assert some.exit_code == 2
    assert "all four files, or none" in some.stderr


def test_the_folder_is_by_default_where_an_image_is_made(folder, tmp_path, monkeypatch):
    (tmp_path / "build").mkdir()
    folder.rename(tmp_path / "build/guest")
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(main, ["guest", "measure", "--vcpus", "1"])
    assert ran.exit_code == 0


def test_the_printed_line_starts_what_is_measured(folder):
    words = json.loads(asked("run", folder, "--vcpus", "8", "-o", "json").stdout)["argv"]
    assert words[words.index("-smp") + 1] == "8"
    assert words[words.index("-append") + 1] == (folder / "cmdline").read_text()
    ran = asked("run", folder, "--vcpus", "8")
    assert shlex.split(ran.stdout) == words
    assert ran.stdout.count("\n") == 1


def test_only_an_emulated_machine_shows_its_log_unasked(folder):
    line = (folder / "cmdline").read_text()
    shown = [asked("run", folder, "--platform", "emulation"), asked("run", folder, "--console")]
    hidden = [asked("run", folder), asked("run", folder, "--platform", "emulation", "--no-console")]
    assert [f"{line} earlyprintk=" in one.stdout for one in (*shown, *hidden)] == [True, True, False, False]


def test_the_domain_for_libvirt_and_the_hosts_settings(folder):
    plain, told = asked("config", folder, "--name", "mine"), asked("config", folder, "-o", "json")
    assert plain.exit_code == 0
    assert "<name>mine</name>" in plain.stdout
    found = json.loads(told.stdout)
    assert found["libvirt"] == plain.stdout.replace("mine", "trustedpods-guest")
    assert all(line in plain.stdout for line in found["host_firmware"])
    refused = asked("config", folder, "--memory", "1024")
    assert refused.exit_code == 2
    assert "1024 MiB of memory: from 2816" in refused.stderr

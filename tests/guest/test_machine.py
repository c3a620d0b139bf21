# SPDX-License-Identifier: Apache-2.0
"""Machines as they are started: what is measured is what is on the command line, and nothing else is.

That qemu takes the line of the emulated machine is seen by `tests/deploy/guest_image/test_boot.py`; no
processor with SEV-SNP or TDX was here to start the other two.
"""

import json
import re

import pytest

from tests.guest.image_files import COMMAND_LINE, firmware, kernel
from tests.paths import ROOT
from trustedpods.guest.machine import (
    CONSOLE_WORDS,
    FIRMWARE,
    MAX_MEMORY_MIB,
    ROOT_SERIAL,
    SNP_POLICY,
    TDX_ATTRIBUTES,
    Machine,
    Platform,
    image_files,
    machine_of,
    qemu_words,
)
from trustedpods.guest.measure import measure_snp, measure_tdx
from trustedpods.guest.processors import MachineShape
from trustedpods.protocol.errors import BadInput

DEBUG, MIGRATION_AGENT, ALWAYS = 1 << 19, 1 << 18, 1 << 17
"""Bits of a guest policy of SEV-SNP."""


@pytest.fixture
def folder(tmp_path):
    """An image's folder, whose name is not easy."""
    image = tmp_path / "an image, old"
    image.mkdir()
    for name, data in {
        "OVMF.snp.fd": firmware(), "OVMF.tdx.fd": firmware(4), "vmlinuz": kernel(), "initrd.img": b"initrd",
        "root.img": b"root", "cmdline": COMMAND_LINE.encode(),
    }.items():  # fmt: skip
        (image / name).write_bytes(data)
    return image


def made(folder, platform, **changed) -> Machine:
    return machine_of(
        folder,
        platform,
        **({"vcpus": 4, "model": "EPYC-Milan", "memory_mib": 8192, "console": False} | changed),
    )


def options(words: tuple[str, ...]) -> dict[str, list[str]]:
    """The values of each option, in their order."""
    found: dict[str, list[str]] = {}
    rest = list(words[1:])
    while rest:
        name = rest.pop(0)
        assert name.startswith("-"), name
        value = "" if not rest or rest[0].startswith("-") else rest.pop(0)
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("platform", list(Platform))
def test_the_files_the_line_and_the_shape_are_what_is_measured(folder, platform):
    found = options(qemu_words(made(folder, platform)))
    assert found["-append"] == [(folder / "cmdline").read_text()]
    assert (found["-kernel"], found["-initrd"]) == ([f"{folder}/vmlinuz"], [f"{folder}/initrd.img"])
    assert (found["-smp"], found["-m"]) == (["4"], ["8192M"])
    escaped = str(folder / "root.img").replace(",", ",,")
    assert found["-drive"] == [f"id=root,if=none,format=raw,readonly=on,file={escaped}"]
    assert {"-nodefaults", "-no-user-config", "-no-reboot"} <= set(found)
    assert found["-serial"] == ["none"]
    if platform is Platform.EMULATION:
        assert "-bios" not in found
        return
    assert found["-bios"] == [str(folder / FIRMWARE[platform])]
    assert found["-accel"] == ["kvm"]
    assert "iommu_platform=on" in found["-device"][0]  # by which devices reach shared memory alone


def test_the_processor_of_sev_snp_takes_no_other_kernel_and_no_debugger(folder):
    found = options(qemu_words(made(folder, Platform.SNP)))
    (guest,) = [one for one in found["-object"] if one.startswith("sev-snp-guest")]
    words = dict(word.split("=") for word in guest.split(",")[1:])
    assert words["kernel-hashes"] == "on"
    policy = int(words["policy"], 0)
    assert policy == SNP_POLICY
    assert policy & ALWAYS
    assert not policy & (DEBUG | MIGRATION_AGENT)
    assert f"confidential-guest-support={words['id']}" in found["-machine"][0]
    assert "size=8192M" in found["-object"][0]
    assert found["-cpu"] == ["EPYC-Milan"]


def test_a_trust_domain_has_no_debugger(folder):
    found = options(qemu_words(made(folder, Platform.TDX)))
    guest = json.loads(found["-object"][0])
    assert guest["qom-type"] == "tdx-guest"
    assert guest["sept-ve-disable"] is True
    assert "debug" not in guest
    assert TDX_ATTRIBUTES == 1 << 28
    assert f"confidential-guest-support={guest['id']}" in found["-machine"][0]
    assert found["-cpu"] == ["host,pmu=off"]


def test_an_images_folder_is_measured_with_the_firmware_of_the_platform(folder):
    files = image_files(folder, Platform.SNP)
    (snp,) = measure_snp(files, [MachineShape(4, "EPYC-Milan")]).snp
    assert files.firmware.name == "OVMF.snp.fd"
    first = measure_tdx(image_files(folder, Platform.TDX)).tdx[0]
    (folder / "OVMF.tdx.fd").write_bytes(firmware(5))
    assert measure_tdx(image_files(folder, Platform.TDX)).tdx[0].mrtd != first.mrtd
    assert measure_snp(files, [MachineShape(4, "EPYC-Milan")]).snp == (snp,)


def test_a_console_is_the_one_ending_that_the_image_accepts(folder):
    found = options(qemu_words(made(folder, Platform.EMULATION, console=True)))
    assert found["-append"] == [COMMAND_LINE + CONSOLE_WORDS]
    assert found["-serial"] == ["stdio"]
    accepted = (ROOT / "deploy/guest_image/init/command_line.go").read_text()
    assert f'const consoleWords = "{CONSOLE_WORDS}"' in accepted
    program = (ROOT / "deploy/guest_image/init/main.go").read_text()
    assert re.search(rf'rootSerial += "{ROOT_SERIAL}"', program)


@pytest.mark.parametrize("platform", list(Platform))
@pytest.mark.parametrize("name", ["vmlinuz", "initrd.img", "root.img", "cmdline", "firmware"])
def test_a_file_that_is_not_there_is_named(folder, platform, name):
    if name == "firmware" and platform is Platform.EMULATION:
        for file in FIRMWARE.values():
            (folder / file).unlink()
        assert made(folder, platform).firmware is None
        return
    missing = FIRMWARE[platform] if name == "firmware" else name
    (folder / missing).unlink()
    with pytest.raises(BadInput, match=f"it has no {missing}") as caught:
        made(folder, platform)
    hint = "builds it, edk2's" if name == "firmware" else "builds an image"
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"memory_mib": 2815}, "2815 MiB of memory: from 2816"),
        ({"memory_mib": MAX_MEMORY_MIB + 1}, "MiB of memory"),
        ({"vcpus": 0}, "0 vCPUs"),
        ({"model": "host"}, "unknown processor model 'host'"),
    ],
)
def test_a_machine_whose_measurement_nobody_computes_is_refused(folder, changed, said):
    with pytest.raises(BadInput, match=said):
        made(folder, Platform.SNP, **changed)


def test_a_command_line_that_could_be_read_in_two_ways_is_refused(folder):
    (folder / "cmdline").write_text(COMMAND_LINE + "\n")
    with pytest.raises(BadInput, match="ends in a line break"):
        made(folder, Platform.SNP)

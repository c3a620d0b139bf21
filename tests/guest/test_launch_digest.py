# SPDX-License-Identifier: Apache-2.0
"""Launch digests: known answers, and what changes the number."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.guest.image_files import COMMAND_LINE, HASHES_ADDRESS, SEV, firmware
from tests.paths import ROOT
from trustedpods.guest.firmware import PAGE, parse_firmware
from trustedpods.guest.kernel_hashes import KernelHashes
from trustedpods.guest.launch_digest import firmware_digest, launch_digest
from trustedpods.guest.processors import MODELS, MachineShape
from trustedpods.protocol.errors import BadInput

VECTORS = ROOT / "tests/vectors/guest"
OURS = parse_firmware(firmware(), "fd")
SHAPE = MachineShape(2, "EPYC-v4")


def digest(kernel=b"k", initrd=b"i", line=COMMAND_LINE, shape=SHAPE, image=OURS) -> bytes:
    return launch_digest(image, KernelHashes.of(kernel, initrd, line), shape, "fd")


@pytest.mark.parametrize("known", json.loads((VECTORS / "known_answers.json").read_text()))
def test_known_answers(known):
    image = parse_firmware((VECTORS / "ovmf_AmdSev_suffix.bin").read_bytes(), "fd")
    assert firmware_digest(image).hex().startswith("086e2e9149ebf45abdc3445fba5b2da8")
    shape = MachineShape(known["vcpus"], known["model"], known["features"])
    assert digest(b"", b"", known["cmdline"], shape, image).hex() == known["digest"]


def test_a_firmware_that_measures_no_kernel_is_refused_by_name():
    debian = parse_firmware((VECTORS / "ovmf_OvmfX64_suffix.bin").read_bytes(), "OVMF.fd")
    with pytest.raises(BadInput, match="measures no kernel, initrd and command line") as error:
        launch_digest(debian, KernelHashes.of(b"", b"", ""), SHAPE, "OVMF.fd")
    assert error.value.where == "OVMF.fd"
    assert "AmdSevX64" in error.value.hint


@given(st.binary(min_size=1, max_size=5000), st.data())
def test_one_byte_of_the_initrd_or_the_kernel_changes_it(content, data):
    at = data.draw(st.integers(0, len(content) - 1))
    other = bytearray(content)
    other[at] ^= data.draw(st.integers(1, 255))
    assert digest(initrd=content) != digest(initrd=bytes(other))
    assert digest(kernel=content) != digest(kernel=bytes(other))
    assert digest(initrd=content) != digest(initrd=content + b"\0")


@given(st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=40))
def test_a_word_or_a_space_of_the_command_line_changes_it(word):
    found = {digest(line=line) for line in (COMMAND_LINE, f"{COMMAND_LINE} {word}", f"{COMMAND_LINE} ")}
    assert len(found) == 3


def test_each_shape_has_a_digest_of_its_own():
    shapes = [
        MachineShape(vcpus, model, features)
        for vcpus in (1, 2, 3, 4)
        for model in MODELS
        for features in (1, 0x21)
    ]
    by_number = {(shape.vcpus, shape.signature, shape.features): digest(shape=shape) for shape in shapes}
    assert len(set(by_number.values())) == len(by_number) == 4 * 5 * 2
    assert digest(shape=MachineShape(1, "EPYC-v1")) == digest(
        shape=MachineShape(1, "EPYC-v4")
    )  # versions start alike


@given(st.integers(0, len(OURS.data) - 1))
def test_one_byte_of_the_firmware_changes_its_digest(at):
    data = bytearray(OURS.data)
    data[at] ^= 1
    assert firmware_digest(OURS) != firmware_digest(type(OURS)(bytes(data), OURS.entries))


def test_what_a_firmware_must_say():
    def refused(match: str, vcpus: int = 2, **parts) -> None:
        image = parse_firmware(firmware(**parts), "fd")
        with pytest.raises(BadInput, match=match):
            digest(image=image, shape=MachineShape(vcpus, "EPYC-v4"))

    refused("1 vCPU only", without="00f771de")
    refused("no kernel, initrd", without="7255371f")
    refused("no kernel, initrd", sev=SEV[:-1])
    refused("no kernel, initrd", sev=[*SEV, SEV[-1]])
    refused("not in the page", sev=[*SEV[:-1], (HASHES_ADDRESS // PAGE * PAGE + PAGE, PAGE, 0x10)])
    refused("not in the page", sev=[*SEV[:-1], (0x810000, 2 * PAGE, 0x10)])
    refused("not one each", sev=[(0x80D000, 2 * PAGE, 2), *SEV])
    one = parse_firmware(firmware(without="00f771de"), "fd")
    assert digest(image=one, shape=MachineShape(1, "EPYC-v4"))

# SPDX-License-Identifier: Apache-2.0
"""Firmware files of anybody: read, or refused by what is wrong with them; never more than that."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.guest.image_files import RESET_ADDRESS, SEV, entry, firmware, tdx_rows
from trustedpods.guest.firmware import (
    MAX_FIRMWARE,
    MAX_SECTION,
    PAGE,
    SevKind,
    parse_firmware,
    sev_sections,
    tdx_sections,
)
from trustedpods.protocol.errors import BadInput


def test_what_is_read():
    image = parse_firmware(firmware(), "fd")
    assert (image.base, image.reset_address) == ((1 << 32) - 3 * PAGE, RESET_ADDRESS)
    assert [(s.address, s.size, s.kind) for s in sev_sections(image, "fd")] == SEV
    assert sev_sections(image, "fd")[-1].kind is SevKind.KERNEL_HASHES
    first, second, third = tdx_sections(image, "fd")
    assert (first.extended, first.at_run_time, first.memory) == (True, False, 3 * PAGE)
    assert (second.extended, third.at_run_time) == (False, True)


def test_files_that_are_no_firmware():
    for data in (b"", bytes(100), bytes(PAGE - 1), bytes(PAGE + 1), bytes(MAX_FIRMWARE + PAGE)):
        with pytest.raises(BadInput, match="no firmware"):
            parse_firmware(data, "fd")
    with pytest.raises(BadInput, match="table of GUIDs"):
        parse_firmware(bytes(PAGE), "fd")
    with pytest.raises(BadInput, match="SVSM"):
        parse_firmware(firmware(extra=entry("a789a612-0597-4c4b-a49f-cbb1fe9d1ddd", b"1234")), "fd")
    twice = entry("00f771de-1a7e-4fcb-890e-68c77e2fb44e", b"1234")
    with pytest.raises(BadInput, match="damaged"):
        parse_firmware(firmware(extra=twice), "fd")


@pytest.mark.parametrize("length", [0, 17, 200, 0xFFFF])
def test_an_entry_of_a_wrong_length(length):
    data = bytearray(firmware())
    at = len(data) - 32 - 18 - 18  # the last entry's length
    struct.pack_into("<H", data, at, length)
    with pytest.raises(BadInput, match="damaged"):
        parse_firmware(bytes(data), "fd")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ((0x800001, PAGE, 1), "whole pages"),
        ((0x800000, 1, 1), "whole pages"),
        ((0x800000, 0, 1), "whole pages"),
        ((0x800000, MAX_SECTION + PAGE, 1), "whole pages"),
        ((0x800000, PAGE, 5), "unknown kind 0x5"),
    ],
)
def test_sections_of_sev_that_cannot_be(row, why):
    with pytest.raises(BadInput, match=why):
        sev_sections(parse_firmware(firmware(sev=[row]), "fd"), "fd")


@pytest.mark.parametrize(
    "row",
    [
        (0, PAGE, 1, PAGE, 0, 1),
        (0, PAGE, 0, 1, 0, 1),
        (0, PAGE, 0, 0, 0, 1),
        (0, 2 * PAGE, 0, PAGE, 0, 1),
        (3 * PAGE, 1, 0, PAGE, 0, 1),
        (0, 0, 0, MAX_SECTION + PAGE, 0, 0),
        (0, 0, 1 << 52, PAGE, 0, 0),
        (0, 0, 0, PAGE, 0, 4),
    ],
)
def test_sections_of_tdx_that_cannot_be(row):
    with pytest.raises(BadInput, match="damaged"):
        tdx_sections(parse_firmware(firmware(tdx=[row]), "fd"), "fd")


def test_lists_that_are_missing_or_elsewhere():
    with pytest.raises(BadInput, match="no sections for SEV-SNP"):
        sev_sections(parse_firmware(firmware(without="dc886566"), "fd"), "fd")
    with pytest.raises(BadInput, match="no sections for TDX"):
        tdx_sections(parse_firmware(firmware(without="e47a6535"), "fd"), "fd")
    for back in (0, 15, 3 * PAGE + 1, 0xFFFF_FFFF):
        extra = entry("dc886566-984a-4798-a75e-5585a7bf67cc", struct.pack("<I", back))
        image = parse_firmware(firmware(without="dc886566", extra=extra), "fd")
        with pytest.raises(BadInput, match="outside"):
            sev_sections(image, "fd")
    for sections in ([], SEV * 13):
        with pytest.raises(BadInput, match="damaged, or newer"):
            sev_sections(parse_firmware(firmware(sev=sections), "fd"), "fd")


@given(st.integers(1, 1000), st.integers(0, 255), st.integers(0, 3 * PAGE))
def test_no_damage_is_more_than_a_refusal(back, value, cut):
    data = bytearray(firmware(tdx=tdx_rows(3)))
    data[-back] = value
    for some in (bytes(data), bytes(data)[cut // PAGE * PAGE :]):
        with contextlib.suppress(BadInput):
            image = parse_firmware(some, "fd")
            sev_sections(image, "fd")
            tdx_sections(image, "fd")

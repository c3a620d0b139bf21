# SPDX-License-Identifier: Apache-2.0
"""RTMR1 and RTMR2: what a trust domain loads, event by event."""

import hashlib
import json
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.guest.image_files import COMMAND_LINE, kernel
from tests.paths import ROOT
from trustedpods.guest.executable import authenticode
from trustedpods.guest.registers import as_loaded, rtmr1, rtmr2
from trustedpods.protocol.errors import BadInput

INITRD = b"initrd" * 1000


def extended(*digests: bytes) -> bytes:
    value = bytes(48)
    for digest in digests:
        value = hashlib.sha384(value + digest).digest()
    return value


def sha384(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()


def test_the_command_line_is_ours_and_what_the_firmware_adds():
    line = f"{COMMAND_LINE} initrd=initrd\0".encode("utf-16-le")
    assert rtmr2(COMMAND_LINE, INITRD) == extended(sha384(line), sha384(INITRD))


@given(st.binary(max_size=200), st.sampled_from(["x", " ", " x"]))
def test_what_changes_the_second_register(initrd, added):
    found = {rtmr2("a", initrd), rtmr2("a" + added, initrd), rtmr2("a", initrd + b"\0")}
    assert len(found) == 3


def test_the_words_of_the_firmware_are_those_of_a_real_log():
    """A real trust domain's log holds the digests of the words around the kernel, in this order."""
    folder = ROOT / "tests/vectors/attestation/tdx-eventlog-dstack"
    log = json.loads((folder / "tdx-lite-getquote.json").read_text())["event_log"]
    logged = [event["digest"] for event in json.loads(log) if event["imr"] == 1]
    words = (
        b"Calling EFI Application from Boot Option",
        bytes(4),
        b"Exit Boot Services Invocation",
        b"Exit Boot Services Returned with Success",
    )
    assert logged[-4:] == [sha384(word).hex() for word in words]
    program = authenticode(as_loaded(kernel(), len(INITRD), "k"), "k")
    assert rtmr1(kernel(), len(INITRD), "k") == extended(program, *map(sha384, words))


def test_the_kernel_as_qemu_hands_it_over():
    loaded = as_loaded(kernel(), 5000, "k")
    assert (loaded[0x210], loaded[0x211]) == (0xB0, 0x80)
    place, size = struct.unpack_from("<II", loaded, 0x218)
    assert (place, size) == ((0x80000000 - 0x28000 - 1 - 5000) & ~0xFFF, 5000)
    assert struct.unpack_from("<HxxI", loaded, 0x224) == (0xFE00, 0x20000)
    changed = {at for at, (a, b) in enumerate(zip(kernel(), loaded, strict=True)) if a != b}
    assert changed <= {0x210, 0x211, *range(0x218, 0x226), *range(0x228, 0x22C)}
    low = bytearray(kernel())
    struct.pack_into("<I", low, 0x22C, 0x37FF_FFFF)
    struct.pack_into("<H", low, 0x236, 0)
    assert (
        struct.unpack_from("<I", as_loaded(bytes(low), 5000, "k"), 0x218)[0] == (0x37FF_FFFF - 5000) & ~0xFFF
    )


@given(st.integers(0, 0x5FF))
@example(0x21F)
@example(0x220)
@example(0x223)
@example(0x224)
def test_one_byte_of_the_kernel_changes_the_first_register(at):
    overwritten = {0x210, *range(0x218, 0x220), 0x224, 0x225, *range(0x228, 0x22C)}
    ignored = overwritten | set(range(0x98, 0x9C))  # and the checksum, which Authenticode leaves out,
    ignored |= set(range(0xE8, 0xEC))  # as it does where signatures lie; that there are any is refused
    other = bytearray(kernel())
    other[at] ^= 1
    try:
        found = rtmr1(bytes(other), 5000, "k")
    except BadInput:
        return
    assert (found == rtmr1(kernel(), 5000, "k")) == (at in ignored)


def test_files_that_are_no_kernel():
    old = bytearray(kernel())
    struct.pack_into("<H", old, 0x206, 0x20B)
    for data, why in ((b"", "bzImage"), (bytes(1000), "bzImage"), (bytes(old), "boot protocol 0x20b")):
        with pytest.raises(BadInput, match=why):
            rtmr1(data, 0, "k")
    with pytest.raises(BadInput, match="does not fit"):
        rtmr1(kernel(), 1 << 31, "k")

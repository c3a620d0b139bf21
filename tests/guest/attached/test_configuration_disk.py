# SPDX-License-Identifier: Apache-2.0
"""A configuration disk is what the guest's init reads, byte for byte."""

import re

import pytest

from tests.paths import ROOT
from trustedpods.guest.attached.configuration_disk import MARK, MOST_BYTES, configuration_disk
from trustedpods.protocol.errors import BadInput


def test_the_text_stands_behind_its_mark_and_its_length_on_whole_sectors():
    text = b'{"domain": "guest.example"}'
    disk = configuration_disk(text)
    assert disk[:8] == b"TPCONF1\n"
    assert int.from_bytes(disk[8:16], "big") == len(text)
    assert disk[16 : 16 + len(text)] == text
    assert set(disk[16 + len(text) :]) == {0}
    assert len(disk) == 512


def test_mark_and_bound_are_those_of_the_program_that_reads_it():
    program = (ROOT / "deploy/guest_image/init/configuration.go").read_text()
    found = re.search(r'configurationMark += "(.*)"', program)
    assert found is not None
    assert found[1].encode().decode("unicode_escape").encode() == MARK
    assert "configurationMost   = 64 << 10" in program
    assert MOST_BYTES == 64 << 10


@pytest.mark.parametrize("text", [b"", b"[]", b" {}", b"{", b'{"a":"\xff"}', b"{" + b" " * MOST_BYTES + b"}"])
def test_what_init_would_refuse_is_not_written(text):
    with pytest.raises(BadInput):
        configuration_disk(text)

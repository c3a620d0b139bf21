# SPDX-License-Identifier: Apache-2.0
"""What is drawn is read back by another library than the one that made it."""

from dataclasses import replace

import pytest
import zxingcpp

from tests.provider.setup.owner.test_transactions import MARKET, OPERATOR, ROW
from trustedpods.provider.setup.owner.qr_codes import QrRoom, drawable, qr_lines, qr_parts
from trustedpods.provider.setup.owner.transactions import funding, naming_operator, registering

ANY = QrRoom(None, None, coloured=False)
SHOWN = [
    registering(MARKET, ROW),
    *naming_operator(MARKET, ROW.owner, OPERATOR),
    funding(MARKET, OPERATOR, 10**16),
]
DARK = {" ": (False, False), "▀": (True, False), "▄": (False, True), "█": (True, True)}
SCALE = 4
"""Pixels of a module: as much as readers want."""


def scanned(lines):
    """What a camera reads of the text, with black characters on white."""
    rows = [bytes(0 if DARK[one][half] else 255 for one in line) for line in lines for half in (0, 1)]
    wide = [bytes(pixel for pixel in row for _ in range(SCALE)) for row in rows for _ in range(SCALE)]
    image = memoryview(b"".join(wide)).cast("B", shape=[len(wide), len(wide[0])])
    (found,) = zxingcpp.read_barcodes(image)
    return found.text


@pytest.mark.parametrize("one", SHOWN, ids=["row", "registry", "payments", "gas"])
def test_a_reader_reads_what_is_to_be_signed(one):
    caption, *drawn = qr_lines(one, ANY)
    assert "to scan" in caption
    assert ("a wallet opens it" in caption) == (one.link is not None)
    said = scanned(drawn)
    assert said == "".join(qr_parts(one))
    assert said == one.link or bytes.fromhex(said.removeprefix("0x")) == one.data


def test_it_is_drawn_only_where_it_fits_whole():
    row = SHOWN[0]
    _, *drawn = qr_lines(row, ANY)
    columns, lines = len(drawn[0]), len(drawn)
    assert {len(line) for line in drawn} == {columns}
    assert list(qr_lines(row, QrRoom(columns, lines, coloured=False)))[1:] == drawn
    for room in (QrRoom(columns - 1, lines, coloured=True), QrRoom(columns, lines - 1, coloured=True)):
        (told,) = qr_lines(row, room)
        assert f"takes {columns} columns and {lines} lines" in told


def test_a_terminal_has_its_colours_again_after_each_line():
    plain = list(qr_lines(SHOWN[1], ANY))
    coloured = list(qr_lines(SHOWN[1], replace(ANY, coloured=True)))
    assert coloured[0] == plain[0]
    assert coloured[1:] == [f"\x1b[30;107m{line}\x1b[0m" for line in plain[1:]]


def test_what_no_code_holds_is_said():
    longest = replace(SHOWN[0], data=b"\xab" * 2145)
    assert len(list(qr_lines(longest, ANY))) > 1
    assert list(qr_lines(replace(longest, data=b"\xab" * 2146), ANY)) == [
        "  no QR code: it is too long for one"
    ]


@pytest.mark.parametrize(
    ("encoding", "has"),
    [("utf-8", True), ("cp437", True), ("ascii", False), ("iso-8859-1", False), ("unheard", False)],
)
def test_nothing_is_drawn_in_characters_that_are_not_there(encoding, has):
    assert drawable(encoding) is has

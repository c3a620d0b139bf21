# SPDX-License-Identifier: Apache-2.0
"""What the owner signs as a QR code, in characters: two rows of modules a line. Pure.

A wallet opens an `ethereum:` address. A registry row has none, so its code is the calldata alone, as text for
the wallet's field: a link without a function would be signed as a payment of nothing, and nobody would see
why the row is not there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import segno

from trustedpods.provider.setup.owner.transactions import UnsignedTransaction

MARGIN = 4
"""Light modules around a code: readers want them (ISO/IEC 18004)."""

_CHARACTERS = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}
"""By whether the upper and the lower module are dark."""

_DARK_ON_LIGHT, _AS_BEFORE = "\x1b[30;107m", "\x1b[0m"
"""Colours of a terminal: on a black one the code would be its own negative, which not every camera reads."""


@dataclass(frozen=True, slots=True)
class QrRoom:
    """How many columns and lines a code may take; None: as many as it needs. `coloured`: for a terminal."""

    columns: int | None
    lines: int | None
    coloured: bool


def drawable(encoding: str) -> bool:
    """Whether an output of that *encoding* has the characters: one of ISO 8859-1 would end in an error."""
    try:
        "".join(_CHARACTERS.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def qr_parts(one: UnsignedTransaction) -> tuple[str, ...]:
    """What the code says: the link, else the calldata, in capitals as codes hold those in half the room.

    Its beginning is a part of its own: many a wallet knows `0x` alone, and takes no `0X`.
    """
    return (one.link,) if one.link else ("0x", one.data.hex().upper())


def qr_lines(one: UnsignedTransaction, room: QrRoom) -> Iterator[str]:
    """The code of a transaction, with what it is; where *room* is too small one line that says so.

    One that is too large for any code has a line too: 40-L holds 2,140 bytes of calldata, a row has some 400.
    """
    what = "a wallet opens it" if one.link else "the data alone, as text: paste it, and type the rest"
    parts: Any = qr_parts(one)  # of which segno makes a segment each; its types know of one text alone
    try:
        code = segno.make(parts, error="l", boost_error=False, micro=False)
    except segno.DataOverflowError:
        yield "  no QR code: it is too long for one"
        return
    rows = [[module != 0 for module in row] for row in code.matrix_iter(border=MARGIN)]
    columns, lines = len(rows[0]), (len(rows) + 1) // 2
    if _over(columns, room.columns) or _over(lines, room.lines):
        yield f"  its QR code takes {columns} columns and {lines} lines: enlarge the terminal, or say --qr"
        return
    yield f"  to scan ({what}):"
    for line in _drawn(rows):
        yield f"{_DARK_ON_LIGHT}{line}{_AS_BEFORE}" if room.coloured else line


def _over(wanted: int, there: int | None) -> bool:
    return there is not None and wanted > there


def _drawn(rows: list[list[bool]]) -> Iterator[str]:
    """Two rows a line; below an odd last one it is light."""
    padded = [*rows, [False] * len(rows[0])]
    for upper, lower in list(pairwise(padded))[::2]:
        yield "".join(_CHARACTERS[pair] for pair in zip(upper, lower, strict=True))

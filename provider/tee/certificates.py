# SPDX-License-Identifier: Apache-2.0
"""The certificate table that the host of an SEV-SNP guest hands in (GHCB specification, 4.1.8.1).

Rows of (GUID, offset, length) up to a row of zeros, then what they point to. The host wrote it, so
nothing about it is believed.
"""

import struct
import uuid
from typing import Final

from trustedpods.protocol.errors import BadInput

VCEK: Final = uuid.UUID("63da758d-e664-4564-adc5-f4b93be8accd")
VLEK: Final = uuid.UUID("a8074bc2-a25a-483e-aae6-39c045a0b8a1")

MAX_ROWS: Final = 32
"""Five kinds are defined."""

MAX_CERTIFICATE: Final = 16 * 1024
"""As in `evidence.Evidence`; a VCEK has 1.4 KB."""

_ROW: Final = struct.Struct("<16sII")
_WHERE: Final = "certificate table"


def parse(table: bytes) -> dict[uuid.UUID, bytes]:
    """Certificates by kind; an empty table has none.

    BadInput for a row outside the table, rows that overlap, a kind that is there twice, or no end.
    """
    if not table:
        return {}
    rows = _rows(table)
    header = (len(rows) + 1) * _ROW.size
    taken: list[tuple[int, int]] = [(0, header)]
    found: dict[uuid.UUID, bytes] = {}
    for kind, start, length in rows:
        end = start + length
        if end > len(table):
            raise BadInput(f"{kind} ends at {end} of {len(table)} bytes", where=_WHERE)
        if not 0 < length <= MAX_CERTIFICATE:
            raise BadInput(f"{kind} has {length} bytes", where=_WHERE)
        if any(start < other_end and other_start < end for other_start, other_end in taken):
            raise BadInput(f"{kind} overlaps with another row", where=_WHERE)
        if kind in found:
            raise BadInput(f"{kind} is there twice", where=_WHERE)
        taken.append((start, end))
        found[kind] = table[start:end]
    return found


def _rows(table: bytes) -> list[tuple[uuid.UUID, int, int]]:
    rows: list[tuple[uuid.UUID, int, int]] = []
    for at in range(MAX_ROWS + 1):
        if (at + 1) * _ROW.size > len(table):
            raise BadInput("it has no end", where=_WHERE)
        raw, start, length = _ROW.unpack_from(table, at * _ROW.size)
        if not any(raw):
            return rows
        rows.append((uuid.UUID(bytes_le=raw), start, length))
    raise BadInput(f"more than {MAX_ROWS} rows", where=_WHERE)

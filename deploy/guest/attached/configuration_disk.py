# SPDX-License-Identifier: Apache-2.0
"""The bytes of a configuration disk, as the guest's init reads them: a mark, a length, one JSON object."""

import json
from typing import Final

from trustedpods.protocol.errors import BadInput

MARK: Final = b"TPCONF1\n"
MOST_BYTES: Final = 64 * 1024
"""Of the text: a page, and a key."""

_LENGTH_BYTES: Final = 8
_SECTOR: Final = 512
"""A disk has whole sectors."""


def configuration_disk(text: bytes) -> bytes:
    """The disk of this configuration; BadInput where init would refuse it. What it says is not looked at."""
    if not 0 < len(text) <= MOST_BYTES:
        raise BadInput(f"a configuration of {len(text)} bytes: from 1 to {MOST_BYTES}")
    try:
        whole = json.loads(text.decode())
    except ValueError as error:
        raise BadInput(f"the configuration is no JSON in UTF-8: {error}") from None
    if not isinstance(whole, dict) or not text.startswith(b"{"):
        raise BadInput("the configuration is no JSON object, or something stands before it")
    disk = MARK + len(text).to_bytes(_LENGTH_BYTES, "big") + text
    return disk + bytes(-len(disk) % _SECTOR)

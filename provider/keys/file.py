# SPDX-License-Identifier: Apache-2.0
"""The operator's and the owner's key files: 64 hex digits, readable by their user alone."""

from pathlib import Path
from stat import S_IMODE

from trustedpods.protocol.errors import BadInput

KEY_BYTES = 32


def read_key_of(setting: str | None) -> bytes | None:
    """The key of a *setting* that may be left out; BadInput as `read_key`."""
    return None if setting is None else read_key(Path(setting))


def read_key(path: Path) -> bytes:
    """The 32 bytes of an Ethereum key; BadInput when the file is missing, open to others, or no key."""
    try:
        if S_IMODE(path.stat().st_mode) & 0o077:
            raise BadInput("others can read this key", where=str(path), hint="chmod 600")
        text = path.read_text("ascii").strip().removeprefix("0x")
        key = bytes.fromhex(text)
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from None
    except ValueError:
        raise BadInput("not a key: 64 hex digits belong here", where=str(path)) from None
    if len(key) != KEY_BYTES:
        raise BadInput("not a key: 64 hex digits belong here", where=str(path))
    return key

# SPDX-License-Identifier: Apache-2.0
"""The operator's and the owner's key files: 64 hex digits, readable by their user alone."""

import os
import secrets
from pathlib import Path
from stat import S_IMODE

from trustedpods.protocol.errors import BadInput

KEY_BYTES = 32
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1: a key is a number below it, and not zero."""


def make_key(path: Path, uid: int, gid: int) -> bool:
    """Put a new key at *path*, for that user alone, unless something is there already; whether it was made.

    Never in place of anything, also when two do it at once: link(2) fails where there is a file. Raises
    `OSError`.
    """
    if os.path.lexists(path):
        return False
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(f"{secrets.randbelow(_CURVE_ORDER - 1) + 1:064x}\n".encode())
            file.flush()
            if os.geteuid() == 0:
                os.fchown(file.fileno(), uid, gid)
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


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

# SPDX-License-Identifier: Apache-2.0
"""The publisher's key: a file of 64 hex digits, or an encrypted keystore (version 3).

A key never comes from the command line or from the environment itself: both are visible to other
processes. The environment may name the file, and the file that holds a keystore's password.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.protocol.ids import Address
from trustedpods.protocol.whole_file import read_open
from trustedpods.publisher.context import KEY_VARIABLE, locate

PASSWORD_VARIABLE = "TRUSTEDPODS_KEY_PASSWORD_FILE"  # noqa: S105 - the name of a variable

MAX_KEY_FILE = 16 * 1024
"""A keystore is half a page."""

_HEX_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}")
_RAW_KEY_HINT = "a key file holds 64 hex digits, or a keystore (version 3) as geth and foundry write it"


@dataclass(frozen=True, slots=True)
class Key:
    """The publisher's private key; `secret` never shows in a repr."""

    path: Path
    address: Address
    secret: bytes = field(repr=False)


def load_key(
    flag: str | None,
    *,
    warn: Callable[[str], None],
    ask: Callable[[str], str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Key:
    """Find and read the key.

    *warn* is told when others may read the file. *ask* reads a keystore's password from a
    person; None where there is no terminal.
    Raises `NoContext` when there is no key or no password, `BadInput` when the file is wrong.
    """
    path = locate("key", flag, KEY_VARIABLE, "key", environment)
    text = _read(path, warn)
    if _HEX_KEY.fullmatch(text):
        secret = bytes.fromhex(text.removeprefix("0x"))
    elif text.startswith("{"):
        secret = _decrypt(text, path, lambda: _password(path, ask, environment))
    else:
        raise BadInput("neither a hex key nor a keystore", where=str(path), hint=_RAW_KEY_HINT)
    return Key(path, _address(secret, path), secret)


def _read(path: Path, warn: Callable[[str], None]) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = read_open(file, path, MAX_KEY_FILE, "the key", _RAW_KEY_HINT)
    except OSError as error:
        raise BadInput(f"cannot read it: {error.strerror}", where=str(path)) from None
    if stat.S_IMODE(mode) & 0o077:
        warn(f"others may read the key {path} (mode {stat.S_IMODE(mode):04o}): chmod 600 {path}")
    return data.decode("utf-8", "replace").strip()


def _password(path: Path, ask: Callable[[str], str] | None, environment: Mapping[str, str]) -> str:
    named = environment.get(PASSWORD_VARIABLE)
    if named:
        try:
            return Path(named).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise NoContext(f"cannot read the password: {error}", where=f"${PASSWORD_VARIABLE}") from None
    if ask is None:
        raise NoContext(
            f"the key {path} is encrypted and there is no terminal to ask for its password",
            hint=f"name a file that holds it in ${PASSWORD_VARIABLE}",
        )
    return ask(f"Password of {path}")


def _decrypt(text: str, path: Path, password: Callable[[], str]) -> bytes:
    from eth_account import Account  # noqa: PLC0415 - only an encrypted key needs its ciphers

    try:
        keystore = json.loads(text)
    except (ValueError, RecursionError):
        raise BadInput("not valid JSON", where=str(path), hint=_RAW_KEY_HINT) from None
    if not isinstance(keystore, dict) or keystore.get("version") != 3:
        raise BadInput("not a keystore of version 3", where=str(path), hint=_RAW_KEY_HINT)
    try:
        return bytes(Account.decrypt(keystore, password()))
    except ValueError as error:
        raise BadInput(f"the keystore does not open: {error}", where=str(path)) from None
    except (KeyError, TypeError, AttributeError):
        raise BadInput("a damaged keystore", where=str(path)) from None


def _address(secret: bytes, path: Path) -> Address:
    from trustedpods.protocol.sealing.signatures import address_of  # noqa: PLC0415 - only a verb that signs needs it

    try:
        return address_of(secret)
    except BadInput:
        raise BadInput("not a valid private key: zero, or above the curve's order", where=str(path)) from None

# SPDX-License-Identifier: Apache-2.0
"""A simulated year on its way from one process to the next: everything outside of the daemon, in a file.

On a machine each start of the daemon is a process of its own; here too, in a year, so that what is measured
of a process is what one daemon took. What is the daemon's own stays in its folder, or is lost as by a kill.
"""

import pickle
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from tests.year.outside.authority import Switch
from trustedpods.protocol.sealing import hpke


def save(year: Any, file: Path) -> None:
    """*year*, whose daemon is down."""
    with file.open("wb") as stream:
        _Pickler(stream, pickle.HIGHEST_PROTOCOL).dump(year)


def load(file: Path, switch: Switch) -> Any:
    """The year that was saved there, beside the authority of *switch*."""
    with file.open("rb") as stream:
        return _Unpickler(stream, switch).load()


def _private_key(der: bytes) -> Any:
    return load_der_private_key(der, None)


class _Pickler(pickle.Pickler):
    """Private keys as bytes; the authority is the same in all processes, and goes by its name."""

    def reducer_override(self, found: Any) -> Any:
        if isinstance(found, hpke.PrivateKey):
            return hpke.PrivateKey.from_bytes, (found.to_bytes(),)
        if isinstance(found, (ec.EllipticCurvePrivateKey, Ed25519PrivateKey)):
            der = found.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
            return _private_key, (der,)
        return NotImplemented

    def persistent_id(self, found: Any) -> str | None:
        return "switch" if isinstance(found, Switch) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: Any, switch: Switch) -> None:
        super().__init__(stream)
        self._switch = switch

    def persistent_load(self, name: str) -> Switch:
        assert name == "switch"
        return self._switch

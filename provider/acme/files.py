# SPDX-License-Identifier: Apache-2.0
"""What is kept of the authority: the account's key, the order's key, the certificate, and where things stand.

Each file appears whole or not at all, for this user alone (mode 0600). Certificate and key are one file, so
that no kill can leave one without the other.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import TypeAdapter

from trustedpods.protocol.errors import NoContext, TrustedPodsError
from trustedpods.protocol.whole_file import private_folder, replace_whole
from trustedpods.provider.core.certificates.types import RenewalState
from trustedpods.provider.facade.certificates import MAX_PEM, key_pem

_log = logging.getLogger(__name__)

MAX_STATE = 64 * 1024
"""A week of orders and a problem's words are under 2 KB."""

_STATE = TypeAdapter(RenewalState)


class OrderFiles:
    """The files in *folder*. All raise NoContext where the disk does not do its part."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._account = folder / "account.key"
        self._order = folder / "order.key"
        self._state = folder / "state.json"
        self.certificate_file = folder / "certificate.pem"

    def account_key(self) -> ec.EllipticCurvePrivateKey:
        """The account's: made once, before the authority hears of it."""
        return self._key(self._account)

    def order_key(self) -> ec.EllipticCurvePrivateKey:
        """The key of the certificate that is being ordered."""
        return self._key(self._order)

    def new_order_key(self) -> ec.EllipticCurvePrivateKey:
        """Another one: each certificate has its own."""
        return self._make(self._order)

    def _key(self, path: Path) -> ec.EllipticCurvePrivateKey:
        content = _read(path, MAX_PEM)
        if not content:
            return self._make(path)
        try:
            key = serialization.load_pem_private_key(content, None)
        except (ValueError, TypeError):
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise NoContext("this is no key of ours", where=str(path), hint="remove it: another is made")
        return key

    def _make(self, path: Path) -> ec.EllipticCurvePrivateKey:
        key = ec.generate_private_key(ec.SECP256R1())
        self._write(path, key_pem(key))
        return key

    def state(self) -> RenewalState:
        """Where things stand; from the beginning if nothing is known."""
        content = _read(self._state, MAX_STATE)
        if not content:
            return RenewalState()
        try:
            return _STATE.validate_json(content)
        except ValueError:
            raise NoContext(
                "what is remembered of orders cannot be read",
                where=str(self._state),
                hint="remove it: a certificate is ordered anew",
            ) from None

    def keep_state(self, state: RenewalState) -> None:
        """Remember it over a kill."""
        self._write(self._state, _STATE.dump_json(state))

    def certificate(self) -> bytes:
        """Chain and key (PEM), the chain alone where the key is an attested one; empty if there is none."""
        return _read(self.certificate_file, 2 * MAX_PEM)

    def keep_certificate(self, pem: bytes) -> None:
        """Chain and key together, or a chain whose key is kept nowhere."""
        self._write(self.certificate_file, pem)

    def _write(self, path: Path, content: bytes) -> None:
        def write() -> None:
            private_folder(path.parent)
            replace_whole(path, content)

        _done(path, write)


def seen_state(folder: Path) -> RenewalState | None:
    """Where things stand, for who only looks: None if that cannot be read."""
    try:
        return OrderFiles(folder).state()
    except TrustedPodsError as error:
        _log.debug("%s", error)
        return None


def _done(path: Path, write: Callable[[], None]) -> None:
    try:
        write()
    except OSError as failed:
        raise NoContext(f"cannot be written: {failed.strerror}", where=str(path)) from None


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except FileNotFoundError:
        return b""
    except OSError as failed:
        raise NoContext(f"cannot be read: {failed.strerror}", where=str(path)) from None

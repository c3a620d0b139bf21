# SPDX-License-Identifier: Apache-2.0
"""Whose an Ethereum signature is: the one place where one is taken, exactly as strict as the contracts.

Importing this costs eth_keys: command lines import it inside the verb that needs it.
"""

from collections.abc import Callable
from typing import Final

from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address, address_from_bytes, keccak256

SIGNATURE_BYTES: Final = 65
"""r, s and v, as OpenZeppelin's `ECDSA` takes them; it refuses every other length."""

FIRST_PARITY: Final = 27
_PARITIES: Final = {FIRST_PARITY: 0, FIRST_PARITY + 1: 1}
"""The recovery byte of `ecrecover`; libraries also take 0, 1, and 35 and up, which a contract refuses."""

_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1. Of the two values of s that sign the same only the lower one counts (EIP-2)."""


def signer_of(digest: bytes, signature: bytes) -> Address | None:
    """Who signed the 32 bytes of *digest*; None for what `ECDSA.recover` of the contracts refuses."""
    if len(signature) != SIGNATURE_BYTES:
        return None
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    parity = _PARITIES.get(signature[64])
    if parity is None or not 0 < r < _ORDER or not 0 < s <= _ORDER // 2:
        return None
    try:
        key = Signature(vrs=(parity, r, s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError, ValueError):  # no point of the curve has this r, or none is left
        return None
    return address_from_bytes(key.to_canonical_address())


def address_of(private_key: bytes) -> Address:
    """The address of an Ethereum key of 32 bytes; BadInput when it is none."""
    return address_from_bytes(_key(private_key).public_key.to_canonical_address())


def sign(private_key: bytes, digest: bytes) -> bytes:
    """The key's signature of 32 bytes (RFC 6979), as `signer_of` takes it; BadInput as above."""
    signed = _key(private_key).sign_msg_hash(digest)
    return signed.to_bytes()[:-1] + bytes([signed.v + FIRST_PARITY])


def _key(private_key: bytes) -> PrivateKey:
    try:
        return PrivateKey(private_key)
    except (ValidationError, ValueError) as error:
        raise BadInput(f"not an Ethereum private key: {error}") from None


def sign_statement(private_key: bytes, text: Callable[[Address], str]) -> tuple[Address, bytes]:
    """Who *private_key* is, and its signature of what *text* says of that address (EIP-191, version E).

    BadInput when it is no key.
    """
    address = address_of(private_key)
    return address, sign(private_key, statement_digest(text(address)))


def statement_signer(text: str, signature: bytes) -> Address | None:
    """Who signed *text* as wallets sign texts; None as `signer_of`."""
    return signer_of(statement_digest(text), signature)


def statement_digest(text: str) -> bytes:
    """What a wallet signs of a text (EIP-191, version E)."""
    raw = text.encode()
    return keccak256(b"\x19Ethereum Signed Message:\n%d" % len(raw) + raw)

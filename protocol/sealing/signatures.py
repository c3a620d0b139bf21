# SPDX-License-Identifier: Apache-2.0
"""Whose an Ethereum signature is: the one place where one is taken, exactly as strict as the contracts.

Importing this costs eth_keys: command lines import it inside the verb that needs it.
"""

from typing import Final

from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from trustedpods.protocol.ids import Address, address_from_bytes

SIGNATURE_BYTES: Final = 65
"""r, s and v, as OpenZeppelin's `ECDSA` takes them; it refuses every other length."""

_PARITIES: Final = {27: 0, 28: 1}
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

# SPDX-License-Identifier: Apache-2.0
"""A member's key for sealing, which comes from the member's Ethereum key alone.

So a member with nothing but that key, on any machine, opens the state. Its public half is known to
others by the member's card (`members.MemberCard`), which an owner puts into the network once.
"""

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from trustedpods.protocol.sealing import hpke

_INFO: Final = b"trusted-pods/network-member-key/v1"


def member_key(secret: bytes) -> hpke.PrivateKey:
    """The key of the member with that *secret* (`requests.publisher_secret`), the same for all networks."""
    derived = HKDF(hashes.SHA256(), hpke.PRIVATE_KEY_BYTES, salt=None, info=_INFO).derive(secret)
    return hpke.PrivateKey.from_bytes(derived)

# SPDX-License-Identifier: Apache-2.0
"""A member's sealing key is the same on every machine, and no one else's."""

import hashlib

from trustedpods.protocol.networks.member_keys import member_key
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.requests import publisher_secret

ALICE, BOB = bytes([1]) * 32, bytes([2]) * 32


def test_the_key_of_a_member_stays_as_it_is() -> None:
    """Frozen: with another key no state that stands in clusters would open."""
    key = member_key(publisher_secret(ALICE))
    assert (
        hashlib.sha256(key.public_bytes).hexdigest()
        == "626607f5b041732145f2a097a9a7602e172989ee9ebe39aefa30e3c7cdc66910"
    )
    assert (
        hpke.PrivateKey.from_bytes(key.to_bytes()).open(hpke.seal(key.public_bytes, b"x", b"i"), b"i") == b"x"
    )


def test_each_member_has_a_key_of_his_own() -> None:
    keys = {member_key(publisher_secret(who)).public_bytes for who in (ALICE, BOB)}
    assert len(keys) == 2

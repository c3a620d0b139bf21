# SPDX-License-Identifier: Apache-2.0
"""The 64 bytes that evidence binds: what the machine vouches for, and to whose question.

This layout is frozen (tests/protocol/attestation/test_report_data.py); a change is a new tag.
"""

import hashlib
from typing import Final

from trustedpods.protocol.evidence import KeyBinding

TAG: Final = b"trusted-pods/attest/v1\0"
REPORT_DATA_BYTES: Final = 64


def report_data(nonce: bytes, binding: KeyBinding) -> bytes:
    """SHA-512 over the tag, then nonce and every field of *binding*, each behind a u32be length."""
    digest = hashlib.sha512(TAG)
    for value in (
        nonce,
        binding.trust.encode(),
        binding.boot_id,
        binding.peer_id,
        binding.hpke_suite.encode(),
        binding.hpke_key,
        binding.reply_key,
        binding.meter,
        binding.tls_key_digest,
        binding.config_digest,
    ):
        digest.update(len(value).to_bytes(4, "big") + value)
    return digest.digest()

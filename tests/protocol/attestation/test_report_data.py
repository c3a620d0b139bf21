# SPDX-License-Identifier: Apache-2.0
import hashlib
import struct

import pytest

from tests.protocol.attestation.evidence import BINDING, NONCE
from trustedpods.protocol.attestation.report_data import REPORT_DATA_BYTES, report_data

FROZEN = (
    "37fac8e137a1d33837f55a2a9e7a1d6b11fe41a2c596093e8fdad1c7ce7d3441"
    "a2330223732b42061a09de9e95cd388453d29c50aad126505b20cbdc42cfa145"
)


def test_the_layout_is_frozen():
    assert report_data(NONCE, BINDING.model_copy(update={"hpke_key": b"\x04" * 1216})).hex() == FROZEN


def test_it_is_the_documented_hash():
    text = b"trusted-pods/attest/v1\0"
    for value in (
        NONCE,
        b"sealed",
        BINDING.boot_id,
        BINDING.peer_id,
        b"MLKEM768-X25519/HKDF-SHA256/AES-256-GCM",
        BINDING.hpke_key,
        BINDING.reply_key,
        BINDING.meter,
        BINDING.tls_key_digest,
        BINDING.config_digest,
    ):
        text += struct.pack(">I", len(value)) + value
    assert report_data(NONCE, BINDING) == hashlib.sha512(text).digest()
    assert len(report_data(NONCE, BINDING)) == REPORT_DATA_BYTES


@pytest.mark.parametrize(
    "change",
    [
        {"trust": "open"},
        {"boot_id": b"x" * 32},
        {"peer_id": b"x"},
        {"hpke_suite": "other"},
        {"hpke_key": b"x"},
        {"reply_key": b"x" * 32},
        {"meter": b"x" * 20},
        {"tls_key_digest": b"x" * 32},
        {"config_digest": b"x" * 32},
    ],
)
def test_every_field_counts(change):
    assert report_data(NONCE, BINDING.model_copy(update=change)) != report_data(NONCE, BINDING)


def test_the_nonce_counts():
    assert report_data(bytes(32), BINDING) != report_data(NONCE, BINDING)


def test_bytes_cannot_move_between_fields():
    moved = BINDING.model_copy(
        update={"peer_id": BINDING.peer_id[:-1], "hpke_suite": "\3" + BINDING.hpke_suite}
    )
    assert report_data(NONCE, moved) != report_data(NONCE, BINDING)

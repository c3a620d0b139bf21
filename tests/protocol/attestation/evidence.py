# SPDX-License-Identifier: Apache-2.0
"""Real evidence (tests/vectors/attestation) and a good machine's answer to start from."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.paths import VECTORS
from trustedpods.protocol.evidence import KeyBinding
from trustedpods.protocol.sealing import hpke

EVIDENCE = VECTORS / "attestation"
IN_2025 = datetime(2025, 6, 1, tzinfo=UTC)
IN_2026 = datetime(2026, 7, 1, tzinfo=UTC)

REPLY_KEY = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
HPKE_KEY = hpke.PrivateKey.from_bytes(bytes(range(96)))
PEER_ID = b"\x00\x24\x08\x01\x12\x20" + b"\x03" * 32
NONCE = b"\x01" * 32

BINDING = KeyBinding(
    trust="sealed",
    boot_id=b"\x02" * 32,
    peer_id=PEER_ID,
    hpke_suite=hpke.SUITE_ID,
    hpke_key=HPKE_KEY.public_bytes,
    reply_key=REPLY_KEY.public_key().public_bytes_raw(),
    meter=b"\x06" * 20,
    tls_key_digest=b"\x07" * 32,
    config_digest=b"\x08" * 32,
)


def read(folder: str, file: str) -> bytes:
    raw = (EVIDENCE / folder / file).read_bytes()
    return bytes.fromhex(raw.decode()) if file.endswith(".hex") else raw


def certificate(folder: str, file: str) -> x509.Certificate:
    raw = read(folder, file)
    is_pem = raw.startswith(b"-----")
    return x509.load_pem_x509_certificate(raw) if is_pem else x509.load_der_x509_certificate(raw)


def flipped(raw: bytes, offset: int, mask: int = 1) -> bytes:
    return raw[:offset] + bytes([raw[offset] ^ mask]) + raw[offset + 1 :]

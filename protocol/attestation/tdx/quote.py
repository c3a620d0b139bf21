# SPDX-License-Identifier: Apache-2.0
"""TDX quotes as bytes: where one ends (Intel TDX DCAP Quoting Library API, appendix A.3).

dcap-qvl stops reading where the quote ends and accepts whatever follows; drivers pad with zeros.
Here a quote is its declared length and zeros, nothing else.
"""

import struct
from typing import Final

from trustedpods.protocol.attestation.checks import Check, need
from trustedpods.protocol.attestation.report_data import REPORT_DATA_BYTES
from trustedpods.protocol.limits import KIB

MAX_QUOTE: Final = 16 * KIB
"""Real quotes have 5 KB; the kernel's buffer for one has 8 KiB."""

VERSIONS: Final = (4, 5)
TEE_TYPE_TDX: Final = 0x81
HEADER_BYTES: Final = 48
TD10_BYTES: Final = 584
"""Body of a version 4 quote; version 5 says its body's length itself."""

_REPORT_DATA_AT: Final = 520
_DESCRIPTOR: Final = struct.Struct("<HI")
_LENGTH: Final = struct.Struct("<I")


def without_padding(raw: bytes) -> bytes:
    """The quote in *raw*, exactly as long as it says that it is.

    EvidenceRefused: "size" over `MAX_QUOTE`, "unsupported-platform" for another kind of TEE,
    "report" for another version, a wrong length, or anything but zeros behind it.
    """
    need(len(raw) <= MAX_QUOTE, Check.SIZE, f"{len(raw)} bytes are too many for a quote")
    need(len(raw) >= HEADER_BYTES, Check.REPORT, f"{len(raw)} bytes are too few for a quote")
    version, _key_type, tee_type = struct.unpack_from("<HHI", raw)
    need(tee_type == TEE_TYPE_TDX, Check.PLATFORM, f"not a TDX quote: its TEE type is {tee_type:#x}")
    need(version in VERSIONS, Check.REPORT, f"quote version {version} is not known")
    end = _end(raw, version)
    need(end <= len(raw), Check.REPORT, f"the quote says that it has {end} bytes, and has {len(raw)}")
    need(not any(raw[end:]), Check.REPORT, "something other than zeros follows the quote")
    return raw[:end]


def _end(raw: bytes, version: int) -> int:
    body_at, body_bytes = HEADER_BYTES, TD10_BYTES
    if version != VERSIONS[0]:
        body_at += _DESCRIPTOR.size
        need(len(raw) >= body_at, Check.REPORT, "the quote ends before its body")
        _, body_bytes = _DESCRIPTOR.unpack_from(raw, HEADER_BYTES)
    signature_at = body_at + body_bytes + _LENGTH.size
    need(len(raw) >= signature_at, Check.REPORT, "the quote ends before its signature")
    (signature_bytes,) = _LENGTH.unpack_from(raw, signature_at - _LENGTH.size)
    return signature_at + int(signature_bytes)


def report_data_of(raw: bytes) -> bytes:
    """The 64 bytes that a quote binds, without any verification. EvidenceRefused when it is none."""
    quote = without_padding(raw)
    (version,) = struct.unpack_from("<H", quote)
    at = HEADER_BYTES + (_DESCRIPTOR.size if version != VERSIONS[0] else 0) + _REPORT_DATA_AT
    need(len(quote) >= at + REPORT_DATA_BYTES, Check.REPORT, "the quote's body is too short")
    return quote[at : at + REPORT_DATA_BYTES]

# SPDX-License-Identifier: Apache-2.0
"""A measurement in words."""

from tests.protocol.attestation.releases.signed import image, release, shape, withdrawn
from trustedpods.protocol.attestation.releases.names import snp_image, tdx_image

TDX = [{"page_order": "page-by-page", "mrtd": "aa" * 48, "rtmr1": "bb" * 48, "rtmr2": "cc" * 48}]
HELD = release(
    images=[
        image("0.2.0", [shape("11", 1), shape("22", 2, "EPYC-Genoa")], withdrawn=withdrawn("a hole")),
        image("0.3.0", [shape("33", 4)], TDX),
    ]
)


def name_of(byte: str) -> str | None:
    found = snp_image(HELD, bytes.fromhex(byte * 48))
    return None if found is None else found.words


def test_images_by_their_launch_digests():
    assert name_of("11") == "image 0.2.0 with 1 vCPU (EPYC-v4), withdrawn on 2026-12-24: a hole"
    assert name_of("22") == "image 0.2.0 with 2 vCPUs (EPYC-Genoa), withdrawn on 2026-12-24: a hole"
    assert name_of("33") == "image 0.3.0 with 4 vCPUs (EPYC-v4)"
    assert name_of("44") is None
    assert snp_image(None, b"\x11" * 48) is None


def test_images_by_their_registers():
    registers = [bytes.fromhex(byte * 48) for byte in ("99", "bb", "cc", "00")]
    found = tdx_image(HELD, b"\xaa" * 48, registers)
    assert found
    assert (found.image.version, found.words) == ("0.3.0", "image 0.3.0")
    assert tdx_image(HELD, b"\xab" * 48, registers) is None
    assert tdx_image(HELD, b"\xaa" * 48, [registers[0], registers[2], registers[2], registers[3]]) is None
    assert tdx_image(None, b"\xaa" * 48, registers) is None

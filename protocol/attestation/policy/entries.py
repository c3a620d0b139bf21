# SPDX-License-Identifier: Apache-2.0
"""Entries of a policy, from its tables: values that are listed there, or those of a release file.

Of a release each image that is not withdrawn becomes an entry of its own, so that its least firmware versions
belong to it, and registers of two images never add up.
"""

from collections.abc import Iterator

from trustedpods.protocol.attestation.policy.model import EVENT_LOG, SnpModel, TdxModel
from trustedpods.protocol.attestation.releases.model import ImageRelease
from trustedpods.protocol.attestation.snp.policy import SnpEntry
from trustedpods.protocol.attestation.tdx.policy import TdxEntry


def snp_entries(table: SnpModel, release: ImageRelease | None) -> Iterator[SnpEntry]:
    """What a `[[snp]]` accepts. *release* is there where the table names it; BadInput for wrong lists."""
    if table.measurements != "release":
        yield table.entry(frozenset(map(bytes.fromhex, table.measurements)))
        return
    assert release is not None
    for image in release.trusted_images:
        least = image.least_snp.get(table.product)
        if least is not None:
            digests = frozenset(bytes.fromhex(shape.digest) for shape in image.snp)
            yield table.entry(digests, least.tcb, f"image {image.version}")


def tdx_entries(table: TdxModel, release: ImageRelease | None) -> Iterator[TdxEntry]:
    """What a `[[tdx]]` accepts; as `snp_entries`."""
    if table.mrtd != "release":
        yield table.entry(frozenset(map(bytes.fromhex, table.mrtd)), tuple(map(_register, table.rtmr)))
        return
    assert release is not None
    first, last = _register(table.rtmr[0]), _register(table.rtmr[3])
    for image in release.trusted_images:
        for shape in image.tdx:
            registers = (first, bytes.fromhex(shape.rtmr1), bytes.fromhex(shape.rtmr2), last)
            least = bytes.fromhex(image.least_tdx or "")
            mrtd = frozenset({bytes.fromhex(shape.mrtd)})
            yield table.entry(mrtd, registers, least, f"image {image.version}")


def _register(value: str) -> bytes | None:
    """None for RTMR0 that is not relied on, and for RTMR3 that the event log tells of."""
    return None if value in ("any", EVENT_LOG) else bytes.fromhex(value)

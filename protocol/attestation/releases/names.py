# SPDX-License-Identifier: Apache-2.0
"""Measurements in words: which image a machine runs, as far as a release file names it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from trustedpods.protocol.attestation.checks import Check, refusal
from trustedpods.protocol.attestation.releases.model import ImageModel, ImageRelease
from trustedpods.protocol.errors import EvidenceRefused

UNKNOWN: Final = "an image that no release names"

_ABOUT_IMAGES: Final = (Check.POLICY.value, Check.MEASUREMENT.value, Check.RTMR.value)
"""Checks that fail because another image runs than the policy wants."""


@dataclass(frozen=True, slots=True)
class ReleasedImage:
    """An image that a release file names, and its words: version, shape, and whether it is withdrawn."""

    image: ImageModel
    words: str


def snp_image(release: ImageRelease | None, measurement: bytes) -> ReleasedImage | None:
    """The image with that launch digest, in words with the shape of the machine."""
    for image in [] if release is None else release.images:
        for shape in image.snp:
            if shape.digest == measurement.hex():
                return _named(image, f" with {_vcpus(shape.vcpus)} ({shape.model})")
    return None


def tdx_image(release: ImageRelease | None, mrtd: bytes, registers: Sequence[bytes]) -> ReleasedImage | None:
    """The image with these MRTD, RTMR1 and RTMR2; *registers* are all four."""
    found = (mrtd.hex(), registers[1].hex(), registers[2].hex())
    for image in [] if release is None else release.images:
        if any((shape.mrtd, shape.rtmr1, shape.rtmr2) == found for shape in image.tdx):
            return _named(image, "")
    return None


def entry_name(entry: str, named: ReleasedImage | None) -> str:
    """What of a policy matched, and which image did."""
    return entry if named is None else f"{entry}: {named.words}"


@contextmanager
def refused_in_words(release: ImageRelease | None, named: ReleasedImage | None) -> Iterator[None]:
    """Say in a refusal about the image which one it is; a withdrawn one is refused as that."""
    try:
        yield
    except EvidenceRefused as error:
        if release is None or error.rule not in _ABOUT_IMAGES:
            raise
        if named is not None and named.image.withdrawn is not None:
            raise refusal(Check.WITHDRAWN, f"the machine runs {named.words}") from None
        error.what = f"{error.what}: it is {UNKNOWN if named is None else named.words}"
        raise


def _named(image: ImageModel, shape: str) -> ReleasedImage:
    words = f"image {image.version}{shape}"
    if image.withdrawn is not None:
        words += f", withdrawn on {image.withdrawn.on[:10]}: {image.withdrawn.reason}"
    return ReleasedImage(image, words)


def _vcpus(count: int) -> str:
    return "1 vCPU" if count == 1 else f"{count} vCPUs"

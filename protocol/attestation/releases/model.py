# SPDX-License-Identifier: Apache-2.0
"""The fields of a release file: which images there are, what each measures to, which are withdrawn."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from trustedpods.protocol.attestation.policy.model import Hex16, Hex32, Hex48, Table, TcbModel

VERSION: Final = 1
MAX_IMAGES: Final = 64
"""A year of weekly images; older ones have expired."""

MAX_SHAPES: Final = 128
"""Of one image: five models, sixteen counts of vCPUs, some of them with two sets of features."""

MAX_BEFORE: Final = 2048
"""Files before this one: forty years of one a week."""

MAX_SUCCESSIONS: Final = 64
"""Keys that were replaced since the pair that the client ships."""

TAG: Final = b"trusted-pods/measurements/v1\n"
"""Before the signed text, so that no other signature of the key means it."""

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def _time(text: str) -> str:
    if moment(text).strftime(_TIME) != text:
        raise ValueError("not a time as 2026-11-29T00:00:00Z")
    return text


def moment(text: str) -> datetime:
    """The time that *text* says, in UTC."""
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


Time = Annotated[str, Field(max_length=20), AfterValidator(_time)]
Version = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,5})){2}$")]
Words = Annotated[str, Field(pattern=r"^[ -~]{1,200}$")]
Ed25519Text = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
ArtefactName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
Product = Literal["Milan", "Genoa", "Turin"]


class SnpShapeModel(Table):
    """The launch digest of one shape of machine."""

    vcpus: Annotated[int, Field(ge=1, le=4096)]
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,32}$")]
    features: Annotated[int, Field(ge=1, lt=1 << 32)]
    digest: Hex48


class TdxShapeModel(Table):
    """The registers of a trust domain whose host adds pages in this order; RTMR0 is the host's."""

    page_order: Literal["page-by-page", "section-by-section"]
    mrtd: Hex48
    rtmr1: Hex48
    rtmr2: Hex48


class WithdrawnModel(Table):
    """Since when, and why, an image is not to be trusted any more."""

    on: Time
    reason: Words


class ImageModel(Table):
    """One image: the tag it is built from, its files, its numbers, the least firmware that it may run on."""

    version: Version
    tag: Annotated[str, Field(pattern=r"^v[0-9A-Za-z.+-]{1,62}$")]
    artefacts: Annotated[dict[ArtefactName, Hex32], Field(min_length=1, max_length=32)]
    snp: Annotated[list[SnpShapeModel], Field(max_length=MAX_SHAPES)]
    tdx: Annotated[list[TdxShapeModel], Field(max_length=MAX_SHAPES)]
    least_snp: Annotated[dict[Product, TcbModel], Field(max_length=3)]
    least_tdx: Hex16 | None
    withdrawn: WithdrawnModel | None

    @model_validator(mode="after")
    def _says_what_it_runs_on(self) -> Self:
        if not (self.snp or self.tdx):
            raise ValueError("an image without a measurement")
        if bool(self.snp) != bool(self.least_snp) or bool(self.tdx) != (self.least_tdx is not None):
            raise ValueError(
                "least firmware versions are there for each platform that is measured, and no other"
            )
        if any((product == "Turin") != (least.fmc is not None) for product, least in self.least_snp.items()):
            raise ValueError("fmc is there for Turin, and only for Turin")
        return self

    @property
    def trust_domains(self) -> set[tuple[str, str, str]]:
        """MRTD, RTMR1 and RTMR2, as hex, of each trust domain that is this image."""
        return {(shape.mrtd, shape.rtmr1, shape.rtmr2) for shape in self.tdx}


class SuccessionModel(Table):
    """One release key replaced by another, signed by the one beside it."""

    replaces: Hex32
    key: Hex32
    by: Hex32
    signature: Ed25519Text


class ImageRelease(Table):
    """What one release file says. `before` has the digests of all files before it, the oldest first."""

    version: Annotated[int, Field(ge=VERSION, le=VERSION)]
    number: Annotated[int, Field(ge=1, le=MAX_BEFORE + 1)]
    made_at: Time
    not_after: Time
    before: Annotated[list[Hex32], Field(max_length=MAX_BEFORE)]
    successions: Annotated[list[SuccessionModel], Field(max_length=MAX_SUCCESSIONS)]
    images: Annotated[list[ImageModel], Field(max_length=MAX_IMAGES)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.number != len(self.before) + 1:
            raise ValueError("its number is not one more than the files before it")
        if moment(self.made_at) >= moment(self.not_after):
            raise ValueError("it ends before it begins")
        versions = [tuple(map(int, image.version.split("."))) for image in self.images]
        if versions != sorted(set(versions)):
            raise ValueError("images are not in ascending order of their versions, each once")
        digests = [shape.digest for image in self.images for shape in image.snp]
        if len(set(digests)) != len(digests):
            raise ValueError("two images or shapes have one launch digest")
        machines = [machine for image in self.images for machine in image.trust_domains]
        if len(set(machines)) != len(machines):
            raise ValueError("two images have the same TDX registers")
        return self

    @property
    def signed(self) -> bytes:
        """The bytes that a release key signs: a tag, then JSON without spaces, keys in ascending order."""
        tree = self.model_dump(mode="json")
        return TAG + json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the signed bytes: how later files name this one."""
        return hashlib.sha256(self.signed).hexdigest()

    @property
    def expiry(self) -> datetime:
        """From then on nobody trusts it."""
        return moment(self.not_after)

    @property
    def trusted_images(self) -> list[ImageModel]:
        """Those that are not withdrawn, the newest first."""
        return [image for image in reversed(self.images) if image.withdrawn is None]


class SignedRelease(Table):
    """The whole file."""

    release: ImageRelease
    key: Hex32
    signature: Ed25519Text

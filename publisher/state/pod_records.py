# SPDX-License-Identifier: Apache-2.0
"""What this client keeps of its pods between runs: what was attested when, and the bundle itself.

One small JSON file for each pod, and beside it the bundle, sealed with a key that comes from the
publisher's own: nobody reads it without the key that could deploy the pod anyway. It is needed to
release a pod again after its machine restarted; without it `deploy FILE` does the same. Bundles of earlier
versions lie beside it, by the generation of the request that brought them, each with what it was sent under.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trustedpods.protocol import limits
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import BadInput, RemoteProtocolError
from trustedpods.protocol.messages.base import Message
from trustedpods.protocol.messages.bundle import Bundle
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.protocol.whole_file import read_whole_or_none
from trustedpods.publisher.state.files import write_whole

T = TypeVar("T")

FOLDER = "pods"
"""Of the records, below the user's folder of state."""

MAX_RECORD = 64 * 1024
"""A page of facts."""

MAX_VERSIONS = 8
"""Bundles of earlier versions that are kept of a pod: a bad week's worth, each a few KiB and its secrets."""

_LENGTH_BYTES = 4
"""Before the two parts of a kept version: together they may be more than one message."""

_INFO = b"trusted-pods/kept-bundle/v1"
_NONCE_BYTES = 12
_Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]


class ShapeRecord(BaseModel):
    """The largest size that the pod ever had in this channel: bounds for what may be billed.

    Units as in `core.cost.Shape`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
    cpu_milli: int
    memory_mib: int
    storage_mib: int
    scratch_mib: int
    max_replicas: int
    min_replicas: int = 0


class Provenance(Message):
    """What a bundle was sent under, and from where: `trust`, `policy` and `images` as in a `PodRecord`."""

    trust: TrustClass
    policy: str | None
    images: list[str]


@dataclass(frozen=True, slots=True)
class SentVersion:
    """A version that proved itself, as it is kept."""

    bundle: Bundle
    provenance: Provenance


class PodRecord(BaseModel):
    """One pod. Times are Unix seconds, 0 for never; amounts base units.

    `images` are where the images of the bundle that is kept were found, as a manifest names them, with whole
    paths: all that a release reads again, whether a manifest was ever in a file or not.
    `policy` is the name or absolute path of the policy that holds for it, None for the market's own;
    `label` names the policy of the last attestation with its digest. `boot` and `meter` are the last
    attested ones, `holder` is the boot that confirmed the bundle, `generation` the last request of this
    client that changed the pod: a later one at the provider came from elsewhere, unless it is `releasing`,
    the last release that was sent, whether its answer was kept or not. `refused` is what did not
    verify since then, empty when all is well. `paid_day` and `paid` are what `watch` topped up that day,
    `closing` is when, by the chain's clock, a notice was meant that ends the channel (`core.channels`). Of a
    node `network` is FOUNDER/NAME, `cluster` the name of its cluster there, and `external` those outside any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
    version: Annotated[int, Field(ge=1, le=1)] = 1
    name: str
    channel: Annotated[str, Field(pattern=r"^[0-9a-f]{48}$")]
    chain_id: int
    payments: _Address
    publisher: _Address
    owner: _Address
    daemon: int
    trust: TrustClass
    policy: str | None
    shape: ShapeRecord | None
    images: tuple[str, ...] = ()
    boot: _Hex32 | None = None
    holder: _Hex32 | None = None
    generation: int | None = None
    releasing: int | None = None
    meter: _Address | None = None
    simulated: bool = False
    label: str = ""
    attested_at: int = 0
    refused: str = ""
    refused_at: int = 0
    paid_day: str = ""
    paid: int = 0
    closing: int | None = None
    network: Annotated[str, Field(max_length=100)] | None = None
    cluster: Annotated[str, Field(max_length=100)] | None = None
    external: Annotated[list[str], Field(max_length=64)] = []


class PodRecords:
    """The folder of them. Files appear whole or not at all, and only their user reads them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, channel: str) -> PodRecord | None:
        """What is kept of a channel (in hex); None when there is nothing. BadInput when it is damaged."""
        path = self._path(channel, "json")
        raw = read_whole_or_none(path, MAX_RECORD, "the record")
        if raw is None:
            return None
        try:
            record = PodRecord.model_validate_json(raw)
        except ValidationError:
            raise BadInput("damaged", where=str(path), hint="remove it, then deploy the pod again") from None
        return record

    def channels(self) -> list[str]:
        """Every channel of which something is kept."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def save(self, record: PodRecord) -> None:
        """Keep it, in place of what was kept of that channel."""
        self._write(self._path(record.channel, "json"), record.model_dump_json(indent=1).encode())

    def forget(self, channel: str) -> None:
        """The channel has ended: nothing of the pod is needed any more."""
        kinds = [_version(generation) for generation in self.versions(channel)]
        for kind in ("json", "bundle", *kinds):
            self._path(channel, kind).unlink(missing_ok=True)

    def keep_bundle(self, channel: str, secret: bytes, bundle: Bundle) -> None:
        """Keep the bundle, sealed; *secret* is the publisher's."""
        self._seal(self._path(channel, "bundle"), channel, secret, encode(bundle))

    def keep_version(self, channel: str, secret: bytes, generation: int, sent: SentVersion) -> None:
        """Keep what proved itself as the newest; one of the same bundle goes, as the oldest do."""
        before = self.versions(channel)
        self._seal(self._path(channel, _version(generation)), channel, secret, _joined(sent))
        for known in before:
            if known != generation and self._opens_as(channel, secret, known, sent.bundle):
                self._path(channel, _version(known)).unlink(missing_ok=True)
        for known in self.versions(channel)[:-MAX_VERSIONS]:
            self._path(channel, _version(known)).unlink(missing_ok=True)

    def versions(self, channel: str) -> list[int]:
        """Generations whose bundles are kept, oldest first."""
        found = [path.name.split(".")[1] for path in self._folder.glob(f"{channel}.*.version")]
        return sorted(int(one) for one in found if one.isascii() and one.isdigit())

    def version(self, channel: str, secret: bytes, generation: int) -> SentVersion | None:
        """What was sent as a generation; None and BadInput as `bundle`."""
        return self._open(self._path(channel, _version(generation)), channel, secret, _parted)

    def bundle(self, channel: str, secret: bytes) -> Bundle | None:
        """The bundle that is kept; None when there is none. BadInput when it does not open."""
        return self._open(self._path(channel, "bundle"), channel, secret, _bundle)

    def _opens_as(self, channel: str, secret: bytes, generation: int, bundle: Bundle) -> bool:
        try:
            known = self.version(channel, secret, generation)
        except BadInput:
            return False
        return known is not None and known.bundle == bundle

    def _seal(self, path: Path, channel: str, secret: bytes, plain: bytes) -> None:
        nonce = os.urandom(_NONCE_BYTES)
        self._write(path, nonce + _cipher(secret).encrypt(nonce, plain, channel.encode()))

    def _open(self, path: Path, channel: str, secret: bytes, read: Callable[[bytes], T]) -> T | None:
        raw = read_whole_or_none(path, limits.MAX_MESSAGE + MAX_RECORD + 64, "what is kept of the pod")
        if raw is None:
            return None
        try:
            plain = _cipher(secret).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], channel.encode())
            return read(plain)
        except (InvalidTag, ValueError, RemoteProtocolError):
            hint = "remove it, then deploy the pod again"
            raise BadInput("does not open with this key, or is damaged", where=str(path), hint=hint) from None

    def _path(self, channel: str, kind: str) -> Path:
        return self._folder / f"{channel}.{kind}"

    def _write(self, path: Path, data: bytes) -> None:
        try:
            write_whole(path, data)
        except OSError as error:
            raise BadInput(f"cannot keep what is known of a pod: {error.strerror}", where=str(path)) from None


def _version(generation: int) -> str:
    return f"{generation}.version"


def _bundle(plain: bytes) -> Bundle:
    return decode(plain, Bundle)


def _joined(sent: SentVersion) -> bytes:
    provenance = encode(sent.provenance)
    return len(provenance).to_bytes(_LENGTH_BYTES, "big") + provenance + encode(sent.bundle)


def _parted(plain: bytes) -> SentVersion:
    length = int.from_bytes(plain[:_LENGTH_BYTES], "big")
    provenance, bundle = plain[_LENGTH_BYTES:][:length], plain[_LENGTH_BYTES:][length:]
    return SentVersion(decode(bundle, Bundle), decode(provenance, Provenance))


def _cipher(secret: bytes) -> AESGCM:
    return AESGCM(HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_INFO).derive(secret))

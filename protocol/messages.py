# SPDX-License-Identifier: Apache-2.0
"""What travels between publisher and provider, field by field, with bounds.

A conversation is one stream. Its first frame is an `AttestRequest` (`evidence.py`) or a
`SignedRequest` (`envelopes.py`); the provider answers with frames of `Attested`, or of `SealedReply`.
Inside the sealed parts are the *bodies* below: what a verb asks, and what it is answered.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from trustedpods.protocol import limits

Bytes32 = Annotated[bytes, Field(min_length=32, max_length=32)]
Bytes20 = Annotated[bytes, Field(min_length=20, max_length=20)]
U32 = Annotated[int, Field(ge=0, lt=1 << 32)]
U64 = Annotated[int, Field(ge=0, lt=1 << 64)]
U256 = Annotated[int, Field(ge=0, lt=1 << 256)]
ShortText = Annotated[str, Field(max_length=512)]
LongText = Annotated[str, Field(max_length=8192)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
TrustClass = Literal["sealed", "open"]
ServicePool = Literal["http", "h2", "tcp"]
Verb = Literal["admit", "provision", "blob", "status", "logs", "usage", "delete", "rotate"]


class Message(BaseModel):
    """Base of everything that is framed: immutable, strict, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Prices(Message):
    """Price mantissas with one scale: due = (sum of quantity * price) * 2^64 >> scale."""

    cpu_core_ms: U32
    memory_mib_s: U32
    storage_mib_s: U32
    egress_kib: U32
    ingress_kib: U32
    scale: Annotated[int, Field(ge=0, le=128)]


class LeastTerms(Message):
    """The least that a provider accepts of a channel."""

    deposit: U256
    unlock_s: U32
    idle_mib: U32


class Capacity(Message):
    """What a provider's cluster can still take, and what it can do. `slots` are those of http."""

    cpu_milli: U64
    memory_mib: U64
    storage_mib: U64
    slots: U32


class Profile(Message):
    """A provider describes itself; its SHA-256 stands in the registry row."""

    version: Literal[1] = 1
    owner: Bytes20
    daemon: U32
    trust: TrustClass
    simulated: bool
    region: ShortText
    domain: ShortText
    url_suffix: ShortText
    token: Bytes20
    prices: Prices
    least: LeastTerms
    grace_s: U32
    addresses: Annotated[list[ShortText], Field(max_length=8)]


# ---- bodies of requests ----------------------------------------------------------------------


class AdmitBody(Message):
    """May a pod of this size, with exposed `services` of these kinds, come? Asked before any money moves."""

    kind: Literal["admit"] = "admit"
    cpu_milli: U64
    memory_mib: U64
    storage_mib: U64
    image_mib: U64
    max_replicas: U32
    services: Annotated[dict[ShortText, ServicePool], Field(max_length=16)]
    hosts: Annotated[list[ShortText], Field(max_length=16)]


class BlobRef(Message):
    """One blob of a bundle: id and key are derived from the publisher's secret and the digest.

    `size` counts plaintext bytes; `digest` is that of the plaintext.
    """

    blob_id: Bytes32
    key: Bytes32
    digest: Digest
    size: Annotated[int, Field(ge=0, le=limits.MAX_BLOB_SIZE)]
    media_type: ShortText


class ImageRef(Message):
    """An image of the bundle: `blobs[0]` is its manifest, `blobs[1]` its configuration."""

    name: ShortText
    blobs: Annotated[list[BlobRef], Field(min_length=2, max_length=limits.MAX_BLOBS)]


class SecretValue(Message):
    """Content of one secret volume or secret environment variable."""

    name: ShortText
    files: dict[ShortText, Annotated[bytes, Field(max_length=limits.MAX_SECRET)]]


class Bundle(Message):
    """Everything that makes a pod: its manifest as JSON, its secrets, and where its images are.

    `commanders` are the addresses that may command the pod; they are pinned by its first bundle
    and never read from the chain.
    """

    kind: Literal["bundle"] = "bundle"
    name: ShortText
    manifest: Annotated[bytes, Field(max_length=256 * limits.KIB)]
    images: Annotated[list[ImageRef], Field(max_length=limits.MAX_IMAGES)]
    secrets: Annotated[list[SecretValue], Field(max_length=32)]
    commanders: Annotated[list[Bytes20], Field(min_length=1, max_length=8)]


class BlobBody(Message):
    """Announces chunks of one blob, sent as raw frames behind this request."""

    kind: Literal["blob"] = "blob"
    blob: BlobRef


class StatusBody(Message):
    """How is the pod?"""

    kind: Literal["status"] = "status"


class LogsBody(Message):
    """Lines that a container wrote."""

    kind: Literal["logs"] = "logs"
    container: ShortText | None = None
    tail: Annotated[int, Field(ge=1, le=10_000)] = 100
    follow: bool = False


class UsageBody(Message):
    """Usage leaves of a channel that end after `since`."""

    kind: Literal["usage"] = "usage"
    since: U64 = 0


class DeleteBody(Message):
    """Settle, release, remove. `purge` is kept for volumes that outlive their pod."""

    kind: Literal["delete"] = "delete"
    purge: bool = True


# ---- bodies of replies -----------------------------------------------------------------------


class Progress(Message):
    """A step of long work: `step` is stable, `text` is for people."""

    kind: Literal["progress"] = "progress"
    step: ShortText
    text: LongText
    done: U64 | None = None
    total: U64 | None = None


class Admitted(Message):
    """The pod may come: what of the provider's capacity is left without it."""

    kind: Literal["admission"] = "admission"
    capacity: Capacity


class BlobNeed(Message):
    """One blob that the provider lacks, and how many whole chunks of it it has."""

    blob_id: Bytes32
    chunks: U64


class Needs(Message):
    """Which blobs are still missing; empty when all are there."""

    kind: Literal["needs"] = "needs"
    blobs: Annotated[list[BlobNeed], Field(max_length=limits.MAX_BLOBS * limits.MAX_IMAGES)]


class BlobAck(Message):
    """So many whole chunks of the blob are on the provider's disk."""

    kind: Literal["blob-ack"] = "blob-ack"
    chunks: U64


class Endpoint(Message):
    """Where one port of one service is reached."""

    service: ShortText
    port: Annotated[int, Field(ge=1, le=65535)]
    url: ShortText


class Statement(Message):
    """What the provider confirms, signed by the attested reply key; see `SignedStatement`."""

    kind: Literal["statement"] = "statement"
    channel: Annotated[bytes, Field(min_length=24, max_length=24)]
    generation: U64
    namespace: ShortText
    endpoints: Annotated[list[Endpoint], Field(max_length=64)]
    images: dict[ShortText, Digest]
    terms: U256
    meter: Bytes20
    issued_at: U64


class SignedStatement(Message):
    """`statement` is a coded `Statement`; the signature covers exactly those bytes."""

    kind: Literal["signed-statement"] = "signed-statement"
    statement: Annotated[bytes, Field(max_length=64 * limits.KIB)]
    signature: Annotated[bytes, Field(min_length=64, max_length=64)]


class PodEvent(Message):
    """One line of a pod's history, kept by the provider longer than Kubernetes does."""

    at: U64
    reason: ShortText
    text: LongText


class PodStatus(Message):
    """What a pod does now, why, and how long its money lasts."""

    kind: Literal["status"] = "status"
    phase: ShortText
    reason: LongText
    generation: U64
    replicas: U32
    ready: U32
    statement: SignedStatement | None
    deposit: U256
    claimed: U256
    accrued: U256
    runway_s: U64 | None
    up_to: U64
    unlock_at: U64
    events: Annotated[list[PodEvent], Field(max_length=256)]


class LogLines(Message):
    """A piece of a container's output."""

    kind: Literal["log-lines"] = "log-lines"
    container: ShortText
    data: Annotated[bytes, Field(max_length=limits.MAX_LOG_REPLY)]


class UsageLeaf(Message):
    """One period of one channel as signed by the meter, with its proof under the batch's root."""

    from_: U64
    up_to: U64
    usage: Annotated[list[U64], Field(min_length=5, max_length=5)]
    root: Bytes32
    proof: Annotated[list[Bytes32], Field(max_length=32)]
    transaction: Bytes32 | None


class UsageReport(Message):
    """Leaves of one channel, oldest first, and what has accrued behind the last of them."""

    kind: Literal["usage-report"] = "usage-report"
    leaves: Annotated[list[UsageLeaf], Field(max_length=limits.MAX_LEAVES)]
    open_usage: Annotated[list[U64], Field(min_length=5, max_length=5)]


class Done(Message):
    """A verb that has nothing more to say."""

    kind: Literal["done"] = "done"
    text: LongText = ""
    transaction: Bytes32 | None = None

# SPDX-License-Identifier: Apache-2.0
"""What several answers are made of."""

from typing import Literal, NotRequired, TypedDict

from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.publisher.output.answers.words import (
    BaseUnits,
    ChannelText,
    ProviderName,
    Seconds,
    Tokens,
    TransactionHash,
    UnixTime,
)
from trustedpods.publisher.results.money import DepositState

ClassPart = TypedDict("ClassPart", {"class": TrustClass})
"""A field whose name is a word of Python's."""


class ErrorJson(TypedDict):
    """`code`, `exit` and `rule` are stable (docs/errors.md), `what`, `where` and `hint` for people."""

    code: str
    exit: int
    what: str
    where: NotRequired[str]
    rule: NotRequired[str]
    hint: NotRequired[str]


class ProviderJson(TypedDict):
    """One daemon of one owner, where it is dialled (a multiaddr), and where it says that it stands."""

    name: ProviderName
    owner: str
    daemon: int
    endpoint: str
    region: str


class MachineJson(ClassPart):
    """What a machine proved: `evidence` is the SHA-256 of its report, `meter` the address that may claim."""

    simulated: bool
    platform: str
    evidence: str
    checks: list[str]
    boot: str
    meter: str


class VerdictJson(ClassPart):
    """All of a verdict on a machine's evidence."""

    simulated: bool
    platform: str
    chip_id: str
    report_sha256: str
    policy: str
    entry: str
    expiry: str | None
    warnings: list[str]
    checks: list[str]


class AttestedJson(TypedDict):
    """When a provider last verified from this machine, and against what; `refused` came after that."""

    at: UnixTime | None
    policy: str
    label: str
    boot: str | None
    refused: str | None
    refused_at: UnixTime | None


class ChannelJson(TypedDict):
    """A pod's provider and channel; what is left in it while it is open."""

    provider: ProviderJson
    channel: ChannelText
    channel_open: bool
    token: str
    left: NotRequired[Tokens]
    left_units: NotRequired[BaseUnits]
    unlock_at: NotRequired[UnixTime | None]
    up_to: NotRequired[UnixTime]


class TransactionJson(TypedDict, total=False):
    """A transaction; its gas and block where this client sent it."""

    tx: TransactionHash
    gas: int
    block: int


class OutcomeJson(TransactionJson):
    """What became of a deposit. Not `pushed`: the token refused the refund, and `withdraw` gets it."""

    state: DepositState
    unlock_at: NotRequired[UnixTime]
    left: NotRequired[Tokens]
    refund: NotRequired[Tokens]
    refund_units: NotRequired[BaseUnits]
    pushed: NotRequired[bool]


class EndpointJson(TypedDict):
    """Where one port of one service is reached."""

    service: str
    port: int
    url: str


class IdentityJson(TypedDict, total=False):
    """What a pod is known by, in each form that its key has."""

    hex: str
    base64: str
    pem: str
    enodeId: str


class PricesJson(TypedDict):
    """Prices as the contract counts: due = (sum of quantity * price) * 2^64 >> scale, in base units."""

    cpu_core_ms: int
    memory_mib_s: int
    storage_mib_s: int
    egress_kib: int
    ingress_kib: int
    scale: int


class TermsJson(TypedDict):
    """Terms of a channel; `word` is what the contract keeps."""

    prices: PricesJson
    cap_per_day: BaseUnits
    unlock_s: Seconds
    word: str


class ConfirmedJson(TypedDict, total=False):
    """What the provider signed; all of it or nothing. `images` are digests by container."""

    endpoints: list[EndpointJson]
    images: dict[str, str]
    namespace: str
    generation: int
    terms: TermsJson
    issued_at: UnixTime
    identity: IdentityJson


FromChunkPart = TypedDict("FromChunkPart", {"from": int})
"""The same."""


class SentBlobJson(FromChunkPart):
    """One blob of an image: its bytes and chunks, and from which one on they were sent."""

    digest: str
    chunks: int
    size: int


class SentJson(TypedDict):
    """What was sent: sealed bytes and chunks on the wire, and the blobs that are whole there now."""

    sent_bytes: int
    sent_chunks: int
    sent_blobs: list[SentBlobJson]


class LeftJson(TypedDict):
    """A provider that failed before the one that took the pod: why, and where the deposit is."""

    provider: ProviderName
    channel: ChannelText
    error: ErrorJson
    money: OutcomeJson


class PriceJson(TypedDict):
    """What a pod costs at a provider."""

    token: str
    awake_hour: Tokens
    asleep_hour: Tokens
    peak_day: Tokens


class ScheduleJson(TypedDict):
    """A schedule of backups on this machine, and how it goes."""

    pod: str
    store: str
    every_s: Seconds
    keep: int
    next_at: UnixTime
    last: str | None
    last_at: UnixTime | None
    size: int | None
    failures: int
    failed_at: UnixTime | None
    why: str
    begun: UnixTime | None
    exit: int
    stopped: NotRequired[Literal[True]]


class UsageJson(TypedDict):
    """What a pod used in one period."""

    cpu_core_ms: int
    memory_mib_s: int
    storage_mib_s: int
    egress_kib: int
    ingress_kib: int

# SPDX-License-Identifier: Apache-2.0
"""What a provider says of itself: its profile, its prices, and what it can still take."""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol.messages.base import U32, U64, U256, Bytes20, Bytes32, Message, ShortText
from trustedpods.protocol.messages.capabilities import Capabilities

TrustClass = Literal["sealed", "open"]

ServiceProtocol = Literal["http", "h2", "tcp", "udp", "nodePort", "loadBalancer", "ingress"]
"""What an exposed service speaks: HTTP/1.1, HTTP/2 without TLS, or bytes or datagrams that nobody reads; or
that its ports are wanted on the nodes themselves, an address of its own, or a controller of the cluster's.

By what means a provider serves it is the provider's own affair.
"""


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
    """What a provider can still take: of its cluster, and exposed services of each protocol."""

    cpu_milli: U64
    memory_mib: U64
    storage_mib: U64
    services: Annotated[dict[ServiceProtocol, U32], Field(max_length=7)]


class Profile(Message):
    """A provider describes itself; its SHA-256 stands in the registry row.

    `max_image_mib` is the most that a pod's images may take, packed and unpacked (docs/metering.md).
    """

    version: Annotated[int, Field(ge=1, le=1)] = 1  # a Literal[1] takes true and 1.0
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
    max_image_mib: U32
    addresses: Annotated[list[ShortText], Field(max_length=8)]
    capabilities: Capabilities


class DocumentsProfile(Message):
    """A daemon without a market describes itself: it keeps documents and leases of networks, and no pods."""

    kind: Literal["documents"] = "documents"
    version: Annotated[int, Field(ge=1, le=1)] = 1
    owner: Bytes20
    daemon: U32
    trust: TrustClass
    simulated: bool


CapabilityWord = Annotated[str, Field(min_length=1, max_length=64)]

MAX_CAPABILITY_WORDS = 32
"""A page that a person reads; the profile has all of them."""


class FiguresRequest(Message):
    """Asks for what a provider says of its own service; anybody may, without a key."""

    kind: Literal["figures"] = "figures"


class Figures(Message):
    """What a provider measured of itself and says in public: its own word, and nothing of any pod.

    Of the `counted_s` seconds before `at` (Unix seconds), at most `days` days, it could serve pods in `up_s`.
    `cold_starts` first requests met a sleeping pod in that time and waited for `cold_start_ms` together; half
    of them, and nine of ten, came within so many milliseconds. None: there was none, or it took longer than
    is told apart. `capabilities` are words for people; the profile of `profile_digest` (SHA-256) has all.
    """

    version: Annotated[int, Field(ge=1, le=1)] = 1
    owner: Bytes20
    daemon: U32
    trust: TrustClass
    simulated: bool
    region: ShortText
    domain: ShortText
    token: Bytes20
    prices: Prices
    capabilities: Annotated[list[CapabilityWord], Field(max_length=MAX_CAPABILITY_WORDS)]
    profile_digest: Bytes32
    at: U64
    days: U32
    counted_s: U64
    up_s: U64
    cold_starts: U64
    cold_start_ms: U64
    half_within_ms: U32 | None
    nine_of_ten_within_ms: U32 | None


class SignedFigures(Message):
    """Coded `Figures`, signed by the attested reply key; it can be shown to a third party."""

    kind: Literal["signed-figures"] = "signed-figures"
    figures: Annotated[bytes, Field(max_length=8192)]
    signature: Annotated[bytes, Field(min_length=64, max_length=64)]

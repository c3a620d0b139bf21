# SPDX-License-Identifier: Apache-2.0
"""`estimate`: what a pod would cost at each provider, and who cannot take it."""

from dataclasses import dataclass

from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.core.cost import Cost
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.results.providers import ProviderId


@dataclass(frozen=True, slots=True)
class EstimatedOffer:
    """A provider that may take the pod, what it would cost there, and what `deploy` would pay in.

    A provider may ask that what its grace period costs is paid in on top; it says so when it is dialled.
    `retained_hour` is what an hour of the volumes that outlive a `delete` costs, after it; `warm_hour` the
    most that an hour of warm sleep costs, of a pod that asks for it.
    """

    provider: ProviderId
    trust: TrustClass
    cost: Cost
    retained_hour: TokenUnits
    deposit: TokenUnits
    warm_hour: TokenUnits | None = None


@dataclass(frozen=True, slots=True)
class EstimatedNot:
    """A provider that cannot take the pod, and why, for people."""

    provider: ProviderId
    reason: str


@dataclass(frozen=True, slots=True)
class EstimateResult:
    """Offers, cheapest first, from the registry's prices; nobody was dialled and nothing was paid.

    `image_bytes` counts the pod's images packed and unpacked, as they are stored and billed; `outliving_mib`
    are its volumes that outlive a `delete`.
    """

    pod: str
    token: Token
    simulated: bool
    image_bytes: int
    min_replicas: int
    max_replicas: int
    outliving_mib: int
    offers: tuple[EstimatedOffer, ...]
    left_out: tuple[EstimatedNot, ...]

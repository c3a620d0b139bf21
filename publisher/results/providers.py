# SPDX-License-Identifier: Apache-2.0
"""Providers: who one is, what its machine proved, and the market's list of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.capabilities import Capabilities
from trustedpods.protocol.messages.provider import Figures, LeastTerms, TrustClass
from trustedpods.protocol.units import TokenUnits, UnixSeconds
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.journal import Fact
from trustedpods.publisher.results.errors import ErrorReport

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.verdict import Verdict


@dataclass(frozen=True, slots=True)
class ProviderId:
    """One daemon of one owner, where it is dialled (a multiaddr), and where it says that it stands."""

    owner: Address
    daemon: int
    endpoint: str
    region: str

    @property
    def name(self) -> str:
        """OWNER/N, as `--provider` takes it."""
        return f"{self.owner}/{self.daemon}"

    @classmethod
    def of(cls, row: RegistryRow) -> Self:
        """The provider of a registry row."""
        return cls(row.owner, row.daemon, row.endpoint, row.region)


@dataclass(frozen=True, slots=True)
class VerifiedMachine:
    """What a provider's machine proved in this run: the verdict, its boot, and the key that may claim."""

    verdict: "Verdict"
    boot: bytes
    meter: Address


@dataclass(frozen=True, slots=True)
class ListPrices:
    """A provider's prices in base units, each rounded down once.

    An hour of one core, an hour of a GiB of memory, 30 days of a GiB on disk, a GiB of traffic out and in.
    """

    core_hour: TokenUnits
    gib_hour: TokenUnits
    stored_gib_month: TokenUnits
    egress_gib: TokenUnits
    ingress_gib: TokenUnits


@dataclass(frozen=True, slots=True)
class ListedProvider:
    """A row of the registry: a claim, not a proof.

    `proof` is what its evidence showed when it was asked for, or why there is no proof; None: nobody asked.
    `tee` are the kinds of hardware that it names, `least` the least that it accepts of a channel.
    `unfit` is why a pod that was asked for cannot run there; None: it can, or none was asked for.
    """

    provider: ProviderId
    trust: TrustClass
    tee: tuple[str, ...]
    updated_at: UnixSeconds
    prices: ListPrices
    least: LeastTerms
    proof: "Verdict | ErrorReport | None"
    unfit: str | None = None
    answered_ms: int | None = None
    """How long it took to dial it and to prove itself; None where it did not, or nobody asked."""

    awake_hour: TokenUnits | None = None
    asleep_hour: TokenUnits | None = None
    """Of the pod that was asked for, in base units, awake and asleep; None where it does not fit."""

    @property
    def evidence(self) -> str:
        """What its evidence showed, in one line: class and platform, or the error; empty: nobody asked."""
        if self.proof is None:
            return ""
        if isinstance(self.proof, ErrorReport):
            return f"{self.proof.code}: {self.proof.text}"
        return f"{trust_text(self.proof.trust, simulated=self.proof.simulated)}: {self.proof.platform}"


@dataclass(frozen=True, slots=True)
class ProvidersResult:
    """`provider list`: rows in the order that was asked for. `simulated`: the market is a localnet.

    `pod` is the name of the pod that they were held against, if any.
    """

    token: Token
    simulated: bool
    providers: tuple[ListedProvider, ...]
    pod: str | None = None

    @property
    def was_asked(self) -> bool:
        """Whether any was asked for proof."""
        return any(one.proof is not None for one in self.providers)


@dataclass(slots=True)
class ListProgress:
    """What a listing has found so far, for whoever does not wait for the last provider. The verb fills it."""

    made: Callable[[], ProvidersResult] | None = None

    def result(self) -> ProvidersResult | None:
        """Every row, with the proof of those that were heard; None before the registry was read."""
        return None if self.made is None else self.made()


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """What a provider says of its own service: what its attested machine signed, or why there is nothing.

    `old`: signed so long ago that a daemon that runs would have signed newer ones, or in the future.
    """

    figures: Figures | None = None
    old: bool = False
    error: ErrorReport | None = None


@dataclass(frozen=True, slots=True)
class InspectResult:
    """`provider inspect`: what one provider offers, as its attested machine has signed it."""

    provider: ProviderId
    verdict: "Verdict"
    capabilities: Capabilities
    service: ServiceFigures = ServiceFigures()


@dataclass(frozen=True, slots=True)
class RenderResult:
    """`render`: the Kubernetes objects that a pod becomes at a provider, in the order in which they are made.

    Values of secrets are hidden.
    """

    provider: ProviderId
    pod: str
    objects: tuple[Mapping[str, Fact], ...]

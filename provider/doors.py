# SPDX-License-Identifier: Apache-2.0
"""Everything that the daemon's tasks use of the world outside, in one place."""

import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import trio

from trustedpods.protocol.codec import encode
from trustedpods.protocol.evidence import KeyBinding
from trustedpods.protocol.ids import Address, address_bytes
from trustedpods.protocol.messages.capabilities import Capabilities
from trustedpods.protocol.messages.provider import Profile
from trustedpods.protocol.sealing.requests import ChainContext
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.freezer.door import Freezer
from trustedpods.provider.cluster.isolation_proof import busybox
from trustedpods.provider.cluster.pod_counters import NoTraffic, TrafficSource
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.admission import Offer
from trustedpods.provider.core.earnings.gas import GasUnderWay
from trustedpods.provider.dns.control import Resolver
from trustedpods.provider.facade import readiness
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.keys.generations import NewestGenerations
from trustedpods.provider.metrics import Metrics
from trustedpods.provider.store import Store
from trustedpods.provider.store.spool import Spool
from trustedpods.provider.tee import Collector

if TYPE_CHECKING:
    from trustedpods.contracts.client import Chain
    from trustedpods.provider.cluster.client import Cluster
    from trustedpods.provider.cluster.image_registry import ImageRegistry
    from trustedpods.provider.facade.facade import Facade


UntilReady = Callable[
    [str, Sequence[readiness.ContainerProbe], float, readiness.Tally], Awaitable[readiness.ProbeResult]
]


class SharedDoors(Protocol):
    """What conversations and networks use, of a daemon with a market and of one without."""

    @property
    def keys(self) -> BootKeys:
        """This boot's."""

    @property
    def collector(self) -> Collector:
        """Where evidence comes from."""

    @property
    def store(self) -> Store:
        """The books."""

    @property
    def books(self) -> Path:
        """Their file: it names the daemon among those that want its cluster."""

    @property
    def shared_books(self) -> bool:
        """If another node's daemon can take them over."""

    @property
    def cluster(self) -> "Cluster":
        """Kubernetes."""

    @property
    def metrics(self) -> Metrics:
        """What is counted."""

    @property
    def clock(self) -> Callable[[], float]:
        """Unix seconds."""

    @property
    def owner(self) -> Address:
        """Whose daemon requests are for."""

    @property
    def context(self) -> ChainContext:
        """The market that requests are signed for."""

    def now(self) -> UnixSeconds:
        """This machine's clock, in whole seconds."""


class SendingGate:
    """Shut while a former operator's key has something under way: the present one sends nothing meanwhile."""

    def __init__(self) -> None:
        self._opened: trio.Event | None = None

    def shut(self) -> None:
        """From now on `passed` waits."""
        self._opened = self._opened or trio.Event()

    @property
    def is_shut(self) -> bool:
        """Whether `passed` waits."""
        return self._opened is not None

    def open(self) -> None:
        """Let all go on that wait; the same again changes nothing."""
        if self._opened is not None:
            self._opened.set()
        self._opened = None

    async def passed(self) -> None:
        """Wait while it is shut. Whoever sends looks at the chain behind this: what was under way landed."""
        if self._opened is not None:
            await self._opened.wait()


@dataclass(frozen=True, slots=True)
class Doors:
    """The open doors, the keys and the configuration. Nothing in it decides anything."""

    config: ProviderConfig
    keys: BootKeys
    operator_key: bytes
    collector: Collector
    store: Store
    spool: Spool
    chain: "Chain"
    cluster: "Cluster"
    registry: "ImageRegistry"
    facade: "Facade"
    resolver: Resolver = field(default_factory=Resolver)
    until_ready: UntilReady = readiness.until_ready
    clock: Callable[[], float] = time.time
    generations: NewestGenerations = field(default_factory=NewestGenerations)
    metrics: Metrics = field(default_factory=Metrics)
    traffic: TrafficSource = field(default_factory=NoTraffic)
    freezer: Freezer = field(default_factory=Freezer)
    gas: GasUnderWay = field(default_factory=GasUnderWay)
    sending: SendingGate = field(default_factory=SendingGate)

    @property
    def books(self) -> Path:
        """The file of the store."""
        return Path(self.config.store.path)

    @property
    def shared_books(self) -> bool:
        """If they are in a database, which another node's daemon can take over."""
        return self.config.store.database is not None

    @property
    def owner(self) -> Address:
        """The provider's cold address."""
        return Address(self.config.identity.owner)

    @property
    def meter(self) -> Address:
        """Whom channels must name as their meter."""
        return self.keys.meter_address

    @property
    def context(self) -> ChainContext:
        """The market that requests are signed for."""
        return ChainContext(self.config.market.chain_id, Address(self.config.market.payments))

    @property
    def offer(self) -> Offer:
        """What is sold here."""
        return Offer(
            trust=self.config.identity.trust,
            prices=self.config.prices,
            least=self.config.least,
            domain=self.config.identity.domain,
            claim_interval_s=self.config.terms.cap_interval_s,
            private_webhooks=self.config.webhooks.allow_private,
            names=self.config.names is not None,
            smtp=self.config.egress.smtp,
            own_sleep=self.config.allowed.own_sleep,
            user_namespaces=self.config.cluster.user_namespaces,
            tunnels=bool(self.config.exposure.tunnel_sockets),
            egress_closed=self.config.cluster.closed_networks,
            peers=tuple(self.config.exposure.peers),
            max_image_mib=self.config.terms.max_image_mib,
            storage_classes=self.config.cluster.storage_classes,
            csi_drivers=tuple(self.config.cluster.csi_drivers),
            seeds=busybox.is_there(),
        )

    def now(self) -> UnixSeconds:
        """This machine's clock, in whole seconds."""
        return UnixSeconds(int(self.clock()))


def profile_of(
    config: ProviderConfig, offered: Capabilities, *, simulated: bool, addresses: list[str]
) -> bytes:
    """The coded profile; its SHA-256 stands in the registry row."""
    identity = config.identity
    return encode(
        Profile(
            owner=address_bytes(Address(identity.owner)),
            daemon=identity.daemon,
            trust=identity.trust,
            simulated=simulated,
            region=identity.region,
            domain=identity.domain,
            url_suffix=identity.url_suffix,
            token=address_bytes(Address(config.market.token)),
            prices=config.prices,
            least=config.least,
            grace_s=config.terms.grace_s,
            max_image_mib=config.terms.max_image_mib,
            addresses=addresses,
            capabilities=offered,
        )
    )


def binding_of(config: ProviderConfig, keys: BootKeys, peer_id: bytes) -> KeyBinding:
    """The keys of this boot, bound to the class and to what of the configuration concerns publishers.

    Settings of `[market]` that came later and are not set are left out, so that an upgrade changes no digest.
    """
    unset = {name for name in ("other_rpcs", "rpc_agree") if not getattr(config.market, name)}
    told = config.model_dump_json(
        include={"market", "identity", "prices", "terms"}, exclude={"market": unset}
    )
    return keys.binding(config.identity.trust, peer_id, hashlib.sha256(told.encode()).digest())

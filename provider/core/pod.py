# SPDX-License-Identifier: Apache-2.0
"""What the daemon knows of a pod: the one record that is stored, and the words for its phases."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from trustedpods.contracts.records import Channel
from trustedpods.protocol.ids import Address, ChannelId, PodRef
from trustedpods.protocol.units import Resources, TokenUnits, UnixSeconds


class Phase(StrEnum):
    """Where a pod stands; see `lifecycle` for the ways from one to the next."""

    RECEIVED = "received"
    WAITING_CHANNEL = "waiting-channel"
    IMPORTING = "importing"
    STARTING = "starting"
    SERVING = "serving"
    STOPPED = "stopped"
    REMOVING = "removing"
    GONE = "gone"
    FAILED = "failed"
    AWAITING_KEY = "awaiting-key"
    CLEARING = "clearing"
    """Deleted by its publisher: all but the volumes that outlive it is being taken away."""
    RETAINED = "retained"
    """Nothing of it but those volumes is left, and nothing else is paid for."""


WORKING = frozenset(
    {
        Phase.RECEIVED,
        Phase.WAITING_CHANNEL,
        Phase.IMPORTING,
        Phase.STARTING,
        Phase.CLEARING,
        Phase.REMOVING,
    }
)
"""Phases in which a keeper task has something to do."""

LEAVING = frozenset({Phase.CLEARING, Phase.REMOVING})
"""Phases in which something is taken away: no bundle is taken meanwhile."""

_WAITS_FOR_OTHERS = frozenset({Phase.RECEIVED, Phase.WAITING_CHANNEL, Phase.IMPORTING})
"""Phases whose length is up to a publisher, the chain or the registry; a start has a limit of its own."""

ENDED = frozenset({Phase.GONE, Phase.FAILED})
"""Phases of which nothing but the books is left."""


LOST_STATEMENT = b""
"""Stands for a statement that an earlier boot of the machine sealed: the pod served, its words are gone."""


@dataclass(frozen=True, slots=True)
class PodSize:
    """The numbers of a pod that are billed or reserved; all that is kept of its manifest.

    `scratch_mib` is each replica's `ephemeral-storage`.
    """

    cpu_milli: int
    memory_mib: int
    volume_mib: int
    image_mib: int
    scratch_mib: int

    @property
    def replica(self) -> Resources:
        """What one replica takes."""
        return Resources(self.cpu_milli, self.memory_mib, self.scratch_mib)


@dataclass(frozen=True, slots=True)
class Scaling:
    """The autoscaler's bounds, seconds without a request before sleep, requests each at once."""

    min_replicas: int
    max_replicas: int
    idle_after_s: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class ChannelFact:
    """What the chain said of a channel when it was last read."""

    left: TokenUnits
    up_to: UnixSeconds
    unlock_at: UnixSeconds

    @classmethod
    def of(cls, channel: Channel) -> Self:
        """What is kept of a channel that was just read."""
        return cls(channel.left, channel.up_to, channel.unlock_at)


@dataclass(frozen=True, slots=True)
class NodePort:
    """A service's port, TCP or UDP, and the port of the nodes that leads to it."""

    protocol: str
    port: int
    node_port: int


@dataclass(frozen=True, slots=True)
class FacadeWay:
    """How the facade leads to a service: for a daemon that cannot open the bundle, and leads there still.

    `protocol` is the facade's word, `target` the containers' port, `routes` are hosts, or hosts and paths.
    `connections` at once, `rate` of requests per second and `body_mib` are the manifest's limits.
    """

    protocol: str
    target: int
    routes: tuple[str, ...] = ()
    connections: int | None = None
    rate: int | None = None
    body_mib: int | None = None
    https_only: bool = False
    affinity: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceExposure:
    """What a service is exposed by, in the manifest's word; `port` is one of the facade's for it alone.

    `cluster_ip` is its address inside the cluster and `node_ports` are the ports that it has on the nodes,
    as the cluster gave them: they stay the service's own over all versions of the pod. `addresses` are a
    load balancer's, or its host names. `way` is there where the facade serves it; older books have none.
    """

    expose: str
    port: int | None = None
    cluster_ip: str | None = None
    node_ports: tuple[NodePort, ...] = ()
    addresses: tuple[str, ...] = ()
    way: FacadeWay | None = None


@dataclass(frozen=True, slots=True)
class PodRecord:
    """One pod, as stored. `request` is the sealed bundle as received, never opened on disk.

    `previous` is the last bundle that ran, kept while a newer one has not proven itself. `live`
    says that the pod was proven and is published, also while a newer bundle is on its way.
    `statement` is what was signed when it first served, or `LOST_STATEMENT`. `version` counts the
    bundles that proved themselves. `applied` says that what is in the cluster may be of `request`
    although that has not proven itself: until then a newer bundle has touched nothing. `other` is a
    namespace beside the pod's own: of a version under proof, else of the one before, which goes.
    `exposures` has every service of the bundle that was last published, by name. `outliving` are the claims
    of the version that was proven last which outlive a delete, by name with MiB; `retained` says that they
    are what the pod is: it was deleted, and no bundle has proven itself since. `parked_at`: since when its
    publisher has it stopped, whatever its phase; a newer bundle is proven all the same, and then stops.
    """

    ref: PodRef
    commanders: tuple[Address, ...]
    generation: int
    boot_id: bytes
    request: bytes
    previous: bytes | None
    namespace: str
    exposures: Mapping[str, ServiceExposure]
    phase: Phase
    reason: str
    live: bool
    size: PodSize
    scaling: Scaling
    meter: Address
    terms: int | None
    chain: ChannelFact | None
    statement: bytes | None
    changed_at: UnixSeconds
    stopped_at: UnixSeconds | None
    warned: bool
    failing: bool
    version: int = 0
    applied: bool = False
    first_namespace: str = ""
    other: str | None = None
    outliving: Mapping[str, int] = field(default_factory=dict)
    retained: bool = False
    parked_at: UnixSeconds | None = None

    @property
    def channel(self) -> ChannelId:
        """The payment channel, which is also the pod's key."""
        return self.ref.channel

    @property
    def life(self) -> str:
        """Names one life of the pod in the books, over all its versions: the namespace that it began in."""
        return self.first_namespace or self.namespace

    @property
    def proven(self) -> bytes:
        """The bundle, sealed, of which the replicas are that serve now."""
        return self.request if self.previous is None or self.applied else self.previous

    @property
    def fallback(self) -> bytes | None:
        """What an update that fails goes back to: never a bundle that has not proven itself."""
        if self.previous is not None:
            return self.previous
        opens = self.live and not self.runs_on
        return self.request if opens or self.phase is Phase.STOPPED else None

    @property
    def runs_on(self) -> bool:
        """Whether it runs though its key is lost: its replicas outlived the machine of the daemon before."""
        return self.live and self.phase is Phase.AWAITING_KEY

    @property
    def parked(self) -> bool:
        """Whether its publisher keeps it without replicas: always, but while one proves a bundle.

        What serves beside a version under proof is no part of that.
        """
        beside = self.previous is not None and not self.applied
        return self.parked_at is not None and (beside or self.phase is not Phase.STARTING)

    @property
    def served(self) -> bool:
        """Whether the pod ever ran here; only then is it billed."""
        return self.statement is not None

    @property
    def waits_for_others(self) -> bool:
        """Whether an update is on its way that may take as long as others like.

        What was proven before costs what it costs meanwhile: it goes on, or its volumes are kept.
        """
        return self.phase in _WAITS_FOR_OTHERS and (self.live or self.previous is not None)

    @property
    def watched_while_waiting(self) -> bool:
        """The same, or volumes of a deleted pod are paid for while a new deploy is on its way."""
        return self.waits_for_others or (self.retained and self.phase in _WAITS_FOR_OTHERS)

    @property
    def known_to_pay(self) -> bool:
        """Whether its channel was ever seen. What never had one leaves nothing behind."""
        return self.chain is not None or self.served

    @property
    def label(self) -> str:
        """The pod's host label, and its name wherever others can see it."""
        return self.ref.label

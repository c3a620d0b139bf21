# SPDX-License-Identifier: Apache-2.0
"""The words of scaling: phases and limits, what can happen to a pod, what follows, what is remembered.

`scaler` has the state machine that speaks them.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from trustedpods.provider.core.scaler.concurrency import Load
from trustedpods.provider.core.traffic import PodAddress, SlotStats


class ScalePhase(StrEnum):
    """Where a pod is between zero and serving."""

    ASLEEP = "asleep"
    WAKING = "waking"
    AWAKE = "awake"
    DRAINING = "draining"
    WARM = "warm"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the manifest, the funds and the operator allow. Times in seconds.

    `stopped` is why the pod must not run (funds ended, removal): it goes to zero at once, also
    with requests in flight. `idle_connection`: requests in flight without a byte for so long do
    not keep a pod awake. `affordable`: replicas that the channel's cap a day pays for; None is any number.
    `parked`: `stopped` is its publisher's own word.
    An idle pod's replicas stay frozen for `warm_for` before they go; 0: they go at once.
    """

    min: int = 0
    max: int = 1
    idle_after: float = 60.0
    concurrency: int = 50
    idle_connection: float = 600.0
    wake_limit: float = 60.0
    start_limit: float = 300.0
    stopped: str | None = None
    parked: bool = False
    affordable: int | None = None
    warm_for: float = 0.0

    @property
    def most(self) -> int:
        """As many replicas as there may be; never fewer than the pod always has."""
        if self.affordable is None:
            return self.max
        return min(self.max, max(self.min, self.affordable))

    @property
    def halted(self) -> str | None:
        """Why the pod must not run whatever its publisher says."""
        return None if self.parked else self.stopped


# ---- events ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WakeAsked:
    """A request waits at the activator (or the deploy wants proof that the pod runs)."""


@dataclass(frozen=True, slots=True)
class SleepAsked:
    """The pod itself has nothing more to do: it may sleep as soon as nothing is in flight."""


@dataclass(frozen=True, slots=True)
class KeptAwake:
    """The pod does not fall asleep, of itself or because it asked, until the same comes with False."""

    kept: bool


@dataclass(frozen=True, slots=True)
class PodsSeen:
    """A fresh look at the cluster.

    `ready`: replicas whose probes passed and that are not being deleted. `unready`: others with
    an address, those being deleted among them: they may finish requests and get no new ones.
    `replicas`: what the workload asks for now, None if it was not read. `failure`: why a replica
    cannot start, in Kubernetes' words. `settled`: before this look every controller had seen the
    last `SetReplicas`; one that is behind may still end a replica for an earlier number.
    """

    ready: tuple[PodAddress, ...] = ()
    unready: tuple[PodAddress, ...] = ()
    replicas: int | None = None
    failure: str | None = None
    settled: bool = False


@dataclass(frozen=True, slots=True)
class TrafficSeen:
    """A fresh reading of the slot's counters."""

    stats: SlotStats


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went on; at least once a second. `probing`: how the probes of a replica went that is not ready."""

    probing: str = ""


@dataclass(frozen=True, slots=True)
class LimitsSet:
    """The limits changed."""

    limits: Limits


@dataclass(frozen=True, slots=True)
class Thawed:
    """The order to thaw was carried out: every replica that is there runs."""


@dataclass(frozen=True, slots=True)
class NotFrozen:
    """The replicas cannot stay frozen: the node let one go, or needs the memory. No order to thaw did it."""


ScalerEvent = (
    WakeAsked | SleepAsked | KeptAwake | PodsSeen | TrafficSeen | Tick | LimitsSet | Thawed | NotFrozen
)

# ---- commands --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetReplicas:
    """Ask the cluster for `count` replicas; pods named in `victims` are to go first."""

    count: int
    victims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Serve:
    """The facade sends requests to `pods`, nothing new to `draining`, and forgets all others."""

    pods: tuple[PodAddress, ...] = ()
    draining: tuple[PodAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class SetFrozen:
    """Freeze all replicas, or let all run again. Freezing may fail (`NotFrozen`); letting run is repeated."""

    frozen: bool


@dataclass(frozen=True, slots=True)
class AnswerWakes:
    """Tell everybody who asked for a wake-up where the pod is."""

    pod: PodAddress


@dataclass(frozen=True, slots=True)
class RefuseWakes:
    """Tell everybody who asked for a wake-up why not, and when to try again (seconds)."""

    reason: str
    retry_after: int


ScalerCommand = SetReplicas | SetFrozen | Serve | AnswerWakes | RefuseWakes

# ---- state -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScaleState:
    """Everything that is remembered of one pod. Begin with `begin`; only `step` makes the next.

    `replicas` and `victims`: what was asked of the cluster. `leaving`: replicas chosen to go,
    which finish first. `retired`: replicas scaled away of which it is not settled that they go.
    `settled`: the replicas listed are there to stay; false from an order of zero on. `waiting`:
    since when the oldest wake-up is unanswered. `moved`: last time a counter moved; `active`: last
    time that something was in flight. `answered`: replicas that the activator was sent to.
    `sleepy`: the pod asked for its sleep since it is awake. `kept_awake`: it waits for that.
    `served`: what the facade was told last, if it was `told`; until `adopt_until` it need not be.
    `frozen`: replicas may be frozen; `thawing`: that they are to run again was ordered.
    """

    limits: Limits
    phase: ScalePhase
    since: float
    replicas: int
    active: float
    moved: float
    load: Load
    victims: tuple[str, ...] = ()
    ready: tuple[PodAddress, ...] = ()
    unready: tuple[PodAddress, ...] = ()
    leaving: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    settled: bool = False
    answered: frozenset[str] = frozenset()
    waiting: float | None = None
    counters: tuple[str, int, int] | None = None
    failures: int = 0
    retry_at: float = 0.0
    reason: str = ""
    sleepy: bool = False
    kept_awake: bool = False
    served: Serve = field(default_factory=Serve)
    told: bool = False
    adopt_until: float = 0.0
    frozen: bool = False
    thawing: bool = False

    @property
    def asleep(self) -> bool:
        """Nothing is served, and there is nothing to be seen of its traffic: cold or warm."""
        return self.phase in (ScalePhase.ASLEEP, ScalePhase.WARM)

    @property
    def serving(self) -> tuple[PodAddress, ...]:
        """Replicas that get new requests."""
        if self.phase is not ScalePhase.AWAKE:
            return ()
        return tuple(pod for pod in self.ready if pod.name not in self.leaving)

    @property
    def draining(self) -> tuple[PodAddress, ...]:
        """Replicas that finish what they have."""
        if self.phase in (ScalePhase.ASLEEP, ScalePhase.WARM, ScalePhase.FAILING):
            return ()
        serving = set(self.serving)
        return tuple(pod for pod in (*self.ready, *self.unready) if pod not in serving)

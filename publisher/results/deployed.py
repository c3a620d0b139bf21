# SPDX-License-Identifier: Apache-2.0
"""`deploy`: who takes the pod, what was sent, and a pod that serves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.results.confirmed import ConfirmedPod
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.money import DepositOutcome
from trustedpods.publisher.results.providers import ProviderId, VerifiedMachine
from trustedpods.publisher.results.validated import UpdateWay, update_way

if TYPE_CHECKING:
    from trustedpods.manifests.spec.pod import PodManifest
    from trustedpods.protocol.units import TokenUnits
    from trustedpods.publisher.core.cost import Cost
    from trustedpods.publisher.core.updates.difference import FieldChange, UpdateEffect
    from trustedpods.publisher.results.pods import VisitedPod


@dataclass(frozen=True, slots=True)
class ChosenProvider:
    """Who takes the pod, what its machine proved, the pod's channel there, and what the pod costs."""

    provider: ProviderId
    machine: VerifiedMachine
    channel: ChannelId
    cost: "Cost"


@dataclass(frozen=True, slots=True)
class LeftProvider:
    """A provider that failed in the middle, so that the next one was tried: why, and where the deposit is."""

    provider: ProviderId
    channel: ChannelId
    error: ErrorReport
    money: DepositOutcome


@dataclass(frozen=True, slots=True)
class SentBlob:
    """One blob of an image: its size in bytes, its chunks, and from which one on they were sent."""

    digest: str
    first_chunk: int
    chunks: int
    size: int


@dataclass(frozen=True, slots=True)
class SentImages:
    """What was sent: sealed bytes and chunks on the wire, and the blobs that are whole there now."""

    sealed_bytes: int
    chunks: int
    blobs: tuple[SentBlob, ...]


@dataclass(frozen=True, slots=True)
class PushResult:
    """`image push`: the pod's provider has all of the images now, for the version that comes."""

    pod: "VisitedPod"
    sent: SentImages


@dataclass(frozen=True, slots=True)
class RestartPlanResult:
    """What a restart of the pod would do: `replicas` run now, and end first where it `update`s so."""

    pod: str
    replicas: int
    update: UpdateWay

    @property
    def lines(self) -> list[str]:
        """As a person reads it."""
        if not self.replicas:
            return [f"{self.pod} sleeps: one replica is started from its bundle, to prove that it runs"]
        many = f"{self.replicas} replica{'s' if self.replicas > 1 else ''}"
        if self.update == "stops-first":
            return [f"{many} of {self.pod} end, then new ones start: two must not write one volume"]
        return [
            f"new replicas of {self.pod} are proven beside the {many} that run, which then finish and end"
        ]


@dataclass(frozen=True, slots=True)
class RestartResult:
    """`restart`: new replicas of the same version serve. `update` is None where one was under way already."""

    pod: "VisitedPod"
    update: UpdateWay | None
    confirmed: ConfirmedPod


@dataclass(frozen=True, slots=True)
class AfterUpdate:
    """What is known of the pod after its update failed.

    `stands`: a version of it is in place, None where that is not known. `changed`: it is another version
    than before the update. `text` says it to a person.
    """

    text: str
    stands: bool | None
    version: int | None = None
    phase: str | None = None
    changed: bool | None = None


@dataclass(frozen=True, slots=True)
class DeployPlanResult:
    """What a deploy would change now.

    `stops` says what stops or goes on meanwhile. Not `known`: this client does not have what runs there, so
    that images alone were compared. `parked`: it is stopped, and stays so. `cost_before` is that of what
    runs, at the provider's prices of now; `deposit` what a channel would be opened with, None where one is
    open; `terms` say what of `payment` an open channel takes on chain, and what it cannot.
    """

    pod: str
    publisher: Address
    token: Token
    provider: ProviderId
    effect: "UpdateEffect"
    changes: "tuple[FieldChange, ...]"
    stops: str
    known: bool
    cost: "Cost"
    cost_before: "Cost | None"
    deposit: "TokenUnits | None"
    parked: bool = False
    terms: tuple[str, ...] = ()

    @property
    def replaces(self) -> bool:
        """Whether what was agreed of something that runs would become something else."""
        return self.effect in ("in place", "restart", "keep")

    def way(self, manifest: "PodManifest") -> UpdateWay:
        """What sending the *manifest* of this plan does with the version before."""
        return "kept" if self.effect == "keep" else update_way(manifest.stops_for_update)

    @property
    def lines(self) -> list[str]:
        """For a person."""
        words = {
            "create": "would be new there",
            "unchanged": "nothing changes",
            "keep": "keeps running, no restart",
        }
        lines = [f"{self.pod} at {self.provider.name}: {words.get(self.effect, self.effect)}"]
        lines += [f"  {change.text}" for change in self.changes]
        if not self.known and self.replaces:
            lines.append(
                "  what else changes is not known: it was deployed from elsewhere, or by another key"
            )
        if self.stops:
            lines.append(f"  {self.stops}")
        lines += [f"  {text}" for text in self.terms]
        if self.parked:
            proof = (
                ""
                if self.effect in ("unchanged", "keep")
                else "one replica runs to prove the new version, then "
            )
            lines.append(
                f"  {proof}it stays stopped: --start, or `trustedpods start {self.pod}`, lets it run"
            )
        return [*lines, *self._money()]

    def _money(self) -> list[str]:
        rough, before, cost = self.token.rough, self.cost_before, self.cost
        now = f"{rough(cost.awake_hour)} per hour awake, {rough(cost.asleep_hour)} asleep"
        if self.deposit is not None:
            return [f"  {now}; {rough(self.deposit)} would be paid in"]
        if before is None or self.effect == "unchanged":
            return [f"  {now}"]
        if (before.awake_hour, before.asleep_hour, before.peak_day) == (
            cost.awake_hour,
            cost.asleep_hour,
            cost.peak_day,
        ):
            return [f"  {now}, as before"]
        return [f"  {now}; until now {rough(before.awake_hour)} and {rough(before.asleep_hour)}"]


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A version that can be gone back to: the request that brought it (Unix ms), its images by container."""

    generation: int
    images: Mapping[str, str]
    serves: bool


@dataclass(frozen=True, slots=True)
class VersionsResult:
    """The versions of a pod that are kept on this machine, newest first."""

    pod: str
    versions: tuple[KeptVersion, ...]


@dataclass(frozen=True, slots=True)
class DeployResult:
    """A pod that serves, or is `parked`: its publisher has it stopped. `update`: None where it was none.

    `left` are the providers that failed before the one that was `chosen`.
    """

    pod: str
    publisher: Address
    token: Token
    chosen: ChosenProvider
    sent: SentImages
    confirmed: ConfirmedPod
    update: UpdateWay | None = None
    parked: bool = False
    left: tuple[LeftProvider, ...] = ()


@dataclass(slots=True)
class DeployProgress:
    """How far a deploy came; each field is None until it is known.

    `money` is only there after a failure with a provider that was chosen: where the deposit is. `serves`
    only after an update that failed, `update` only where it is one. `left` as in the result.
    """

    pod: str | None = None
    publisher: Address | None = None
    token: Token | None = None
    chosen: ChosenProvider | None = None
    sent: SentImages | None = None
    confirmed: ConfirmedPod | None = None
    money: DepositOutcome | None = None
    update: UpdateWay | None = None
    serves: AfterUpdate | None = None
    parked: bool = False
    left: tuple[LeftProvider, ...] = ()

    def leave(self, error: ErrorReport) -> LeftProvider:
        """The provider that was chosen failed with *error*: begin anew, and keep what became of it."""
        assert self.chosen is not None
        assert self.money is not None
        left = LeftProvider(self.chosen.provider, self.chosen.channel, error, self.money)
        self.left = (*self.left, left)
        self.chosen = self.sent = self.confirmed = self.money = self.update = self.serves = None
        self.parked = False
        return left

    def result(self) -> DeployResult:
        """All of it, once the pod serves."""
        assert self.pod is not None
        assert self.publisher is not None
        assert self.token is not None
        assert self.chosen is not None
        assert self.sent is not None
        assert self.confirmed is not None
        return DeployResult(
            self.pod,
            self.publisher,
            self.token,
            self.chosen,
            self.sent,
            confirmed=self.confirmed,
            update=self.update,
            parked=self.parked,
            left=self.left,
        )

# SPDX-License-Identifier: Apache-2.0
"""Answers of the verbs on pods."""

from typing import Literal, NotRequired, TypedDict

from trustedpods.publisher.core.updates.difference import UpdateEffect
from trustedpods.publisher.output.answers.parts import (
    AttestedJson,
    ChannelJson,
    ConfirmedJson,
    ErrorJson,
    LeftJson,
    MachineJson,
    OutcomeJson,
    PriceJson,
    ProviderJson,
    ScheduleJson,
    SentJson,
)
from trustedpods.publisher.output.answers.words import (
    BaseUnits,
    ChannelText,
    Mib,
    Milli,
    ProviderName,
    Seconds,
    Tokens,
    UnixTime,
)
from trustedpods.publisher.results.validated import UpdateWay


class OthersPart(TypedDict, total=False):
    """Where more of them are: other channels of that name."""

    other_channels: list[ChannelJson]


class VisitedJson(ChannelJson, OthersPart):
    """A pod whose provider was found on chain and verified in this run."""

    pod: str
    publisher: str
    trust: MachineJson
    attested: AttestedJson


class VisitingJson(TypedDict, total=False):
    """How far it came: the pod was found, then its provider verified."""

    pod: str
    publisher: str
    provider: ProviderJson
    channel: ChannelText
    channel_open: bool
    token: str
    left: Tokens
    left_units: BaseUnits
    unlock_at: UnixTime | None
    up_to: UnixTime
    other_channels: list[ChannelJson]
    trust: MachineJson
    attested: AttestedJson


class DeletingJson(VisitingJson, total=False):
    """The same of a removal; `money` says where the deposit is."""

    money: OutcomeJson


class ChosenJson(TypedDict):
    """Who takes the pod, what its machine proved, the pod's channel there, and what the pod costs."""

    provider: ProviderJson
    trust: MachineJson
    channel: ChannelText
    price: PriceJson


class UpdatePart(TypedDict, total=False):
    """Where the pod ran before: what was done with that version."""

    update: UpdateWay


class DeployPart(UpdatePart, total=False):
    """What is told of a deploy where there is something to tell."""

    parked: Literal[True]
    left_behind: list[LeftJson]


class DeployJson(ChosenJson, ConfirmedJson, DeployPart):
    """A pod that serves, or is `parked`. `update` is there where it ran before."""

    pod: str
    publisher: str
    sent: SentJson


class AfterUpdateJson(TypedDict):
    """What is known of the pod after its update failed. `changed`: another version is in place."""

    version: int | None
    phase: str | None
    changed: bool | None
    text: str


class DeployingJson(ConfirmedJson, total=False):
    """How far a deploy came. `money` says where the deposit is, `serves` what an update that failed left."""

    pod: str
    publisher: str
    update: UpdateWay
    serves: AfterUpdateJson
    provider: ProviderJson
    trust: MachineJson
    channel: ChannelText
    price: PriceJson
    sent: SentJson
    money: OutcomeJson
    left_behind: list[LeftJson]


class ChangeJson(TypedDict):
    """One thing that changes: null where it is not there, empty where it is not shown."""

    what: str
    before: str | None
    after: str | None


class DeployPlanJson(TypedDict):
    """What a deploy would change (`--dry-run`); exit code 10 where `effect` is not `unchanged`."""

    pod: str
    publisher: str
    provider: ProviderJson
    effect: UpdateEffect
    changes: list[ChangeJson]
    stops: str
    terms: list[str]
    known: bool
    parked: NotRequired[Literal[True]]
    price: PriceJson
    price_before: PriceJson | None
    deposit: Tokens | None


class PodFailureJson(TypedDict):
    """Why a pod that was proven does not start now. Before `next_try_at` nothing is tried."""

    reason: str
    container: str | None
    exit_code: int | None
    ended_at: UnixTime | None
    lines: str
    tries: int
    next_try_at: UnixTime
    by_itself: bool


class PodEventJson(TypedDict):
    """One line of a pod's history."""

    at: UnixTime
    reason: str
    text: str


class ServiceJson(TypedDict):
    """A service, what it is exposed by, and where it is reached."""

    name: str
    expose: str
    urls: list[str]


class ClaimJson(TypedDict):
    """A volume's claim, by its name."""

    name: str
    mib: Mib


class OutlivingJson(TypedDict):
    """What outlives a `delete`, what it costs a day, how long the channel pays (null: no end)."""

    claims: list[ClaimJson]
    day: Tokens
    lasts_s: Seconds | None


class PublisherRoomJson(TypedDict):
    """What the publisher may still start at the provider, all replicas included; null: any number."""

    pods: int | None
    cpu_milli: int | None
    memory_mib: int | None


class StatusPart(TypedDict, total=False):
    """What is told of a pod where there is something to tell."""

    backups: ScheduleJson
    parked_at: UnixTime
    last_request_at: UnixTime
    drain_at: UnixTime
    room: PublisherRoomJson


class StatusJson(VisitedJson, ConfirmedJson, StatusPart):
    """What the provider says, and what it signed. `runway_s`: how long the money lasts as it is."""

    phase: str
    reason: str
    version: int
    failure: PodFailureJson | None
    replicas: int
    ready: int
    runway_s: Seconds | None
    day: Tokens | None
    deposit: Tokens
    claimed: Tokens
    accrued: Tokens
    services: list[ServiceJson]
    outliving: OutlivingJson | None
    pod_events: list[PodEventJson]


class ListedPodJson(TypedDict):
    """One pod, as far as it could be asked about: `error` says why nobody told more."""

    name: str | None
    channel: ChannelText
    provider: ProviderName
    phase: str | None
    reason: str
    replicas: int | None
    ready: int | None
    urls: list[str]
    left: Tokens | None
    day: Tokens | None
    runway_s: Seconds | None
    unlock_at: UnixTime | None
    error: ErrorJson | None
    parked_at: NotRequired[UnixTime]


class ListJson(TypedDict):
    """All pods of a key, by name; those without one last."""

    token: str
    pods: list[ListedPodJson]


class TopPodJson(TypedDict):
    """One pod now, and what all of its replicas hold; what is null was not told, and `error` says why."""

    name: str
    phase: str
    replicas: int | None
    ready: int | None
    cpu_milli: Milli | None
    memory_mib: Mib | None
    left: Tokens | None
    day: Tokens | None
    runway_s: Seconds | None
    error: ErrorJson | None


class TopJson(TypedDict):
    """Those that hold most CPU first."""

    token: str
    pods: list[TopPodJson]


class LogPieceJson(TypedDict):
    """A piece of what one container wrote, in its order: bytes that are no text are replaced."""

    container: str
    replica: str
    ended_at: UnixTime | None
    text: str


class LogsJson(VisitedJson):
    """What was written; with `-f` each line is an object of its own, and no such answer comes."""

    logs: list[LogPieceJson]


class EventsJson(TypedDict):
    """The pod's history as its provider keeps it, oldest first."""

    pod: str
    pod_events: list[PodEventJson]


class DeleteJson(VisitedJson):
    """The pod is removed. `money` is null where its channel goes on paying for the volumes in `retained`."""

    money: OutcomeJson | None
    retained: OutlivingJson | None


class StoppedJson(VisitedJson):
    """`stop` and `start`: since when the publisher has the pod stopped, null where it may run."""

    phase: str
    parked_at: UnixTime | None
    runway_s: Seconds | None
    replicas: int
    ready: int


class RestartPlanJson(TypedDict):
    """What a restart would do with the replicas that run (`--dry-run`)."""

    pod: str
    replicas: int
    update: UpdateWay


class RestartJson(VisitedJson, ConfirmedJson, UpdatePart):
    """New replicas of the same version serve. No `update`: one was under way already."""


class PushJson(VisitedJson):
    """`image push`: the pod's provider has all of the images now."""

    sent: SentJson


class OpenJson(TypedDict):
    """`open`: the address of that service of a pod, and whether a browser was told to open it."""

    pod: str
    service: str
    url: str
    opened: bool


class KeptVersionJson(TypedDict):
    """A version that can be gone back to: the request that brought it, and its images by container."""

    generation: int
    images: dict[str, str]
    serves: bool


class VersionsJson(TypedDict):
    """Versions that are kept on this machine, newest first (`--list`)."""

    pod: str
    versions: list[KeptVersionJson]

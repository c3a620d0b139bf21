# SPDX-License-Identifier: Apache-2.0
"""Answers of `watch` and `attest`, and of what keeps volumes."""

from typing import NotRequired, TypedDict

from trustedpods.publisher.output.answers.parts import (
    AttestedJson,
    ClassPart,
    ErrorJson,
    OutcomeJson,
    ScheduleJson,
    TransactionJson,
    VerdictJson,
)
from trustedpods.publisher.output.answers.pods import VisitedJson
from trustedpods.publisher.output.answers.words import ChannelText, ProviderName, Seconds, Tokens, UnixTime


class WatchedPart(TransactionJson, total=False):
    """What is told of a pod of a round where it is known: `paid` was topped up, by `tx`."""

    phase: str
    runway_s: Seconds | None
    paid: Tokens
    error: ErrorJson
    money: OutcomeJson


class WatchedPodJson(ClassPart, WatchedPart):
    """One pod of a round; `exit` is the code that it alone would end the verb with."""

    pod: str
    provider: ProviderName
    channel: ChannelText
    state: str
    exit: int
    actions: list[str]
    problems: list[str]
    attested: AttestedJson


class WatchJson(TypedDict):
    """One round; `exit` is the worst code of its pods and backups."""

    pods: list[WatchedPodJson]
    exit: int
    backups: NotRequired[list[ScheduleJson]]


AttestClassPart = TypedDict("AttestClassPart", {"class": str}, total=False)
"""A field whose name is a word of Python's."""


class AttestingJson(AttestClassPart, total=False):
    """How far it came: the provider was found, its evidence kept, a policy drafted, a verdict given."""

    provider: ProviderName
    saved: str
    saved_at: str
    policy_draft: str
    verdict: VerdictJson
    trust: str


class AttestJson(AttestClassPart):
    """Evidence that holds. `class` is that of the registry's row, `saved` the file that it was kept in."""

    provider: ProviderName
    saved: NotRequired[str]
    saved_at: NotRequired[str]
    policy_draft: NotRequired[str]
    verdict: VerdictJson
    trust: str


class BackedUpVolumeJson(TypedDict):
    """One volume in a backup: of which replica (null: of all), and the bytes of its tar stream."""

    volume: str
    ordinal: int | None
    size: int


class BackupJson(TypedDict):
    """One backup, from when to when it was taken, and what it holds. `removed` went for this one."""

    pod: str
    name: str
    began: UnixTime
    ended: UnixTime
    volumes: list[BackedUpVolumeJson]
    left_out: list[str]
    removed: list[str]
    size: int


class DamagedBackupJson(TypedDict):
    """A backup that does not open, and why."""

    name: str
    why: str


class BackupsJson(TypedDict):
    """Backups of a pod, oldest first (`--list`); with `verified` every byte of them was checked."""

    pod: str
    backups: list[BackupJson]
    damaged: list[DamagedBackupJson]
    verified: bool


class BackupScheduleJson(TypedDict):
    """The schedule that holds now (`--every`), null for none."""

    pod: str
    schedule: ScheduleJson | None


class RestoreJson(VisitedJson):
    """Which volumes were filled from the backup of that name."""

    backup: str
    volumes: list[BackedUpVolumeJson]

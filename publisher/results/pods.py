# SPDX-License-Identifier: Apache-2.0
"""Verbs on pods that exist: `list`, `status`, `logs`, `exec`, `delete`, `bill` and `audit`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from trustedpods.contracts.terms import DAY_S
from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.protocol.messages.pod import LogLines, PodEvent, PodFailure, PublisherRoom
from trustedpods.protocol.units import TokenUnits, UnixSeconds
from trustedpods.publisher.core.money import Token, duration_text
from trustedpods.publisher.results.backups.volumes import BackedUpVolume, ScheduledState
from trustedpods.publisher.results.channels import PodChannel
from trustedpods.publisher.results.confirmed import ConfirmedPod
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.money import DepositOutcome
from trustedpods.publisher.results.providers import VerifiedMachine

if TYPE_CHECKING:
    from trustedpods.publisher.core.audit import Finding
    from trustedpods.publisher.core.bill import Bill, Day


@dataclass(frozen=True, slots=True)
class LastAttestation:
    """When the pod's provider last verified from here, and against what; None where it never did.

    `policy` is a policy's name or file, None for the market's own; `label` names it with its digest.
    `refused` is what did not verify since then.
    """

    at: UnixSeconds | None
    policy: str | None
    label: str
    boot: str | None
    refused: str | None
    refused_at: UnixSeconds | None


@dataclass(frozen=True, slots=True)
class VisitedPod:
    """A pod whose provider was found on chain and verified in this run.

    `others` are further places that hold money under the pod's name, from earlier deploys.
    """

    name: str
    publisher: Address
    token: Token
    channel: PodChannel
    others: tuple[PodChannel, ...]
    machine: VerifiedMachine
    attested: LastAttestation


@dataclass(slots=True)
class VisitProgress:
    """How far a visit came; `channel` is None before the pod was found, `machine` before it verified."""

    name: str | None = None
    publisher: Address | None = None
    token: Token | None = None
    channel: PodChannel | None = None
    others: tuple[PodChannel, ...] = ()
    machine: VerifiedMachine | None = None
    attested: LastAttestation | None = None

    def visited(self) -> VisitedPod:
        """All of it, once the provider verified."""
        assert self.name is not None
        assert self.publisher is not None
        assert self.token is not None
        assert self.channel is not None
        assert self.machine is not None
        assert self.attested is not None
        return VisitedPod(
            name=self.name,
            publisher=self.publisher,
            token=self.token,
            channel=self.channel,
            others=self.others,
            machine=self.machine,
            attested=self.attested,
        )


@dataclass(slots=True)
class DeleteProgress(VisitProgress):
    """The same for a removal; `money` is only there after a failure: where the deposit is."""

    money: DepositOutcome | None = None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service of a pod: what it is exposed by, in the manifest's word, and where it is reached."""

    name: str
    expose: str
    urls: tuple[str, ...]


SHOWN_CLAIMS = 4
"""Names of claims in a line for a person; JSON has all."""


@dataclass(frozen=True, slots=True)
class OutlivingVolumes:
    """What of a pod outlives a `delete`: MiB of each volume's claim by name, and what those cost in a `day`.

    `lasts_s`: seconds for which the channel pays for them alone, without what is kept back for the provider's
    grace period; None where it does for ever, or where that is not known.
    """

    claims: Mapping[str, int]
    day: TokenUnits
    lasts_s: int | None

    def told(self, name: str, token: Token) -> str:
        """For a person: what is kept of the pod *name*, what it costs, for how long, and how to end it."""
        shown = ", ".join(list(self.claims)[:SHOWN_CLAIMS])
        more = len(self.claims) - SHOWN_CLAIMS
        lasts = "" if self.lasts_s is None else f", paid for {duration_text(self.lasts_s)}"
        return (
            f"{shown}{f' and {more} more' if more > 0 else ''} ({sum(self.claims.values())} MiB) outlive a "
            f"delete: {token.rough(self.day)} a day{lasts}; `trustedpods delete {name} --purge` ends them"
        )


@dataclass(frozen=True, slots=True)
class StatusResult:
    """`status`: what the provider says of the pod, and what it signed (None before it first served).

    `version` counts the bundles that proved themselves; `failure` says why a pod that ran does not start.
    `runway_s`: seconds that the money lasts at the present rate; None when nothing is used up. `deposit`,
    `claimed` and `accrued` (used and not yet claimed) are the provider's count. `outliving` is what a
    `delete` leaves, or has left; None where that is nothing.
    """

    pod: VisitedPod
    phase: str
    reason: str
    version: int
    failure: PodFailure | None
    replicas: int
    ready: int
    runway_s: int | None
    deposit: TokenUnits
    claimed: TokenUnits
    accrued: TokenUnits
    services: tuple[ServiceStatus, ...]
    events: tuple[PodEvent, ...]
    confirmed: ConfirmedPod | None
    outliving: OutlivingVolumes | None = None
    cpu_milli: int = 0
    memory_mib: int = 0
    """What one replica holds, and pays for."""
    backups: ScheduledState | None = None
    """This machine's schedule of its backups; None for none."""
    parked_at: UnixSeconds | None = None
    """Since when its publisher has it stopped; None where it may run."""
    last_request_at: UnixSeconds | None = None
    """When the last request or connection began; None where the provider saw none since it started."""
    drain_at: UnixSeconds | None = None
    """When the provider removes the pod, as it removes all of them then; None where it may stay."""
    room: PublisherRoom | None = None
    """What this publisher may still start at the provider; None where that is not bounded."""

    @property
    def day(self) -> TokenUnits | None:
        """Base units that a day costs at the rate of now; None where nothing runs out, or it has ended."""
        live = self.pod.channel.live
        left = None if live is None else TokenUnits(max(0, live.left - self.accrued))
        return day_at(left, self.runway_s)


@dataclass(frozen=True, slots=True)
class StoppedPod:
    """`stop` and `start`: `since` when the pod's publisher has it stopped; None where it may run.

    `runway_s`: seconds that the money lasts at the present rate; None where nothing is used up.
    """

    pod: VisitedPod
    phase: str
    since: UnixSeconds | None
    replicas: int
    ready: int
    runway_s: int | None

    @property
    def lines(self) -> list[str]:
        """For a person: what is now, and what comes next."""
        name = self.pod.name
        lasts = "" if self.runway_s is None else f"; its money lasts {duration_text(self.runway_s)} so"
        if self.since is not None:
            left = f", {self.replicas} of its replicas are still ending" if self.replicas else ""
            return [f"{name} is stopped{left}{lasts}", f"`trustedpods start {name}` lets it run again"]
        if self.phase not in ("serving", "failing"):
            return [f"{name} may run, but it is {self.phase}: `trustedpods status {name}` says why"]
        if self.ready:
            return [f"{name} runs: {self.ready} ready of {self.replicas}{lasts}"]
        return [f"{name} may run again: the next request wakes it{lasts}"]


@dataclass(frozen=True, slots=True)
class LogPiece:
    """A piece of what one container wrote, in its order: one of *replica*, which may have ended."""

    container: str
    data: bytes
    replica: str = ""
    ended_at: UnixSeconds | None = None

    @classmethod
    def of(cls, lines: LogLines) -> Self:
        """As the provider sent it."""
        ended = None if lines.ended_at is None else UnixSeconds(lines.ended_at)
        return cls(lines.container, lines.data, lines.replica, ended)


@dataclass(frozen=True, slots=True)
class LogsResult:
    """`logs`; `pieces` stays empty where they went to the caller's function as they came."""

    pod: VisitedPod
    pieces: tuple[LogPiece, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class ExecResult:
    """`exec`: where the command ran, and its exit code (128 + n after the signal n).

    `stdout` and `stderr` stay empty where they went to the caller's function as they came.
    """

    pod: VisitedPod
    container: str
    replica: str
    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""


@dataclass(frozen=True, slots=True)
class VolumeRestoreResult:
    """`restore`: which volumes were filled from the backup `name`."""

    pod: VisitedPod
    name: str
    volumes: tuple[BackedUpVolume, ...]


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """`delete`: the pod is removed, and `money` says what became of its deposit.

    Or its volumes are kept (`retained`), and its channel pays for them: then there is no `money` to tell of.
    """

    pod: VisitedPod
    money: DepositOutcome | None
    retained: OutlivingVolumes | None = None


@dataclass(frozen=True, slots=True)
class BillResult:
    """`bill`: what the pod cost, computed here.

    `claimed` is what left the channel as pay; None where the node does not remember. `problems` is everything
    that does not agree; empty when the bill holds.
    """

    pod: VisitedPod
    bill: "Bill"
    claimed: TokenUnits | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventsResult:
    """`events`: the pod's history as its provider keeps it, oldest first."""

    pod: VisitedPod
    events: tuple[PodEvent, ...]


@dataclass(frozen=True, slots=True)
class UsageResult:
    """`usage`: what the pod used, by day (UTC), with what it cost; `month` is 30 days at that rate.

    What came after the last signed period is in `open_amount` alone. Amounts are base units.
    """

    pod: VisitedPod
    days: "tuple[Day, ...]"
    total: TokenUnits
    open_amount: TokenUnits
    month: TokenUnits | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditResult:
    """`audit`: every check over `leaves` usage leaves, which cost `total` in all."""

    pod: VisitedPod
    findings: tuple["Finding", ...]
    leaves: int
    total: TokenUnits

    @property
    def holds(self) -> bool:
        """No check failed; what cannot be known does not count."""
        return all(finding.holds is not False for finding in self.findings)


@dataclass(frozen=True, slots=True)
class ListedPod:
    """One pod, as far as it could be asked about.

    `name` and `daemon` are None where nobody could tell. `phase` is the provider's word, `ended` for a
    channel that is closed, None where the provider did not say; `error` then tells why. `left` is what the
    channel holds beside what accrued, in base units, and lasts `runway_s` seconds at the rate of now; None is
    no end. `unlock_at` (Unix seconds): a notice runs, the deposit comes back then.
    """

    name: str | None
    channel: ChannelId
    owner: Address
    daemon: int | None
    phase: str | None
    reason: str
    replicas: int | None
    ready: int | None
    urls: tuple[str, ...]
    left: TokenUnits | None
    runway_s: int | None
    unlock_at: UnixSeconds | None
    error: ErrorReport | None
    cpu_milli: int = 0
    memory_mib: int = 0
    """What one replica holds, and pays for."""
    parked_at: int | None = None
    """Since when its publisher has it stopped; None where it may run, or nobody said."""

    @property
    def provider(self) -> str:
        """OWNER/N, as `--provider` takes it; OWNER alone where the daemon is not known."""
        return self.owner if self.daemon is None else f"{self.owner}/{self.daemon}"

    @property
    def day(self) -> TokenUnits | None:
        """Base units that a day costs at the rate of now; None where nothing runs out, or nobody said."""
        return day_at(self.left, self.runway_s)


@dataclass(frozen=True, slots=True)
class ListResult:
    """All pods of a key, by name; those without one last."""

    token: Token
    pods: tuple[ListedPod, ...]


def day_at(left: TokenUnits | None, runway_s: int | None) -> TokenUnits | None:
    """What a day costs where *left* lasts *runway_s* seconds; None where nothing runs out, or nobody said."""
    return None if not runway_s or left is None else TokenUnits(left * DAY_S // runway_s)


@dataclass(frozen=True, slots=True)
class TopPod:
    """One pod now: `cpu_milli` and `memory_mib` of all its `replicas`, which they hold and pay for.

    What is None was not told, and `error` says why. `left` lasts `runway_s` seconds at the rate of now, which
    is `day` base units a day; None is no end.
    """

    name: str
    phase: str
    replicas: int | None
    ready: int | None
    cpu_milli: int | None
    memory_mib: int | None
    left: TokenUnits | None
    day: TokenUnits | None
    runway_s: int | None
    error: ErrorReport | None = None


@dataclass(frozen=True, slots=True)
class TopResult:
    """`top`: those that hold most CPU first."""

    token: Token
    pods: tuple[TopPod, ...]

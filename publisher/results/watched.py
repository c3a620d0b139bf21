# SPDX-License-Identifier: Apache-2.0
"""`watch`: what became of each pod in a round; `overview`: all of one pod in one look."""

from dataclasses import dataclass, replace

from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.core.watch import worst
from trustedpods.publisher.results.backups.volumes import ScheduledState
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.money import DepositOutcome, MinedTransaction
from trustedpods.publisher.results.pods import BillResult, LastAttestation, LogPiece, StatusResult


@dataclass(frozen=True, slots=True)
class WatchedPod:
    """One pod of a round. `channel` is its id in hex, `exit_code` what the pod would end the verb with.

    `state` is `ok`, `released`, `unlocking`, `ended`, `not open yet`, `does not verify`, `violation`,
    `alarm`, `low`, `waits`, `untold` (a node that does not know where others of its network are), or the word
    of an error. `phase` and `runway_s` are the provider's word, None where it gave none. `paid` was topped up
    in this round, by `transaction`; `money` is there where notice was given, or its channel closed after it.
    """

    name: str
    owner: Address
    daemon: int
    trust: TrustClass
    simulated: bool
    channel: str
    state: str
    exit_code: int
    actions: tuple[str, ...]
    problems: tuple[str, ...]
    attested: LastAttestation
    phase: str | None = None
    runway_s: int | None = None
    error: ErrorReport | None = None
    paid: TokenUnits | None = None
    transaction: MinedTransaction | None = None
    money: DepositOutcome | None = None

    @property
    def provider(self) -> str:
        """OWNER/N."""
        return f"{self.owner}/{self.daemon}"

    @property
    def line(self) -> str:
        """For people: OPEN, SIMULATED and whatever is wrong cannot be overlooked."""
        trust = trust_text(self.trust, simulated=self.simulated)
        state = self.state.upper() if self.exit_code else self.state
        said = (f"{self.name}  {state}  {self.provider} [{trust}]", *map("; ".join, self._remarks))
        return "  ".join(said)

    def followed_by(self, later: "WatchedPod") -> "WatchedPod":
        """This round and a *later* one as one: what was done adds up, what was wrong in either stays.

        `transaction` is of the last payment.
        """
        worse = self if worst((self.exit_code, later.exit_code)) != later.exit_code else later
        return replace(
            later,
            state=worse.state,
            exit_code=worse.exit_code,
            problems=worse.problems,
            error=worse.error,
            actions=self.actions + later.actions,
            paid=self.paid if later.paid is None else TokenUnits(later.paid + (self.paid or 0)),
            transaction=later.transaction or self.transaction,
            money=later.money or self.money,
        )

    @property
    def _remarks(self) -> list[tuple[str, ...]]:
        return [texts for texts in (self.actions, self.problems) if texts]


@dataclass(frozen=True, slots=True)
class WatchResult:
    """`watch`: one round over the pods that this client keeps, or over those that were named.

    `backups` are the schedules of these pods.
    """

    token: Token
    pods: tuple[WatchedPod, ...]
    backups: tuple[ScheduledState, ...] = ()

    def followed_by(self, later: "WatchResult") -> "WatchResult":
        """This round and a *later* one as one; pods that ended in this one stay in it."""
        found = {one.channel: one for one in self.pods}
        for one in later.pods:
            found[one.channel] = found[one.channel].followed_by(one) if one.channel in found else one
        return replace(later, pods=tuple(found.values()))

    @property
    def exit_code(self) -> int:
        """The worst pod's or backup's: what a person should look at first."""
        return worst([*(one.exit_code for one in self.pods), *(one.exit_code for one in self.backups)])


@dataclass(frozen=True, slots=True)
class OverviewResult:
    """`overview`: what `status` says, the last lines of its first container, and its bill so far.

    The bill's lines name no transactions. An `ErrorReport` says why there are no lines, or no bill.
    """

    status: StatusResult
    log: tuple[LogPiece, ...] | ErrorReport
    bill: BillResult | ErrorReport

# SPDX-License-Identifier: Apache-2.0
"""`watch`: looks after the pods of this key, so that none silently stays down, cheats, or runs dry.

For each pod: attest its provider again under the policy of the deploy, release the pod again where the
machine was restarted, tell a node of a network where the others are now, check usage against what the pod can
have used, top up within a limit.
"""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import trio

from trustedpods.contracts.records import Channel
from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import due
from trustedpods.protocol.errors import (
    EvidenceRefused,
    ExitCode,
    InsufficientFunds,
    NetworkFailure,
    Refused,
    RemoteProtocolError,
    TrustedPodsError,
)
from trustedpods.protocol.ids import Address, PodRef
from trustedpods.protocol.messages.pod import PodStatus
from trustedpods.protocol.net import open_host
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.attestation.policies import policy_for
from trustedpods.publisher.core import watch
from trustedpods.publisher.core.cost import cost_of
from trustedpods.publisher.core.money import DAY_S, HOUR_S, duration_text
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.payment import channel as channels
from trustedpods.publisher.payment import refund
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.money import DepositOutcome, MinedTransaction
from trustedpods.publisher.results.watched import WatchedPod, WatchResult
from trustedpods.publisher.state.pod_records import PodRecord
from trustedpods.publisher.verbs.aftermath import alone
from trustedpods.publisher.verbs.audit import examine
from trustedpods.publisher.verbs.networks.whole.books import NewestBooks
from trustedpods.publisher.verbs.pods import RETAINED
from trustedpods.publisher.verbs.running.closing import close_if_over
from trustedpods.publisher.visits import records
from trustedpods.publisher.visits.release import AWAITING_KEY
from trustedpods.publisher.visits.visit import Visit, enter

if TYPE_CHECKING:
    from trustedpods.protocol.net import Host

PODS_AT_ONCE = 4
RETRY_S = 1.0

DEPLOYING_S = 3600
"""A pod that is kept and has no channel may be on its way so long."""

RUNNING = ("serving", "failing", "parked")
"""Phases in which a pod is claimed day by day: one that is stopped pays for what is kept."""

TOLD = RUNNING
"""Phases in which a node's provider takes an address book. One that fails may need just that to start."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What the owner allows. `policy` over the one of each deploy; `patience_s` for a silent provider."""

    names: tuple[str, ...] = ()
    policy: str | None = None
    top_up: watch.TopUp | None = None
    unlock: bool = False
    patience_s: float = 60.0


@dataclass(slots=True)
class _Findings:
    """What is known of one pod in a round so far; see `WatchedPod`.

    `violated`: evidence or usage does not hold, which no outage and no delay can explain.
    """

    record: PodRecord
    state: str = "ok"
    exit_code: int = 0
    actions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    violated: bool = False
    status: PodStatus | None = None
    error: TrustedPodsError | None = None
    paid: TokenUnits | None = None
    transaction: MinedTransaction | None = None
    money: DepositOutcome | None = None

    def bad(self, state: str, code: int, *problems: str) -> None:
        """Something does not hold; the worst of several counts."""
        self.problems += problems
        self.exit_code = watch.worst((self.exit_code, code))
        if self.exit_code == code:
            self.state = state

    def result(self) -> WatchedPod:
        """What became of the pod."""
        record, status = self.record, self.status
        return WatchedPod(
            name=record.name,
            owner=Address(record.owner),
            daemon=record.daemon,
            trust=record.trust,
            simulated=record.simulated,
            channel=record.channel,
            state=self.state,
            exit_code=self.exit_code,
            actions=tuple(self.actions),
            problems=tuple(self.problems),
            attested=records.last_attestation(record),
            phase=None if status is None else status.phase,
            runway_s=None if status is None else status.runway_s,
            error=None if self.error is None else ErrorReport.of(self.error),
            paid=self.paid,
            transaction=self.transaction,
            money=self.money,
        )


async def watch_round(account: MarketAccount, options: WatchOptions, journal: Journal) -> WatchResult:
    """One look at every pod that this client keeps, or at those that are named.

    One pod's trouble is in its result and stops no other. Raises `Refused` for a name that is not
    known here, `NetworkFailure` when the chain does not answer.
    """
    chosen = _chosen(records.mine(account, journal), options.names)
    found = [_Findings(record) for record in chosen]
    books = NewestBooks(account, chosen, journal)
    limit = trio.CapacityLimiter(PODS_AT_ONCE)

    async def one(findings: _Findings) -> None:
        async with limit:
            await _Look(account, host, options, findings, journal, books).run()
            journal.show.line(findings.result().line)

    async with open_host(None, []) as host, open_nursery() as nursery:
        for findings in found:
            nursery.start_soon(one, findings)
    return WatchResult(account.token, tuple(findings.result() for findings in found))


def _chosen(known: Sequence[PodRecord], names: Sequence[str]) -> list[PodRecord]:
    for name in names:
        if name not in {record.name for record in known}:
            raise Refused(
                f"no pod {name!r} is kept here",
                rule="unknown-pod",
                hint="a pod is kept by `trustedpods deploy`; `trustedpods status` finds it from any machine",
            )
    return [record for record in known if not names or record.name in names]


class _Look:
    """One pod in one round."""

    def __init__(
        self,
        account: MarketAccount,
        host: "Host",
        options: WatchOptions,
        findings: _Findings,
        journal: Journal,
        books: NewestBooks,
    ) -> None:
        self._books = books
        self._account = account
        self._host = host
        self._options = options
        self._findings = findings
        self._journal = journal
        record = findings.record
        self._closes = False
        self._ref: PodRef = account.publisher.ref(Address(record.owner), record.daemon, record.name)

    async def run(self) -> None:
        """Everything, through short outages; what fails is the pod's result."""
        deadline = trio.current_time() + self._options.patience_s
        while True:
            try:
                await self._once()
            except RemoteProtocolError as error:
                self._failed(error)
            except NetworkFailure as error:
                if self._closes:  # its notice needs nobody's help, and nothing is left to be looked after
                    self._findings.state = "unlocking"
                    break
                if trio.current_time() < deadline:
                    self._start_over()
                    await trio.sleep(RETRY_S)
                    continue
                self._failed(error)
            except TrustedPodsError as error:
                if self._closes and isinstance(error, Refused):  # as one that knows no such pod any more
                    self._findings.state = "unlocking"
                else:
                    self._failed(error)
            break
        await self._unlock_if_bad()

    def _start_over(self) -> None:
        """A new attempt finds new problems; what was done stays done."""
        self._findings.violated = False
        self._findings.problems, self._findings.exit_code, self._findings.state = [], 0, "ok"

    def _failed(self, error: TrustedPodsError) -> None:
        state = "does not verify" if isinstance(error, EvidenceRefused) else error.code
        self._findings.error = error
        self._findings.violated |= isinstance(error, EvidenceRefused)
        self._findings.bad(state, int(error.exit_code), str(error), *([error.hint] if error.hint else []))

    async def _once(self) -> None:
        record = records.pod_records().load(self._findings.record.channel) or self._findings.record
        live = await channels.look(self._account, self._ref)
        if live is None:
            self._no_channel(record)
            return
        if await self._closed(record, live):
            return
        row = await self._row()
        if row is None:
            self._vanished(live.unlock_at)
            return
        location = PodLocation(row, self._ref, live)
        policy = policy_for(self._account.market, record.trust, self._options.policy or record.policy)
        async with AsyncExitStack() as stack:
            try:
                visit = await enter(stack, self._account, self._host, location, record, policy, self._journal)
            finally:
                self._findings.record = records.pod_records().load(record.channel) or record
            await self._look_after(visit)

    def _no_channel(self, record: PodRecord) -> None:
        """The channel was closed; or a deploy has kept the pod already and is about to open it."""
        if record.holder is None and time.time() < record.attested_at + DEPLOYING_S:
            self._findings.state = "not open yet"
            return
        records.pod_records().forget(record.channel)
        self._findings.state = "ended"

    async def _closed(self, record: PodRecord, live: Channel) -> bool:
        """Whether the channel was closed, as its notice is over; one that others gave is only told."""
        look = await close_if_over(self._account, self._ref, record, live, self._journal)
        self._closes = look.stands == "wait" and look.meant
        if look.stands == "others":
            told = f"its notice, given elsewhere, is over: `trustedpods close {record.channel}` ends it"
            self._findings.bad("unlocking", 0, told)
        if look.ended is None:
            return False
        self._findings.money, self._findings.state = look.ended, "ended"
        self._findings.actions.append("channel closed")
        return True

    async def _row(self) -> RegistryRow | None:
        record = self._findings.record
        rows = await self._account.market.rows()
        return next((row for row in rows if (row.owner, row.daemon) == (record.owner, record.daemon)), None)

    def _vanished(self, unlock_at: int) -> None:
        """A provider that took its row away may go on claiming, and nobody can ask it for what."""
        self._findings.violated = True
        noticed = ", a notice runs" if unlock_at else ""
        self._findings.bad(
            "alarm",
            int(ExitCode.COPIES_DIFFER),
            f"the provider is no longer in the registry, its meter may still claim{noticed}: "
            f"`trustedpods close {self._findings.record.channel}` takes the deposit back",
        )

    async def _look_after(self, visit: Visit) -> None:
        if visit.location.live.unlock_at:
            self._findings.state = "unlocking"
        done = await visit.mend("release", self._books.newest)
        self._findings.actions += done
        if "released" in done:
            self._findings.state = "released"
        status = await visit.status()
        self._findings.status = status
        if status.phase == AWAITING_KEY and not visit.location.live.unlock_at:
            self._findings.bad(
                "waits", int(ExitCode.REFUSED), "the pod waits for its bundle: deploy it again"
            )
        if status.drain_at is not None:
            self._findings.bad("drained", int(ExitCode.REFUSED), watch.drain_problem(status.drain_at))
        await self._check_usage(visit, status)
        await self._top_up(visit, status)
        await self._bring_book(visit, status)  # last: a node may take a while, and money does not wait
        self._findings.record = visit.record

    async def _bring_book(self, visit: Visit, status: PodStatus) -> None:
        """Of a node of a network: where the others are now; what hinders it stops nothing else."""
        if status.phase not in TOLD:
            return
        try:
            if await self._books.bring(visit):
                self._findings.actions.append("told where other nodes are")
        except TrustedPodsError as error:
            text = f"it does not know where other nodes of its network are now: {error}"
            self._findings.bad("untold", int(error.exit_code), text)

    # ---- money -------------------------------------------------------------------------------

    async def _check_usage(self, visit: Visit, status: PodStatus) -> None:
        """The provider's account against the chain and against what the pod can have used."""
        location, account, session = visit.location, self._account, visit.session
        live, head = await channels.look(account, location.ref), await account.chain.head()
        if live is None:
            return
        visit.location = location = replace(location, channel=live)
        shape = None if visit.changed_elsewhere(status) else records.shape_of_record(visit.record)
        examined = await examine(account, session, location, shape)
        lines = examined.bill.lines
        since = max(live.up_to, lines[-1].up_to if lines else live.up_to)
        idle_mib = session.profile.least.idle_mib
        found = [
            *(f"{one.check}: {one.detail}" for one in examined.findings if one.holds is False),
            *watch.open_problems(shape, idle_mib, examined.bill.open_usage, since, head.time),
        ]
        if found:
            self._findings.violated = True
            self._findings.bad("violation", int(ExitCode.COPIES_DIFFER), *found)
        odd = watch.channel_problems(live, head.time, running=status.phase in RUNNING)
        if odd:
            self._findings.bad("alarm", int(ExitCode.COPIES_DIFFER), *odd)

    async def _top_up(self, visit: Visit, status: PodStatus) -> None:
        """Pay in what is allowed; the intent is kept before it is sent, so a kill pays nothing twice."""
        shape, live = records.shape_of_record(visit.record), visit.location.live
        profile = visit.session.profile
        least = profile.least
        if shape is not None and status.phase == RETAINED:
            shape = shape.stored_only(sum(status.outliving.values()))
            least = least.model_copy(update={"idle_mib": 0})
        if live.unlock_at or self._findings.exit_code == ExitCode.COPIES_DIFFER:
            return  # whoever does not keep true books gets no more money
        peak, reserve = -(-live.terms.cap_per_day * HOUR_S // DAY_S), 0
        if shape is not None:
            peak = cost_of(shape, live.terms.prices, least).peak_hour
            reserve = due(shape.awake(profile.grace_s, 0, least.idle_mib), live.terms.prices)
        money = watch.PodFunds(live.left, status.accrued, status.runway_s, peak, reserve)
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        spent = watch.Spent(visit.record.paid_day, visit.record.paid)
        decided = watch.payment(money, self._options.top_up, spent, today)
        if decided.units:
            await self._pay(visit, decided.units, today, spent.on(today))
        if decided.low:
            lasts = "no time" if not status.runway_s else duration_text(status.runway_s)
            allowed = " after today's allowance" if self._options.top_up else ""
            self._findings.bad("low", int(ExitCode.FUNDS), f"the deposit lasts {lasts}{allowed}")

    async def _pay(self, visit: Visit, units: TokenUnits, today: str, spent: int) -> None:
        account, ref = self._account, visit.location.ref
        try:
            await channels.check_funds(account, units)
            kept = records.newest(visit.record, self._journal)
            if watch.Spent(kept.paid_day, kept.paid).on(today) != spent:
                return  # another process that watches has just paid: the next round sees by how much
            visit.remember(paid_day=today, paid=spent + units)
            receipt = await account.chain.top_up(account.publisher.key, ref.owner, ref.channel, units)
        except InsufficientFunds as error:
            self._findings.bad("low", int(ExitCode.FUNDS), str(error))
            return
        self._findings.actions.append(f"paid {account.token.text(units)}")
        self._findings.paid, self._findings.transaction = units, MinedTransaction.of(receipt)

    async def _unlock_if_bad(self) -> None:
        """Only when the owner asked for it, and only for what cannot be an outage."""
        if not (self._options.unlock and self._findings.violated):
            return
        record = self._findings.record
        try:
            with alone(self._account, record.name, "watch", beside=("backup",)):  # a slow one saves no cheat
                outcome = await refund.give_notice(self._account, self._ref, record.channel, self._journal)
        except TrustedPodsError as error:
            self._findings.problems.append(f"the deposit could not be unlocked: {error}")
            return
        self._findings.money = outcome
        self._findings.actions.append(f"deposit {outcome.state}")

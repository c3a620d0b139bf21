# SPDX-License-Identifier: Apache-2.0
"""`watch`: looks after the pods of this key, so that none silently stays down, cheats, or runs dry.

For each pod: attest its provider again under the policy of the deploy, release the pod again where the
machine was restarted, check usage against what the pod can have used, top up within a limit.
"""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import trio

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
from trustedpods.protocol.net import Host, open_host
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.attestation.policies import policy_for
from trustedpods.publisher.core import watch
from trustedpods.publisher.core.cost import cost_of
from trustedpods.publisher.core.money import DAY_S, HOUR_S, duration_text
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.journal import Journal, error_facts
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.payment import channel as channels
from trustedpods.publisher.payment import refund
from trustedpods.publisher.state.pod_records import PodMemo
from trustedpods.publisher.verbs.audit import examine
from trustedpods.publisher.visits import records
from trustedpods.publisher.visits.release import AWAITING_KEY
from trustedpods.publisher.visits.visit import Visit, enter

PODS_AT_ONCE = 4
RETRY_S = 1.0

DEPLOYING_S = 3600
"""A pod that is kept and has no channel may be on its way so long."""

RUNNING = ("serving", "failing")
"""Phases in which a pod is claimed day by day."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What the owner allows. `policy` over the one of each deploy; `patience_s` for a silent provider."""

    names: tuple[str, ...] = ()
    policy: str | None = None
    top_up: watch.TopUp | None = None
    unlock: bool = False
    patience_s: float = 60.0


@dataclass(slots=True)
class Watched:
    """What became of one pod in a round; `exit` is the code that it would end with alone.

    `violated`: evidence or usage does not hold, which no outage and no delay can explain.
    """

    memo: PodMemo
    state: str = "ok"
    exit: int = 0
    actions: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    violated: bool = False

    def bad(self, state: str, code: int, *problems: str) -> None:
        """Something does not hold; the worst of several counts."""
        self.problems += problems
        self.exit = watch.worst((self.exit, code))
        if self.exit == code:
            self.state = state

    def as_json(self) -> dict[str, object]:
        """For `-o json`."""
        return {
            "pod": self.memo.name,
            "provider": f"{self.memo.owner}/{self.memo.daemon}",
            "class": self.memo.trust,
            "channel": self.memo.channel,
            "state": self.state,
            "exit": self.exit,
            "actions": self.actions,
            "problems": self.problems,
            **records.memo_facts(self.memo),
            **self.facts,
        }

    def line(self) -> str:
        """For people: OPEN, SIMULATED and whatever is wrong cannot be overlooked."""
        trust = trust_text(self.memo.trust, simulated=self.memo.simulated)
        provider = f"{self.memo.owner}/{self.memo.daemon}"
        text = f"{self.memo.name}  {self.state.upper() if self.exit else self.state}  {provider} [{trust}]"
        for extra in ("; ".join(self.actions), "; ".join(self.problems)):
            text += f"  {extra}" if extra else ""
        return text


async def watch_round(account: MarketAccount, options: WatchOptions, journal: Journal) -> list[Watched]:
    """One look at every pod that this client keeps, or at those that are named.

    One pod's trouble is in its result and stops no other. Raises `Refused` for a name that is not
    known here, `NetworkFailure` when the chain does not answer.
    """
    chosen = _chosen(records.mine(account, journal), options.names)
    results = [Watched(memo) for memo in chosen]
    limit = trio.CapacityLimiter(PODS_AT_ONCE)

    async def one(result: Watched) -> None:
        async with limit:
            await _Look(account, host, options, result, journal).run()

    async with open_host(None, []) as host, open_nursery() as nursery:
        for result in results:
            nursery.start_soon(one, result)
    return results


def _chosen(known: Sequence[PodMemo], names: Sequence[str]) -> list[PodMemo]:
    for name in names:
        if name not in {memo.name for memo in known}:
            raise Refused(
                f"no pod {name!r} is kept here",
                rule="unknown-pod",
                hint="a pod is kept by `trustedpods deploy`; `trustedpods status` finds it from any machine",
            )
    return [memo for memo in known if not names or memo.name in names]


class _Look:
    """One pod in one round."""

    def __init__(
        self, account: MarketAccount, host: Host, options: WatchOptions, result: Watched, journal: Journal
    ) -> None:
        self._account = account
        self._host = host
        self._options = options
        self._result = result
        self._journal = journal
        memo = result.memo
        self._ref: PodRef = account.publisher.ref(Address(memo.owner), memo.daemon, memo.name)

    async def run(self) -> None:
        """Everything, through short outages; what fails is the pod's result."""
        deadline = trio.current_time() + self._options.patience_s
        while True:
            try:
                await self._once()
            except RemoteProtocolError as error:
                self._failed(error)
            except NetworkFailure as error:
                if trio.current_time() < deadline:
                    self._start_over()
                    await trio.sleep(RETRY_S)
                    continue
                self._failed(error)
            except TrustedPodsError as error:
                self._failed(error)
            break
        await self._unlock_if_bad()
        self._journal.show.line(self._result.line())

    def _start_over(self) -> None:
        """A new attempt finds new problems; what was done stays done."""
        self._result.violated = False
        self._result.problems, self._result.exit, self._result.state = [], 0, "ok"

    def _failed(self, error: TrustedPodsError) -> None:
        state = "does not verify" if isinstance(error, EvidenceRefused) else error.code
        self._result.facts["error"] = error_facts(error)
        self._result.violated |= isinstance(error, EvidenceRefused)
        self._result.bad(state, int(error.exit_code), str(error), *([error.hint] if error.hint else []))

    async def _once(self) -> None:
        memo = records.memos().load(self._result.memo.channel) or self._result.memo
        live = await channels.look(self._account, self._ref)
        if live is None:
            self._no_channel(memo)
            return
        place = PodLocation(await self._row(), self._ref, live)
        policy = policy_for(self._account.market, memo.trust, self._options.policy or memo.policy)
        async with AsyncExitStack() as stack:
            try:
                visit = await enter(stack, self._account, self._host, place, memo, policy, self._journal)
            finally:
                self._result.memo = records.memos().load(memo.channel) or memo
            await self._look_after(visit)

    def _no_channel(self, memo: PodMemo) -> None:
        """The channel was closed; or a deploy has kept the pod already and is about to open it."""
        if memo.holder is None and time.time() < memo.attested_at + DEPLOYING_S:
            self._result.state = "not open yet"
            return
        records.memos().forget(memo.channel)
        self._result.state = "ended"

    async def _row(self) -> RegistryRow:
        memo = self._result.memo
        rows = await self._account.market.rows()
        row = next((row for row in rows if (row.owner, row.daemon) == (memo.owner, memo.daemon)), None)
        if row is None:
            raise Refused("the provider is no longer in the registry", rule="no-provider")
        return row

    async def _look_after(self, visit: Visit) -> None:
        if visit.place.live.unlock_at:
            self._result.state = "unlocking"
        done = await visit.mend("release")
        self._result.actions += done
        if "released" in done:
            self._result.state = "released"
        status = await visit.status()
        self._result.facts |= {"phase": status.phase, "runway_s": status.runway_s}
        if status.phase == AWAITING_KEY and not visit.place.live.unlock_at:
            self._result.bad("waits", int(ExitCode.REFUSED), "the pod waits for its bundle: deploy it again")
        await self._check_usage(visit, status)
        await self._top_up(visit, status)
        self._result.memo = visit.memo

    # ---- money -------------------------------------------------------------------------------

    async def _check_usage(self, visit: Visit, status: PodStatus) -> None:
        """The provider's account against the chain and against what the pod can have used."""
        place, account, session = visit.place, self._account, visit.session
        live, head = await channels.look(account, place.ref), await account.chain.head()
        if live is None:
            return
        visit.place = place = replace(place, channel=live)
        shape = records.shape_of_memo(visit.memo)
        examined = await examine(account, session, place, shape)
        lines = examined.bill.lines
        since = max(live.up_to, lines[-1].up_to if lines else live.up_to)
        idle_mib = session.profile.least.idle_mib
        found = [
            *(f"{one.check}: {one.detail}" for one in examined.findings if one.holds is False),
            *watch.open_problems(shape, idle_mib, examined.bill.open_usage, since, head.time),
        ]
        if found:
            self._result.violated = True
            self._result.bad("violation", int(ExitCode.COPIES_DIFFER), *found)
        odd = watch.channel_problems(live, head.time, running=status.phase in RUNNING)
        if odd:
            self._result.bad("alarm", int(ExitCode.COPIES_DIFFER), *odd)

    async def _top_up(self, visit: Visit, status: PodStatus) -> None:
        """Pay in what is allowed; the intent is kept before it is sent, so a kill pays nothing twice."""
        shape, live = records.shape_of_memo(visit.memo), visit.place.live
        profile = visit.session.profile
        if live.unlock_at or self._result.exit == ExitCode.COPIES_DIFFER:
            return  # whoever does not keep true books gets no more money
        peak, reserve = -(-live.terms.cap_per_day * HOUR_S // DAY_S), 0
        if shape is not None:
            peak = cost_of(shape, live.terms.prices, profile.least).peak_hour
            reserve = due(shape.awake(profile.grace_s, 0, profile.least.idle_mib), live.terms.prices)
        money = watch.PodFunds(live.left, status.accrued, status.runway_s, peak, reserve)
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        spent = watch.Spent(visit.memo.paid_day, visit.memo.paid)
        decided = watch.payment(money, self._options.top_up, spent, today)
        if decided.units:
            await self._pay(visit, decided.units, today, spent.on(today))
        if decided.low:
            lasts = "no time" if not status.runway_s else duration_text(status.runway_s)
            allowed = " after today's allowance" if self._options.top_up else ""
            self._result.bad("low", int(ExitCode.FUNDS), f"the deposit lasts {lasts}{allowed}")

    async def _pay(self, visit: Visit, units: TokenUnits, today: str, spent: int) -> None:
        account, ref = self._account, visit.place.ref
        try:
            await channels.check_funds(account, units)
            visit.remember(paid_day=today, paid=spent + units)
            receipt = await account.chain.top_up(account.publisher.key, ref.owner, ref.channel, units)
        except InsufficientFunds as error:
            self._result.bad("low", int(ExitCode.FUNDS), str(error))
            return
        self._result.actions.append(f"paid {account.token.text(units)}")
        self._result.facts |= {"paid": account.token.number(units), **channels.receipt_facts(receipt)}

    async def _unlock_if_bad(self) -> None:
        """Only when the owner asked for it, and only for what cannot be an outage."""
        if not (self._options.unlock and self._result.violated):
            return
        try:
            outcome = await refund.give_notice(
                self._account, self._ref, self._result.memo.name, self._journal
            )
        except TrustedPodsError as error:
            self._result.problems.append(f"the deposit could not be unlocked: {error}")
            return
        self._result.facts["money"] = outcome
        self._result.actions.append(f"deposit {outcome['state']}")


def round_facts(results: Sequence[Watched]) -> dict[str, object]:
    """A round for `-o json`."""
    return {
        "pods": [result.as_json() for result in results],
        "exit": watch.worst(result.exit for result in results),
    }

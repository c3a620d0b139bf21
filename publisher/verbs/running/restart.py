# SPDX-License-Identifier: Apache-2.0
"""`restart`: new replicas of the version that serves, by the way of an update; nothing is sent again."""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.ids import channel_bytes
from trustedpods.protocol.messages.base import Progress
from trustedpods.protocol.messages.pod import (
    PodStatus,
    RestartBody,
    RestartPlan,
    SignedStatement,
    Statement,
)
from trustedpods.protocol.sealing.replies import verify_statement
from trustedpods.publisher.delivery.broken_update import look_after
from trustedpods.publisher.delivery.provision import STARTING_TIMEOUT_S
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import next_generation
from trustedpods.publisher.results.confirmed import ConfirmedPod
from trustedpods.publisher.results.deployed import RestartPlanResult, RestartResult
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.results.validated import update_way
from trustedpods.publisher.verbs.aftermath import in_turn
from trustedpods.publisher.verbs.pods import visit
from trustedpods.publisher.visits.visit import Visit

Agree = Callable[[RestartPlanResult], bool]
"""Asked before anything is done."""


@dataclass(slots=True)
class _Outcome:
    """What a restart told: its plan, unless it met one that was under way, and the provider's word."""

    plan: RestartPlan | None = None
    signed: SignedStatement | None = None


async def restart_plan(account: MarketAccount, name: str, journal: Journal) -> RestartPlanResult:
    """What a restart would do now. Raises Refused (rule `not-serving`) where nothing serves."""
    async with visit(account, name, VisitProgress(), journal) as visited:
        return await _plan(visited, name)


async def restart(
    account: MarketAccount, name: str, agree: Agree | None, progress: VisitProgress, journal: Journal
) -> RestartResult:
    """Start the pod *name* anew from the bundle that its provider has; returns when it serves.

    *agree* is asked with the plan first; None: nobody is. Raises Refused (rules `not-agreed`, `not-serving`),
    what a start raises, and what a visit raises; what is in place then is in the error's hint.
    """
    async with in_turn(account, name, "restart", journal):
        async with visit(account, name, progress, journal) as visited:
            if agree is not None:
                plan = await _plan(visited, name)
                _tell(plan, journal)
                if not await trio.to_thread.run_sync(agree, plan):
                    raise Refused(f"{name} was not started anew: nobody agreed to it", rule="not-agreed")
            before = await visited.status()
            done = await _restarted(visited, name, before, journal, told=agree is not None)
            statement = _verified(visited, done, before)
            if not visited.changed_elsewhere(before):
                visited.remember(generation=statement.generation)
        way = None if done.plan is None else update_way(done.plan.stops)
        return RestartResult(progress.visited(), way, ConfirmedPod.of(statement))


async def _plan(visited: Visit, name: str) -> RestartPlanResult:
    ref, body = visited.location.ref, RestartBody(plan_only=True)
    plan = await visited.session.ask("restart", ref, body, next_generation(), RestartPlan)
    return _result(plan, name)


def _result(plan: RestartPlan, name: str) -> RestartPlanResult:
    return RestartPlanResult(name, plan.replicas, update_way(plan.stops))


def _tell(plan: RestartPlanResult, journal: Journal) -> None:
    journal.event("plan", plan.lines[0], replicas=plan.replicas, update=plan.update)


async def _restarted(
    visited: Visit, name: str, before: PodStatus, journal: Journal, *, told: bool
) -> _Outcome:
    """Ask, and follow the provider until the pod serves; an error's hint says what does instead."""
    done, generation = _Outcome(), next_generation()
    session, ref = visited.session, visited.location.ref
    try:
        async with session.converse("restart", ref, RestartBody(), generation) as conversation:
            while done.signed is None:
                reply: RestartPlan | Progress | SignedStatement = await conversation.reply(
                    RestartPlan, Progress, SignedStatement, timeout=STARTING_TIMEOUT_S
                )
                if isinstance(reply, SignedStatement):
                    done.signed = reply
                elif conversation.finished:
                    raise RemoteProtocolError("the provider ended without confirming", rule="no-statement")
                elif isinstance(reply, Progress):
                    journal.event(f"provider:{reply.step}", reply.text)
                else:
                    done.plan = reply
                    if not told:
                        _tell(_result(reply, name), journal)
    except TrustedPodsError as error:
        after = await look_after(session, ref, name, before.version)
        error.hint = f"{after.text}; {error.hint}" if error.hint else after.text
        raise
    return done


def _verified(visited: Visit, done: _Outcome, before: PodStatus) -> Statement:
    """The provider's word must be about this pod, the images that it had, and this machine."""
    assert done.signed is not None
    session = visited.session
    statement = verify_statement(done.signed, session.binding.reply_key)
    served = None if before.statement is None else decode(before.statement.statement, Statement).images
    checks = {
        "channel": statement.channel == channel_bytes(visited.location.ref.channel),
        "generation": statement.generation > before.generation,
        "images": served is None or statement.images == served,
        "meter": statement.meter == session.binding.meter,
    }
    for name, good in checks.items():
        if not good:
            raise RemoteProtocolError(f"the provider confirms another {name}", rule=f"statement-{name}")
    return statement

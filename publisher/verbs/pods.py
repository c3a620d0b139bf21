# SPDX-License-Identifier: Apache-2.0
"""`status`, `logs` and `delete`: verbs on a pod that is found by key and name."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.ids import ChannelId, channel_bytes, channel_hex
from trustedpods.protocol.messages.base import Done, Progress
from trustedpods.protocol.messages.pod import DeleteBody, LogLines, LogsBody, PodStatus, Statement
from trustedpods.protocol.net import Bounds, open_host
from trustedpods.protocol.sealing.replies import verify_statement
from trustedpods.protocol.units import TokenUnits, UnixSeconds
from trustedpods.publisher.attestation.policies import policy_for
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.cost import stored_day, stored_seconds
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.locations import find_pod
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, next_generation
from trustedpods.publisher.market.unlisted import is_channel
from trustedpods.publisher.payment import refund
from trustedpods.publisher.payment.gone import UNLISTED, gone_already, left_already
from trustedpods.publisher.results.confirmed import ConfirmedPod
from trustedpods.publisher.results.money import DepositOutcome, GoneResult
from trustedpods.publisher.results.pods import (
    DeleteProgress,
    DeleteResult,
    LogPiece,
    LogsResult,
    OutlivingVolumes,
    ServiceStatus,
    StatusResult,
    VisitProgress,
)
from trustedpods.publisher.state.names import known_names
from trustedpods.publisher.verbs.aftermath import Aftermath, in_turn, newer_is_locked
from trustedpods.publisher.verbs.backups.states import state_of
from trustedpods.publisher.visits import records
from trustedpods.publisher.visits.newest_book import NewestBook
from trustedpods.publisher.visits.visit import Mend, Visit, enter, no_bundle

RETAINED = "retained"
"""The provider's word for a deleted pod of which only volumes are left."""

DELETED = frozenset({RETAINED, "clearing"})
"""The same while the rest of it is still being taken away: what it signed before holds no longer."""

DELETE_TIMEOUT_S = 300.0
"""Between two events of a removal: a namespace with volumes takes its time."""


@asynccontextmanager
async def visit(
    account: MarketAccount,
    name: str,
    progress: VisitProgress,
    journal: Journal,
    *,
    ended: bool = False,
    mend: Mend = "release",
    bounds: Bounds | None = None,
    newest: NewestBook | None = None,
) -> AsyncIterator[Visit]:
    """Find the pod *name*, dial its provider and verify its evidence; see `find_pod` for *ended*.

    The same policy holds as when the pod was deployed from here. A provider that was restarted since
    is given what *mend* says. *bounds* are those of its connection. *progress* is filled as it becomes known.
    """
    location, others = await find_pod(account, name, ended=ended)
    progress.name, progress.publisher, progress.token = name, account.publisher.address, account.token
    progress.channel, progress.others = location.pod_channel, tuple(other.pod_channel for other in others)
    channel = channel_hex(location.ref.channel)
    called = known_names(state_dir()).get(channel, name) if is_channel(name) else name
    record = records.load(channel, journal) or records.begin(account, called, location)
    policy = policy_for(account.market, record.trust, record.policy)
    async with open_host(None, [], bounds) as host, AsyncExitStack() as stack:
        entered = await enter(stack, account, host, location, record, policy, journal)
        progress.machine = entered.session.machine
        try:
            await entered.mend(mend, newest)
        except Refused as error:
            if not no_bundle(error):
                raise
            journal.show.warning(f"{error}; {error.hint}")
        progress.attested = records.last_attestation(entered.record)
        yield entered


async def status(
    account: MarketAccount, name: str, progress: VisitProgress, journal: Journal
) -> StatusResult:
    """What the pod does, where it is reached, how long its money lasts."""
    async with visit(account, name, progress, journal, ended=True) as visited:
        return await status_of(visited, progress)


async def status_of(visited: Visit, progress: VisitProgress) -> StatusResult:
    """What `status` says, asked in a visit that goes on."""
    answer = await visited.status()
    statement = statement_of(answer, visited.session, visited.location.ref.channel)
    return StatusResult(
        pod=progress.visited(),
        phase=answer.phase,
        reason=answer.reason,
        version=answer.version,
        failure=answer.failure,
        replicas=answer.replicas,
        ready=answer.ready,
        runway_s=answer.runway_s,
        deposit=TokenUnits(answer.deposit),
        claimed=TokenUnits(answer.claimed),
        accrued=TokenUnits(answer.accrued),
        services=_services(answer, statement),
        events=tuple(answer.events),
        confirmed=None if statement is None else ConfirmedPod.of(statement),
        outliving=_outliving(visited, answer),
        cpu_milli=answer.cpu_milli,
        memory_mib=answer.memory_mib,
        parked_at=None if answer.parked_at is None else UnixSeconds(answer.parked_at),
        last_request_at=None if answer.last_request_at is None else UnixSeconds(answer.last_request_at),
        room=answer.room,
        drain_at=None if answer.drain_at is None else UnixSeconds(answer.drain_at),
        backups=state_of(visited.account, visited.record.name, visited.journal),
    )


def _outliving(visited: Visit, answer: PodStatus) -> OutlivingVolumes | None:
    """What a delete leaves of the pod, or has left: how long its money lasts is the client's own count."""
    if not answer.outliving or visited.location.channel is None:
        return None
    terms, left = visited.location.live.terms, visited.location.live.left - answer.accrued
    mib = sum(answer.outliving.values())
    return OutlivingVolumes(
        claims=dict(answer.outliving),
        day=stored_day(mib, terms.prices),
        lasts_s=stored_seconds(mib, left, visited.session.profile.grace_s, terms.prices),
    )


def _services(answer: PodStatus, statement: Statement | None) -> tuple[ServiceStatus, ...]:
    """Each service with its addresses, which stand in the statement alone."""
    ends = [] if statement is None else statement.endpoints
    return tuple(
        ServiceStatus(name, expose, tuple(end.url for end in ends if end.service == name))
        for name, expose in answer.services.items()
    )


def statement_of(answer: PodStatus, session: Session, channel: ChannelId) -> Statement | None:
    """The provider's word, signed by the attested key, for this pod; None where only volumes are left.

    Raises `RemoteProtocolError` when it is not signed so, or is about another pod.
    """
    if answer.statement is None or answer.phase in DELETED:
        return None
    statement = verify_statement(answer.statement, session.binding.reply_key)
    if statement.channel != channel_bytes(channel):
        raise RemoteProtocolError("the provider's statement is about another pod", rule="statement-channel")
    return statement


async def logs(
    account: MarketAccount,
    name: str,
    body: LogsBody,
    write: Callable[[LogPiece], None],
    progress: VisitProgress,
    journal: Journal,
) -> LogsResult:
    """Hand each piece of a container's output to *write*, with the run that wrote it.

    The result has none of them.
    """
    async with visit(account, name, progress, journal) as visited:
        await logs_of(visited, body, write)
    return LogsResult(progress.visited())


async def logs_of(visited: Visit, body: LogsBody, write: Callable[[LogPiece], None]) -> None:
    """The same in a visit that goes on."""
    asked = visited.session.converse("logs", visited.location.ref, body, next_generation())
    async with asked as conversation:
        while not conversation.finished:
            reply = await conversation.reply(LogLines, Done, timeout=60.0)
            if isinstance(reply, LogLines):
                write(LogPiece.of(reply))


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """With `purge` all of the pod goes. `agree` is asked before volumes are kept, and paid for."""

    purge: bool = False
    agree: Callable[[OutlivingVolumes], bool] | None = None


async def delete(
    account: MarketAccount,
    name: str,
    progress: DeleteProgress,
    journal: Journal,
    options: DeleteOptions | None = None,
) -> DeleteResult | GoneResult:
    """Have the pod settled, released and removed; report the refund, or which volumes are kept.

    When the provider fails in the middle, *progress* says where the deposit is. Raises `Refused` (rule
    `not-agreed`), with nothing done, where the options' `agree` says no. A pod that is surely gone already is
    no error, nor one of which only a deposit under notice is left at a provider that does not answer.
    """
    async with in_turn(account, name, "delete", journal):
        try:
            return await _delete(account, name, progress, journal, options or DeleteOptions())
        except Refused as error:
            if error.rule == UNLISTED:
                return await left_already(account, name, error)
            return await gone_already(account, name, error)
        except NetworkFailure as error:
            if progress.machine is not None:
                raise
            return await left_already(account, name, error)


async def _delete(
    account: MarketAccount, name: str, progress: DeleteProgress, journal: Journal, options: DeleteOptions
) -> DeleteResult:
    async with visit(account, name, progress, journal, mend="move") as visited:
        ref, life = visited.location.ref, await _life(visited)
        await _ask_first(visited, name, options, journal)
        generation = next_generation()
        try:
            with newer_is_locked(name):
                left = await _remove(visited, generation, journal, purge=options.purge)
        except TrustedPodsError:
            progress.money = await refund.find_out(account, ref, name, journal)
            raise
        if left is not None:
            journal.event("retained", f"{name} is removed but for its volumes")
            return DeleteResult(progress.visited(), None, _outliving(visited, left))
        journal.event("deleted", f"{name} is removed")
        after = Aftermath(account, ref, visited.session, {generation}, life)
        return DeleteResult(progress.visited(), await _get_back(after, name, journal))


async def _life(visited: Visit) -> bytes | None:
    """The transaction that opened the channel, where the chain's node remembers it."""
    ref = visited.location.ref
    return (await visited.account.chain.channel_events(ref.owner, ref.channel)).open_tx


async def _ask_first(visited: Visit, name: str, options: DeleteOptions, journal: Journal) -> None:
    """Say what is kept and what it costs before anything is done; somebody may say no."""
    if options.purge:
        return
    kept = _outliving(visited, await visited.status())
    if kept is None:
        return
    journal.event("keeps", kept.told(name, visited.account.token))
    if options.agree is not None and not await trio.to_thread.run_sync(options.agree, kept):
        raise Refused(
            f"{name} was not deleted: nobody agreed to pay for its volumes",
            rule="not-agreed",
            hint=f"`trustedpods delete {name} --purge` ends the volumes too, and pays the rest back",
        )


async def _remove(visited: Visit, generation: int, journal: Journal, *, purge: bool) -> PodStatus | None:
    """Ask for the removal, and follow it to its end; the pod's status where volumes of it are kept."""
    ref, body = visited.location.ref, DeleteBody(purge=purge)
    limit_s = visited.account.timing.delete_s
    with trio.move_on_after(limit_s):
        async with visited.session.converse("delete", ref, body, generation) as conversation:
            while not conversation.finished:
                reply = await conversation.reply(Progress, Done, PodStatus, timeout=DELETE_TIMEOUT_S)
                if isinstance(reply, Progress):
                    journal.event(f"provider:{reply.step}", reply.text)
        if not isinstance(reply, PodStatus):
            return None
        if purge or reply.phase != RETAINED:
            raise RemoteProtocolError(f"the provider left the pod {reply.phase}", rule="not-removed")
        return reply
    raise NetworkFailure(
        f"the provider has not removed the pod within {limit_s:.0f} s",
        rule="timeout",
        hint="`trustedpods close` takes the deposit back without it",
    )


async def _get_back(after: Aftermath, name: str, journal: Journal) -> DepositOutcome:
    """The deposit of a pod that is removed; a deploy that came meanwhile keeps it."""
    try:
        return await refund.get_back(
            after.account, after.ref, name, journal, partial(after.kept, None), after.account.timing.release_s
        )
    except NetworkFailure as failure:
        journal.show.warning(f"the pod is removed; the chain does not answer ({failure.what})")
        return DepositOutcome("unknown")

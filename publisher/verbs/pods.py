# SPDX-License-Identifier: Apache-2.0
"""`status`, `logs` and `delete`: verbs on a pod that is found by key and name."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError
from trustedpods.protocol.ids import CHANNEL_ID_BITS, channel_hex
from trustedpods.protocol.messages.base import Done, Progress
from trustedpods.protocol.messages.pod import DeleteBody, LogLines, LogsBody, PodStatus, Statement, StatusBody
from trustedpods.protocol.net import open_host
from trustedpods.protocol.sealing.replies import verify_statement
from trustedpods.publisher.attestation.policies import policy_for
from trustedpods.publisher.delivery import report
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.candidates import provider_name
from trustedpods.publisher.market.locations import PodLocation, find_pod
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, next_generation
from trustedpods.publisher.payment import refund
from trustedpods.publisher.visits import records
from trustedpods.publisher.visits.visit import Mend, enter, no_bundle

DELETE_TIMEOUT_S = 300.0
"""Between two events of a removal: a namespace with volumes takes its time."""


@dataclass(frozen=True, slots=True)
class PodVisit:
    """A pod's provider, attested, and other places that hold money under the pod's name."""

    place: PodLocation
    others: list[PodLocation]
    session: Session


@asynccontextmanager
async def visit(
    account: MarketAccount, name: str, journal: Journal, *, ended: bool = False, mend: Mend = "release"
) -> AsyncIterator[PodVisit]:
    """Find the pod *name*, dial its provider and verify its evidence; see `find_pod` for *ended*.

    The same policy holds as when the pod was deployed from here. A provider that was restarted since
    is given what *mend* says.
    """
    place, others = await find_pod(account, name, ended=ended)
    journal.result |= {"pod": name, "publisher": account.publisher.address} | place_facts(account, place)
    if others:
        journal.result["other_channels"] = [place_facts(account, other) for other in others]
    memo = records.load(channel_hex(place.ref.channel), journal) or records.begin(account, name, place)
    policy = policy_for(account.market, memo.trust, memo.policy)
    async with open_host(None, []) as host, AsyncExitStack() as stack:
        visit = await enter(stack, account, host, place, memo, policy, journal)
        journal.result |= report.provider_facts(visit.session)
        try:
            await visit.mend(mend)
        except Refused as error:
            if not no_bundle(error):
                raise
            journal.show.warning(f"{error}; {error.hint}")
        journal.result |= records.memo_facts(visit.memo)
        yield PodVisit(visit.place, others, visit.session)


def place_facts(account: MarketAccount, place: PodLocation) -> dict[str, object]:
    """A pod's provider and channel, as they stand on chain."""
    facts: dict[str, object] = {
        "provider": {
            "name": provider_name(place.row),
            "owner": place.row.owner,
            "daemon": place.row.daemon,
            "endpoint": place.row.endpoint,
        },
        "channel": channel_hex(place.ref.channel),
        "channel_open": place.channel is not None,
        "token": account.token.symbol,
    }
    if place.channel is None:
        return facts
    return facts | {
        "left": account.token.number(place.channel.left),
        "left_units": str(place.channel.left),
        "unlock_at": place.channel.unlock_at or None,
        "up_to": place.channel.up_to,
    }


async def status(account: MarketAccount, name: str, journal: Journal) -> None:
    """What the pod does, where it is reached, how long its money lasts."""
    async with visit(account, name, journal, ended=True) as visited:
        answer = await visited.session.ask(
            "status", visited.place.ref, StatusBody(), next_generation(), PodStatus
        )
        statement = _statement(visited, answer)
    token = account.token
    journal.result |= {
        "phase": answer.phase,
        "reason": answer.reason,
        "version": answer.version,
        "failure": answer.failure.model_dump() if answer.failure else None,
        "replicas": answer.replicas,
        "ready": answer.ready,
        "runway_s": answer.runway_s,
        "deposit": token.number(answer.deposit),
        "claimed": token.number(answer.claimed),
        "accrued": token.number(answer.accrued),
        "pod_events": [event.model_dump() for event in answer.events],
    }
    if statement is not None:
        journal.result |= report.statement_facts(statement)


def _statement(visited: PodVisit, answer: PodStatus) -> Statement | None:
    """The provider's word, signed by the attested key, for this pod."""
    if answer.statement is None:
        return None
    statement = verify_statement(answer.statement, visited.session.binding.reply_key)
    if statement.channel != visited.place.ref.channel.to_bytes(CHANNEL_ID_BITS // 8, "big"):
        raise RemoteProtocolError("the provider's statement is about another pod", rule="statement-channel")
    return statement


async def logs(
    account: MarketAccount, name: str, body: LogsBody, write: Callable[[LogLines], None], journal: Journal
) -> None:
    """Hand each piece of a container's output to *write*, with the run that wrote it."""
    async with (
        visit(account, name, journal) as visited,
        visited.session.converse("logs", visited.place.ref, body, next_generation()) as conversation,
    ):
        while not conversation.finished:
            reply = await conversation.reply(LogLines, Done, timeout=None if body.follow else 60.0)
            if isinstance(reply, LogLines):
                write(reply)


async def delete(account: MarketAccount, name: str, journal: Journal) -> None:
    """Have the pod settled, released and removed; report the refund."""
    async with visit(account, name, journal, mend="move") as visited:
        ref = visited.place.ref
        body = DeleteBody()
        async with visited.session.converse("delete", ref, body, next_generation()) as conversation:
            while not conversation.finished:
                reply = await conversation.reply(Progress, Done, timeout=DELETE_TIMEOUT_S)
                if isinstance(reply, Progress):
                    journal.event(f"provider:{reply.step}", reply.text)
    journal.event("deleted", f"{name} is removed")
    try:
        if await refund.wait_released(account, ref, refund.RELEASE_WAIT_S, journal):
            journal.result["money"] = await refund.refunded(account, ref, journal)
        else:
            journal.result["money"] = await refund.give_notice(account, ref, name, journal)
    except NetworkFailure as failure:
        journal.show.warning(f"the pod is removed; the chain does not answer ({failure.what})")
        journal.result["money"] = {"state": "unknown"}

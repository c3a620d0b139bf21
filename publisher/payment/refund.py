# SPDX-License-Identifier: Apache-2.0
"""Getting a deposit back: by the provider's release, else by notice."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from trustedpods.contracts.records import Channel
from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import PodRef
from trustedpods.publisher.core.channels.closing import notice_began
from trustedpods.publisher.core.money import duration_text
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.output.json_of import as_facts
from trustedpods.publisher.output.json_parts import outcome_json
from trustedpods.publisher.payment import channel, closing
from trustedpods.publisher.results.money import DepositOutcome, MinedTransaction


@dataclass(frozen=True, slots=True)
class Kept:
    """Why a channel is left alone; `close`: the owner may want to give notice himself."""

    why: str
    close: bool


WhyKept = Callable[[], Awaitable[Kept | None]]
"""Asks anew whether the channel is to be left alone; None where it may be given notice."""


async def rescue(
    account: MarketAccount,
    payment: channel.ChannelPayment,
    name: str,
    error: TrustedPodsError,
    journal: Journal,
    why_kept: WhyKept,
    *,
    in_use: bool | None = False,
) -> DepositOutcome:
    """After a deploy failed with *error*: see to it that the money comes back; say how and when.

    Notice is given only where *why_kept* knows of nothing against it.
    *in_use*: an earlier version of the pod is paid by the channel that was there before, None where that
    is not known. Then nothing is said that would end it.
    """
    if not (payment.there or payment.ours):
        return DepositOutcome("untouched")
    silent = isinstance(error, NetworkFailure)
    try:
        if not payment.there and await channel.look(account, payment.ref) is None:
            journal.event("no-channel", "no channel was opened, as far as the chain tells")
            return DepositOutcome("untouched")
        if not payment.ours:
            return await _as_it_stands(account, payment.ref, name, journal, in_use=in_use)
        wait_s = account.timing.silent_s if silent else account.timing.release_s
        return await get_back(account, payment.ref, name, journal, why_kept, wait_s)
    except NetworkFailure as failure:
        journal.show.warning(
            f"the channel holds the deposit still and the chain does not answer ({failure.what}); "
            f"run `trustedpods close {name}` later"
        )
        return DepositOutcome("unknown")


async def get_back(
    account: MarketAccount, ref: PodRef, name: str, journal: Journal, why_kept: WhyKept, wait_s: float
) -> DepositOutcome:
    """Wait *wait_s* for the provider's release, then give notice; neither where the channel is to be kept."""
    if kept := await why_kept():
        return await _as_it_stands(account, ref, name, journal, kept)
    if await wait_released(account, ref, wait_s, journal):
        return await refunded(account, ref, journal)
    if kept := await why_kept():  # somebody may have come meanwhile
        return await _as_it_stands(account, ref, name, journal, kept)
    return await give_notice(account, ref, name, journal)


async def find_out(account: MarketAccount, ref: PodRef, name: str, journal: Journal) -> DepositOutcome:
    """After a verb failed that paid nothing: what became of the pod's channel; nothing is done about it."""
    try:
        return await _as_it_stands(account, ref, name, journal)
    except NetworkFailure as failure:
        journal.show.warning(f"the chain does not answer ({failure.what}): the deposit may be there still")
        return DepositOutcome("unknown")


async def _as_it_stands(
    account: MarketAccount,
    ref: PodRef,
    name: str,
    journal: Journal,
    kept: Kept | None = None,
    *,
    in_use: bool | None = False,
) -> DepositOutcome:
    """Nothing is to be done about a channel: say what became of it, and why it is *kept*."""
    if in_use is False and await wait_released(account, ref, account.timing.unsure_s, journal):
        return await refunded(account, ref, journal)
    current = await channel.look(account, ref)
    if current is None:
        return await refunded(account, ref, journal)
    if current.unlock_at:  # it runs already, and whoever gave it knows what for: this only says until when
        return await _noticed(account, current, name, journal, None)
    left = account.token.rough(current.left)
    why = "" if kept is None else f": {kept.why}"
    advised = in_use is False and (kept is None or kept.close)
    how = f"; `trustedpods close {name}` gets it back" if advised else ""
    journal.event("kept", f"the pod's channel keeps its {left}{why}{how}")
    return DepositOutcome("open", left=current.left)


async def wait_released(account: MarketAccount, ref: PodRef, limit_s: float, journal: Journal) -> bool:
    """Wait until the channel is gone; False when it is not within *limit_s* seconds."""
    said, deadline = False, trio.current_time() + limit_s
    while await channel.look(account, ref) is not None:
        if trio.current_time() > deadline:
            return False
        if not said:
            journal.event("waiting", "waiting for the provider to release the channel")
            said = True
        await trio.sleep(channel.POLL_S)
    return True


async def how_it_ended(account: MarketAccount, ref: PodRef) -> DepositOutcome:
    """What became of the deposit of a channel that is gone, as far as the node remembers."""
    return await _released(account, ref) or DepositOutcome("closed")


async def refunded(account: MarketAccount, ref: PodRef, journal: Journal) -> DepositOutcome:
    """Say what came back of a channel that is gone."""
    outcome = await _released(account, ref)
    if outcome is None or outcome.refund is None:
        journal.event("no-channel", "no channel is open")
        return DepositOutcome("closed")
    text = f"the provider released the channel: {account.token.rough(outcome.refund)} came back"
    facts = as_facts(outcome_json(outcome, account.token))
    journal.event("refunded", text, **facts)
    return outcome


async def _released(account: MarketAccount, ref: PodRef) -> DepositOutcome | None:
    """How a channel ended; None when the node cannot tell."""
    try:
        closed = await account.chain.closed(ref.owner, ref.channel)
    except NetworkFailure:
        return None
    if closed is None:
        return None
    return DepositOutcome(
        "released",
        refund=closed.refund,
        pushed=closed.pushed,
        transaction=MinedTransaction(closed.tx_hash),
    )


async def give_notice(account: MarketAccount, ref: PodRef, name: str, journal: Journal) -> DepositOutcome:
    """Unlock the channel unless its notice runs already; say when it can be closed.

    It is kept here that this is to end the channel: `watch` closes it when the notice is over.
    """
    current, transaction = await channel.look(account, ref), None
    if current is not None and current.unlock_at == 0:
        closing.intend(ref.channel, (await account.chain.head()).time, journal)
        transaction = await _unlock(account, ref)
        current = await channel.look(account, ref)
    elif current is not None:
        closing.intend(ref.channel, notice_began(current), journal)
    if current is None:
        return await refunded(account, ref, journal)
    return await _noticed(account, current, name, journal, transaction)


async def _noticed(
    account: MarketAccount,
    current: Channel,
    name: str,
    journal: Journal,
    transaction: MinedTransaction | None,
) -> DepositOutcome:
    """Say when a channel under notice can be closed."""
    head = await account.chain.head()
    wait = max(0, current.unlock_at - head.time)
    journal.event(
        "unlocking",
        f"the channel is unlocking: `trustedpods close {name}` gets {account.token.rough(current.left)} back "
        f"{'in ' + duration_text(wait) if wait else 'now'}",
        unlock_at=current.unlock_at,
    )
    return DepositOutcome(
        "unlocking", unlock_at=current.unlock_at, left=current.left, transaction=transaction
    )


async def _unlock(account: MarketAccount, ref: PodRef) -> MinedTransaction | None:
    """Give notice; whoever released the channel or gave notice just before has done it for us."""
    try:
        receipt = await account.chain.unlock(account.publisher.key, ref.owner, ref.salt)
    except Refused as error:
        if error.rule not in ("Unknown", "Locked"):
            raise
        return None
    return MinedTransaction.of(receipt)

# SPDX-License-Identifier: Apache-2.0
"""Getting a deposit back: by the provider's release, else by notice."""

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import PodRef
from trustedpods.publisher.core.money import duration_text
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.output.json_parts import outcome_json
from trustedpods.publisher.payment import channel
from trustedpods.publisher.results.money import DepositOutcome, MinedTransaction

RELEASE_WAIT_S = 90.0
"""How long a provider that said no may take to give the money back: some of its claim batches."""

SILENT_WAIT_S = 10.0
"""The same for one that went silent: it may have released just before."""

UNSURE_WAIT_S = 5.0
"""The same for a channel of an earlier run: an update that failed leaves it to the pod that runs."""


async def rescue(
    account: MarketAccount,
    payment: channel.ChannelPayment,
    name: str,
    error: TrustedPodsError,
    journal: Journal,
    *,
    in_use: bool | None = False,
) -> DepositOutcome:
    """After a deploy failed with *error*: see to it that the money comes back; say how and when.

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
        if await wait_released(account, payment.ref, SILENT_WAIT_S if silent else RELEASE_WAIT_S, journal):
            return await refunded(account, payment.ref, journal)
        return await give_notice(account, payment.ref, name, journal)
    except NetworkFailure as failure:
        journal.show.warning(
            f"the channel holds the deposit still and the chain does not answer ({failure.what}); "
            f"run `trustedpods close {name}` later"
        )
        return DepositOutcome("unknown")


async def find_out(account: MarketAccount, ref: PodRef, name: str, journal: Journal) -> DepositOutcome:
    """After a verb failed that paid nothing: what became of the pod's channel; nothing is done about it."""
    try:
        return await _as_it_stands(account, ref, name, journal)
    except NetworkFailure as failure:
        journal.show.warning(f"the chain does not answer ({failure.what}): the deposit may be there still")
        return DepositOutcome("unknown")


async def _as_it_stands(
    account: MarketAccount, ref: PodRef, name: str, journal: Journal, *, in_use: bool | None = False
) -> DepositOutcome:
    """Nothing was paid in this run: say what became of a channel that was there before, if any."""
    if in_use is False and await wait_released(account, ref, UNSURE_WAIT_S, journal):
        return await refunded(account, ref, journal)
    current = await channel.look(account, ref)
    if current is None:
        return await refunded(account, ref, journal)
    if current.unlock_at:
        return await give_notice(account, ref, name, journal)  # it runs already: this only says until when
    left = account.token.text(current.left)
    how = f"; `trustedpods close {name}` gets it back" if in_use is False else ""
    journal.event("kept", f"the pod's channel keeps its {left}{how}")
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


async def refunded(account: MarketAccount, ref: PodRef, journal: Journal) -> DepositOutcome:
    """Say what came back of a channel that is gone."""
    outcome = await _released(account, ref)
    if outcome is None or outcome.refund is None:
        journal.event("no-channel", "no channel is open")
        return DepositOutcome("closed")
    text = f"the provider released the channel: {account.token.text(outcome.refund)} came back"
    facts = outcome_json(outcome, account.token)
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
    """Unlock the channel unless its notice runs already; say when it can be closed."""
    current, transaction = await channel.look(account, ref), None
    if current is not None and current.unlock_at == 0:
        transaction = await _unlock(account, ref)
        current = await channel.look(account, ref)
    if current is None:
        return await refunded(account, ref, journal)
    head = await account.chain.head()
    wait = max(0, current.unlock_at - head.time)
    journal.event(
        "unlocking",
        f"the channel is unlocking: `trustedpods close {name}` gets {account.token.text(current.left)} back "
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

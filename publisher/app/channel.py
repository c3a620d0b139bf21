# SPDX-License-Identifier: Apache-2.0
"""The pod's payment channel: opened once, met again by every rerun, and got back when it fails."""

from dataclasses import dataclass

import trio

from trustedpods.contracts.records import Channel, Receipt, meter_tag
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import (
    InsufficientFunds,
    NetworkFailure,
    Refused,
    TrustedPodsError,
)
from trustedpods.protocol.ids import Address, PodRef, channel_hex
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.app.desk import Desk
from trustedpods.publisher.core.money import duration_text
from trustedpods.publisher.journal import Journal, Step

RELEASE_WAIT_S = 90.0
"""How long a provider that said no may take to give the money back: some of its claim batches."""

SILENT_WAIT_S = 10.0
"""The same for one that went silent: it may have released just before."""

UNSURE_WAIT_S = 5.0
"""The same for a channel of an earlier run: an update that failed leaves it to the pod that runs."""

POLL_S = 0.5


@dataclass(slots=True)
class Payment:
    """The channel of one deploy.

    `there` says that it was open before this run or is known to have been opened by it, `ours`
    that this run opened it (or tried to: what became of that may not be known) or took its notice
    back.
    """

    ref: PodRef
    meter: Address
    terms: Terms
    amount: TokenUnits
    there: bool = False
    ours: bool = False


async def check_funds(desk: Desk, amount: TokenUnits) -> None:
    """Raise `InsufficientFunds` unless the publisher has *amount*, and coin for gas."""
    token, address = desk.token, desk.publisher.address
    balance = await desk.chain.token_balance(address)
    if balance < amount:
        raise InsufficientFunds(
            f"the deposit is {token.text(amount)}, and {address} has {token.text(balance)}",
            rule="token",
            hint="pay in less with --deposit, or send tokens there",
        )
    if await desk.chain.gas_balance(address) == 0:
        raise InsufficientFunds(f"{address} has no coin to pay for gas", rule="gas")


async def look(desk: Desk, ref: PodRef) -> Channel | None:
    """The channel as it is on chain now; None means that there is none."""
    (channel,) = await desk.chain.channels(ref.owner, [ref.channel])
    return channel


async def ensure(
    desk: Desk, payment: Payment, existing: Channel | None, step: Step, journal: Journal
) -> None:
    """Open the channel, or meet the one that is there; *step* takes the facts.

    Raises `InsufficientFunds`, `Refused` when a channel is there that this boot of the provider
    cannot claim from, `NetworkFailure` when the chain does not answer.
    """
    step.facts["channel"] = channel_hex(payment.ref.channel)
    if existing is None:
        existing = await _open(desk, payment, step, journal)
    if existing is not None:
        _meet(desk, payment, existing, step, journal)


async def _open(desk: Desk, payment: Payment, step: Step, journal: Journal) -> Channel | None:
    """Open it; if an earlier run was faster, return what is there."""
    payment.ours = True  # from here on it may be on chain, whatever this run gets to hear
    try:
        with trio.CancelScope(shield=True):
            receipt = await desk.chain.open_with_permit(
                desk.publisher.key, payment.ref, payment.meter, payment.terms, payment.amount
            )
    except (Refused, InsufficientFunds) as error:
        payment.ours = False
        if error.rule != "Live":
            raise
        return await look(desk, payment.ref)
    payment.there = True
    facts = receipt_facts(receipt)
    step.facts |= {"opened": True, "deposit": desk.token.number(payment.amount), **facts}
    text = f"paid {desk.token.text(payment.amount)} into a new channel (gas {receipt.gas_used})"
    journal.event("channel", text, **facts)
    return None


def _meet(desk: Desk, payment: Payment, channel: Channel, step: Step, journal: Journal) -> None:
    step.facts |= {"opened": False, "left": desk.token.number(channel.left)}
    if channel.meter_tag != meter_tag(payment.meter):
        raise Refused(
            "the pod's channel names the meter of another boot of this provider",
            rule="meter",
            hint="close it (`trustedpods close NAME`), then deploy again",
        )
    journal.event("channel", f"the pod's channel is there, with {desk.token.text(channel.left)} left")


async def cancel_notice(desk: Desk, payment: Payment, journal: Journal) -> None:
    """Take back the notice on a channel, so that a pod may run on it; wait until that is final."""
    with journal.step("cancel-notice") as step:
        receipt = await desk.chain.cancel_unlock(desk.publisher.key, payment.ref.owner, payment.ref.salt)
        payment.ours = True
        step.facts |= receipt_facts(receipt)
        final = receipt.block + desk.window.file.finality_blocks
        await _block(desk, final)
    journal.event("notice-cancelled", "took back the notice on the pod's channel", **receipt_facts(receipt))


async def _block(desk: Desk, number: int) -> None:
    """Wait until the chain has come to block *number*."""
    while True:
        head = await desk.chain.head()
        if head.number >= number:
            return
        await trio.sleep(POLL_S)


def receipt_facts(receipt: Receipt) -> dict[str, object]:
    """A transaction for `-o json`."""
    return {"tx": "0x" + receipt.tx_hash.hex(), "gas": receipt.gas_used, "block": receipt.block}


async def rescue(
    desk: Desk, payment: Payment, name: str, error: TrustedPodsError, journal: Journal
) -> dict[str, object]:
    """After a deploy failed with *error*: see to it that the money comes back; say how and when."""
    if not (payment.there or payment.ours):
        return {"state": "untouched"}
    silent = isinstance(error, NetworkFailure)
    try:
        if not payment.there and await look(desk, payment.ref) is None:
            journal.event("no-channel", "no channel was opened, as far as the chain tells")
            return {"state": "untouched"}
        if not payment.ours:
            return await _left_as_it_was(desk, payment.ref, name, journal)
        if await wait_released(desk, payment.ref, SILENT_WAIT_S if silent else RELEASE_WAIT_S, journal):
            return await refunded(desk, payment.ref, journal)
        return await give_notice(desk, payment.ref, name, journal)
    except NetworkFailure as failure:
        journal.show.warning(
            f"the channel holds the deposit still and the chain does not answer ({failure.what}); "
            f"run `trustedpods close {name}` later"
        )
        return {"state": "unknown"}


async def _left_as_it_was(desk: Desk, ref: PodRef, name: str, journal: Journal) -> dict[str, object]:
    """Nothing was paid in this run: say what became of a channel that was there before, if any."""
    if await wait_released(desk, ref, UNSURE_WAIT_S, journal):
        return await refunded(desk, ref, journal)
    channel = await look(desk, ref)
    if channel is None:
        return await refunded(desk, ref, journal)
    left = desk.token.text(channel.left)
    journal.event("kept", f"the pod's channel keeps its {left}; `trustedpods close {name}` gets it back")
    return {"state": "open", "left": desk.token.number(channel.left)}


async def wait_released(desk: Desk, ref: PodRef, limit_s: float, journal: Journal) -> bool:
    """Wait until the channel is gone; False when it is not within *limit_s* seconds."""
    said, deadline = False, trio.current_time() + limit_s
    while await look(desk, ref) is not None:
        if trio.current_time() > deadline:
            return False
        if not said:
            journal.event("waiting", "waiting for the provider to release the channel")
            said = True
        await trio.sleep(POLL_S)
    return True


async def refunded(desk: Desk, ref: PodRef, journal: Journal) -> dict[str, object]:
    """Say what came back of a channel that is gone."""
    facts = await closed_facts(desk, ref)
    if "refund" not in facts:
        journal.event("no-channel", "no channel is open")
        return {"state": "closed"}
    text = f"the provider released the channel: {facts['refund']} {desk.token.symbol} came back"
    journal.event("refunded", text, **facts)
    return {"state": "released", **facts}


async def closed_facts(desk: Desk, ref: PodRef) -> dict[str, object]:
    """Refund and transaction of a channel that ended; empty when the node cannot tell."""
    try:
        closed = await desk.chain.closed(ref.owner, ref.channel)
    except NetworkFailure:
        return {}
    if closed is None:
        return {}
    return {
        "refund": desk.token.number(closed.refund),
        "refund_units": str(closed.refund),
        "tx": "0x" + closed.tx_hash.hex(),
        "pushed": closed.pushed,
    }


async def give_notice(desk: Desk, ref: PodRef, name: str, journal: Journal) -> dict[str, object]:
    """Unlock the channel unless its notice runs already; say when it can be closed."""
    channel = await look(desk, ref)
    if channel is None:
        return await refunded(desk, ref, journal)
    facts: dict[str, object] = {}
    if channel.unlock_at == 0:
        receipt = await desk.chain.unlock(desk.publisher.key, ref.owner, ref.salt)
        facts = receipt_facts(receipt)
        channel = await look(desk, ref) or channel
    head = await desk.chain.head()
    wait = max(0, channel.unlock_at - head.time)
    journal.event(
        "unlocking",
        f"the channel is unlocking: `trustedpods close {name}` gets {desk.token.text(channel.left)} back "
        f"{'in ' + duration_text(wait) if wait else 'now'}",
        unlock_at=channel.unlock_at,
    )
    return {
        "state": "unlocking",
        "unlock_at": channel.unlock_at,
        "left": desk.token.number(channel.left),
        **facts,
    }

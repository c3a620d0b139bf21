# SPDX-License-Identifier: Apache-2.0
"""The pod's payment channel: opened once, met again by every rerun, and got back when it fails."""

from dataclasses import dataclass, replace

import trio

from trustedpods.contracts.records import Channel, meter_tag
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import (
    InsufficientFunds,
    Refused,
)
from trustedpods.protocol.ids import Address, PodRef, channel_hex
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.journal import Journal, Step
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.output.json_of import as_facts
from trustedpods.publisher.output.json_parts import transaction_json
from trustedpods.publisher.payment import closing
from trustedpods.publisher.results.money import MinedTransaction

POLL_S = 0.5


@dataclass(slots=True)
class ChannelPayment:
    """The channel of one deploy.

    `there` says that it was open before this run or is known to have been opened by it, `ours`
    that this run opened it (or tried to: what became of that may not be known) or took its notice
    back. `life` is the transaction that opened it, where this run knows that. `raised` are the terms of
    a channel that was there, with the cap that the pod asks for now; None where that is not higher.
    """

    ref: PodRef
    meter: Address
    terms: Terms
    amount: TokenUnits
    there: bool = False
    ours: bool = False
    raised: Terms | None = None
    life: bytes | None = None


class LackingFunds(InsufficientFunds):
    """The publisher's address does not have what a deposit of `amount` needs."""

    def __init__(self, what: str, amount: TokenUnits, *, rule: str, hint: str) -> None:
        super().__init__(what, rule=rule, hint=hint)
        self.amount = amount


async def check_funds(account: MarketAccount, amount: TokenUnits) -> None:
    """Raise `LackingFunds` unless the publisher has *amount*, and coin for gas."""
    token, address = account.token, account.publisher.address
    balance = await account.chain.token_balance(address)
    gasless = await account.chain.gas_balance(address) == 0
    if balance < amount:
        has = f"{token.text(balance)}{', and no coin of the chain to pay for gas' if gasless else ''}"
        raise LackingFunds(
            f"the deposit is {token.text(amount)}, and {address} has {has}",
            amount,
            rule="token",
            hint=f"pay in less with --deposit, or send tokens there{' and some coin' if gasless else ''}; "
            "docs/money.md says where both come from",
        )
    if gasless:
        raise LackingFunds(
            f"{address} has no coin to pay for gas",
            amount,
            rule="gas",
            hint="send it some of the chain's own coin; docs/money.md says where it comes from",
        )


async def check_opening(account: MarketAccount, ref: PodRef, amount: TokenUnits) -> None:
    """`check_funds`, unless the money is in the channel already, as a killed run's opening came late."""
    try:
        await check_funds(account, amount)
    except LackingFunds:
        if await look(account, ref) is None:
            raise


async def look(account: MarketAccount, ref: PodRef) -> Channel | None:
    """The channel as it is on chain now; None means that there is none."""
    (channel,) = await account.chain.channels(ref.owner, [ref.channel])
    return channel


async def ensure(
    account: MarketAccount, payment: ChannelPayment, existing: Channel | None, step: Step, journal: Journal
) -> None:
    """Open the channel, or meet the one that is there; *step* takes the facts.

    Raises `InsufficientFunds`, `Refused` when a channel is there that this boot of the provider
    cannot claim from, `NetworkFailure` when the chain does not answer.
    """
    step.facts["channel"] = channel_hex(payment.ref.channel)
    if existing is None:
        existing = await _open(account, payment, step, journal)
    if existing is not None:
        _meet(account, payment, existing, step, journal)


async def _open(
    account: MarketAccount, payment: ChannelPayment, step: Step, journal: Journal
) -> Channel | None:
    """Open it; if an earlier run was faster, return what is there."""
    payment.ours = True  # from here on it may be on chain, whatever this run gets to hear
    try:
        with trio.CancelScope(shield=True):
            receipt = await account.chain.open_with_permit(
                account.publisher.key, payment.ref, payment.meter, payment.terms, payment.amount
            )
    except (Refused, InsufficientFunds) as error:
        payment.ours = False
        if error.rule != "Live":
            raise
        payment.there = True  # somebody else was faster: it is his, and no run of ours may call it untouched
        return await look(account, payment.ref)
    payment.there, payment.life = True, receipt.tx_hash
    facts = as_facts(transaction_json(MinedTransaction.of(receipt)))
    step.facts |= {"opened": True, "deposit": account.token.number(payment.amount), **facts}
    text = f"paid {account.token.rough(payment.amount)} into a new channel (gas {receipt.gas_used})"
    journal.event("channel", text, **facts)
    return None


def _meet(
    account: MarketAccount, payment: ChannelPayment, channel: Channel, step: Step, journal: Journal
) -> None:
    step.facts |= {"opened": False, "left": account.token.number(channel.left)}
    if channel.meter_tag != meter_tag(payment.meter):
        raise Refused(
            "the pod's channel names the meter of another boot of this provider",
            rule="meter",
            hint="it restarted just now: run this again, and the channel moves to its new meter",
        )
    journal.event("channel", f"the pod's channel is there, with {account.token.rough(channel.left)} left")


async def cancel_notice(account: MarketAccount, payment: ChannelPayment, journal: Journal) -> None:
    """Take back the notice on a channel, so that a pod may run on it; wait until that is final."""
    with journal.step("cancel-notice") as step:
        receipt = await account.chain.cancel_unlock(
            account.publisher.key, payment.ref.owner, payment.ref.salt
        )
        payment.ours = True
        facts = as_facts(transaction_json(MinedTransaction.of(receipt)))
        step.facts |= facts
        final = receipt.block + account.market.file.finality_blocks
        await _block(account, final)
    closing.intend(payment.ref.channel, None, journal)
    journal.event("notice-cancelled", "took back the notice on the pod's channel", **facts)


async def raise_cap(
    account: MarketAccount, payment: ChannelPayment, channel: Channel, journal: Journal
) -> Channel:
    """Give a channel the cap that the pod asks for now, where that is higher; the channel as it is then."""
    raised = payment.raised
    if raised is None or raised.cap_per_day <= channel.terms.cap_per_day:
        return channel
    receipt = await account.chain.raise_cap(
        account.publisher.key, payment.ref.owner, payment.ref.salt, raised.cap_mantissa, raised.cap_exponent
    )
    text = f"raised the cap of the pod's channel to {account.token.rough(raised.cap_per_day)} a day"
    journal.event("cap-raised", text, **as_facts(transaction_json(MinedTransaction.of(receipt))))
    return replace(channel, terms=raised)


async def _block(account: MarketAccount, number: int) -> None:
    """Wait until the chain has come to block *number*."""
    while True:
        head = await account.chain.head()
        if head.number >= number:
            return
        await trio.sleep(POLL_S)

# SPDX-License-Identifier: Apache-2.0
"""`fund`, `close` and `balance`: verbs between the publisher and the payment contract alone."""

import trio

from trustedpods.contracts.records import Channel, OpenedChannel
from trustedpods.contracts.terms import DAY_S, MAX_DEPOSIT
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.messages.provider import LeastTerms
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.cost import Shape, cost_of
from trustedpods.publisher.core.money import Funding
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.candidates import provider_name
from trustedpods.publisher.market.locations import PodLocation, find_pod
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.payment import channel, refund
from trustedpods.publisher.state.names import known_names
from trustedpods.publisher.verbs.pods import place_facts


def top_up_amount(
    account: MarketAccount, found: Channel, funding: Funding, shape: Shape | None
) -> TokenUnits:
    """Base units of *funding*; a duration counts at full size if *shape* is known, else at the cap."""
    if funding.amount is not None:
        units = account.token.units(funding.amount, "AMOUNT")
    elif shape is not None:
        cost = cost_of(shape, found.terms.prices, LeastTerms(deposit=0, unlock_s=0, idle_mib=0))
        units = cost.deposit(funding, account.token)
    else:
        units = TokenUnits(-(-found.terms.cap_per_day * (funding.seconds or 0) // DAY_S))
    if found.left + units > MAX_DEPOSIT:
        raise BadInput(f"{account.token.text(units)} is more than the channel holds", where="AMOUNT")
    return units


async def fund(
    account: MarketAccount, name: str, funding: Funding, shape: Shape | None, journal: Journal
) -> None:
    """Add to the pod's channel; *shape* is the pod's, where its manifest is at hand."""
    place, _ = await find_pod(account, name)
    amount = top_up_amount(account, place.live, funding, shape)
    await channel.check_funds(account, amount)
    if place.live.unlock_at:
        journal.show.warning("the channel is unlocking: a top-up does not take the notice back, deploy does")
    receipt = await account.chain.top_up(account.publisher.key, place.ref.owner, place.ref.channel, amount)
    after = await channel.look(account, place.ref) or place.live
    journal.result |= {
        "pod": name,
        **place_facts(account, PodLocation(place.row, place.ref, after)),
        "paid": account.token.number(amount),
        **channel.receipt_facts(receipt),
    }


async def close(account: MarketAccount, name: str, wait: bool, journal: Journal) -> None:
    """Get a channel's money back: give notice, and close it once that is over.

    Every channel under the pod's name is taken, as a failed deploy may have left one elsewhere.
    """
    place, others = await find_pod(account, name, everywhere=True)
    outcomes = []
    for one in (place, *others):
        outcome = await _close(account, one, name, wait, journal)
        outcomes.append(
            {"provider": provider_name(one.row), "channel": channel_hex(one.ref.channel), **outcome}
        )
    journal.result |= {"pod": name, "token": account.token.symbol, "channels": outcomes}


async def _close(
    account: MarketAccount, place: PodLocation, name: str, wait: bool, journal: Journal
) -> dict[str, object]:
    noted = await refund.give_notice(account, place.ref, name, journal)
    while noted["state"] == "unlocking":
        current = await channel.look(account, place.ref)
        if current is None:
            return await refund.refunded(account, place.ref, journal)
        head = await account.chain.head()
        if head.time >= current.unlock_at:
            return await _end(account, place, journal)
        if not wait:
            return noted
        await trio.sleep(min(30, max(1, current.unlock_at - head.time)))
    return noted


async def _end(account: MarketAccount, place: PodLocation, journal: Journal) -> dict[str, object]:
    try:
        receipt = await account.chain.close(account.publisher.key, place.ref.owner, place.ref.salt)
    except Refused as error:
        if error.rule != "Unknown":
            raise
        return await refund.refunded(account, place.ref, journal)  # the provider released it just now
    text = f"closed: {account.token.text(receipt.moved)} came back"
    facts = channel.receipt_facts(receipt)
    journal.event("closed", text, **facts)
    return {
        "state": "closed",
        "refund": account.token.number(receipt.moved),
        "refund_units": str(receipt.moved),
        **facts,
    }


async def balance(account: MarketAccount, journal: Journal) -> None:
    """Tokens, coin for gas, and every channel that the publisher opened, as far as events tell."""
    address, token = account.publisher.address, account.token
    opened = await account.chain.opened_by(address)
    names = known_names(state_dir())
    journal.result |= {
        "publisher": address,
        "token": token.symbol,
        "balance": token.number(await account.chain.token_balance(address)),
        "balance_units": str(await account.chain.token_balance(address)),
        "gas_wei": str(await account.chain.gas_balance(address)),
        "owed": token.number(await account.chain.owed(address)),
        "channels": [await _state(account, one, names.get(channel_hex(one.channel))) for one in opened],
    }


async def _state(account: MarketAccount, opened: OpenedChannel, name: str | None) -> dict[str, object]:
    """One channel: open, unlocking, or closed with its refund."""
    token = account.token
    facts: dict[str, object] = {
        "channel": channel_hex(opened.channel),
        "name": name,
        "owner": opened.owner,
        "deposit": token.number(opened.amount),
        "opened_tx": "0x" + opened.tx_hash.hex(),
    }
    (current,) = await account.chain.channels(opened.owner, [opened.channel])
    if current is not None:
        state = "unlocking" if current.unlock_at else "open"
        return facts | {
            "state": state,
            "left": token.number(current.left),
            "unlock_at": current.unlock_at or None,
        }
    ended = await account.chain.channel_events(opened.owner, opened.channel)
    if ended.closed is None:
        return facts | {"state": "closed"}
    refund = {"refund": token.number(ended.closed.refund), "refund_units": str(ended.closed.refund)}
    return facts | {"state": "closed", **refund, "tx": "0x" + ended.closed.tx_hash.hex()}

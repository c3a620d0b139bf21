# SPDX-License-Identifier: Apache-2.0
"""`bill`: what a pod cost, computed here from signed usage and the terms, and compared with the chain."""

from dataclasses import asdict

from trustedpods.contracts.records import ChannelEvents
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.protocol.units import TokenUnits, Usage
from trustedpods.publisher.core.bill import (
    Account,
    Bill,
    Line,
    compare_with_chain,
    make_bill,
    with_transactions,
)
from trustedpods.publisher.core.cost import Shape
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import next_generation
from trustedpods.publisher.verbs.pods import visit


async def bill(account: MarketAccount, name: str, shape: Shape | None, journal: Journal) -> None:
    """Ask for the usage leaves, prove them, price them, and look at what was claimed.

    With the pod's *shape* (from its manifest), usage beyond it is a problem too.
    """
    async with visit(account, name, journal, ended=True) as visited:
        place = visited.place
        events = await events_of(account, place)
        body = UsageBody(since=events.opened_at or 0)
        report = await visited.session.ask("usage", place.ref, body, next_generation(), UsageReport)
    file = account.market.file
    billed = Account(file.chain_id, file.payments, place.ref.owner, place.ref.channel, place.terms)
    made = make_bill(billed, report, events.opened_at, shape)
    claimed = claimed_of(events, place)
    mined = {line.root: await _submission(account, place.ref.owner, line) for line in made.lines}
    made = with_transactions(made, mined)
    problems = [*made.problems, *compare_with_chain(made, claimed)]
    journal.result |= _facts(account, made, claimed) | {"problems": problems}


async def events_of(account: MarketAccount, place: PodLocation) -> ChannelEvents:
    """What the chain remembers of the channel; nothing where it does not answer that."""
    try:
        return await account.chain.channel_events(place.ref.owner, place.ref.channel)
    except NetworkFailure:
        return ChannelEvents(opened=None, topped_up=TokenUnits(0), open_tx=None, closed=None)


def claimed_of(events: ChannelEvents, place: PodLocation) -> TokenUnits | None:
    """What left the channel as pay; None where the node does not remember its events."""
    if events.opened is None:
        return None
    paid_in = events.opened + events.topped_up
    if place.channel is not None:
        return TokenUnits(paid_in - place.channel.left)
    return None if events.closed is None else TokenUnits(paid_in - events.closed.refund)


async def _submission(account: MarketAccount, owner: Address, line: Line) -> bytes | None:
    """The transaction that submitted a line's batch, as the chain tells, not the provider."""
    try:
        return await account.chain.submissions(owner, line.root)
    except NetworkFailure:
        return None


def _facts(account: MarketAccount, made: Bill, claimed: TokenUnits | None) -> dict[str, object]:
    token = account.token
    return {
        "token": token.symbol,
        "lines": [_line_facts(token, line) for line in made.lines],
        "total": token.number(made.total),
        "total_units": str(made.total),
        "open_usage": _usage_facts(made.open_usage),
        "open": token.number(made.open_amount),
        "open_units": str(made.open_amount),
        "claimed": None if claimed is None else token.number(claimed),
        "claimed_units": None if claimed is None else str(claimed),
    }


def _line_facts(token: Token, line: Line) -> dict[str, object]:
    return {
        "from": line.from_,
        "up_to": line.up_to,
        **_usage_facts(line.usage),
        "amount": token.number(line.amount),
        "amount_units": str(line.amount),
        "cut": line.cut,
        "root": line.root.hex(),
        "tx": None if line.transaction is None else "0x" + line.transaction.hex(),
    }


def _usage_facts(usage: Usage) -> dict[str, object]:
    return asdict(usage)

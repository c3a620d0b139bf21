# SPDX-License-Identifier: Apache-2.0
"""`bill`: what a pod cost, computed here from signed usage and the terms, and compared with the chain."""

from dataclasses import replace
from typing import TYPE_CHECKING

from trustedpods.contracts.records import ChannelEvents
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.usage import UsageBody, UsageLeaf, UsageReport
from trustedpods.protocol.units import TokenUnits, UnixSeconds
from trustedpods.publisher.core.bill import (
    Account,
    Line,
    compare_with_chain,
    make_bill,
    with_transactions,
)
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, next_generation
from trustedpods.publisher.results.pods import BillResult, VisitProgress
from trustedpods.publisher.verbs.pods import visit
from trustedpods.publisher.visits.visit import Visit

if TYPE_CHECKING:
    from trustedpods.publisher.core.cost import Shape

MAX_PAGES = 64
"""Pages of leaves that are read: far more than a pod's life has, and an end to a provider's jokes."""


async def bill(
    account: MarketAccount, name: str, shape: "Shape | None", progress: VisitProgress, journal: Journal
) -> BillResult:
    """Ask for the usage leaves, prove them, price them, and look at what was claimed.

    With the pod's *shape* (from its manifest), usage beyond it is a problem too.
    """
    async with visit(account, name, progress, journal, ended=True) as visited:
        found = await bill_of(visited, shape, progress)
    owner = visited.location.ref.owner
    mined = {line.root: await _submission(account, owner, line) for line in found.bill.lines}
    return replace(found, bill=with_transactions(found.bill, mined))


async def bill_of(visited: Visit, shape: "Shape | None", progress: VisitProgress) -> BillResult:
    """The same in a visit that goes on, without the transactions of its lines."""
    location, file = visited.location, visited.account.market.file
    events = await events_of(visited.account, location)
    report = await report_of(visited.session, location, events.opened_at or UnixSeconds(0))
    billed = Account(file.chain_id, file.payments, location.ref.owner, location.ref.channel, location.terms)
    made, claimed = make_bill(billed, report, events.opened_at, shape), claimed_of(events, location)
    return BillResult(progress.visited(), made, claimed, (*made.problems, *compare_with_chain(made, claimed)))


async def report_of(session: Session, location: PodLocation, since: UnixSeconds) -> UsageReport:
    """All leaves after *since*, page by page."""
    leaves: list[UsageLeaf] = []
    for _ in range(MAX_PAGES):
        body = UsageBody(since=leaves[-1].up_to if leaves else since)
        page = await session.ask("usage", location.ref, body, next_generation(), UsageReport)
        fresh = [leaf for leaf in page.leaves if leaf.up_to > body.since]
        if not fresh:
            break
        leaves += fresh
    return UsageReport.model_construct(leaves=leaves, open_usage=page.open_usage)


async def events_of(account: MarketAccount, location: PodLocation) -> ChannelEvents:
    """What the chain remembers of the channel; nothing where it does not answer that."""
    try:
        return await account.chain.channel_events(location.ref.owner, location.ref.channel)
    except NetworkFailure:
        return ChannelEvents(opened=None, topped_up=TokenUnits(0), open_tx=None, closed=None)


def claimed_of(events: ChannelEvents, location: PodLocation) -> TokenUnits | None:
    """What left the channel as pay; None where the node does not remember its events."""
    if events.opened is None:
        return None
    paid_in = events.opened + events.topped_up
    if location.channel is not None:
        return TokenUnits(paid_in - location.channel.left)
    return None if events.closed is None else TokenUnits(paid_in - events.closed.refund)


async def _submission(account: MarketAccount, owner: Address, line: Line) -> bytes | None:
    """The transaction that submitted a line's batch, as the chain tells, not the provider."""
    try:
        return await account.chain.submissions(owner, line.root)
    except NetworkFailure:
        return None

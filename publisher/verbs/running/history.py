# SPDX-License-Identifier: Apache-2.0
"""`events` and `usage`: what happened to a pod, and what it used, out of what other verbs are told too."""

from trustedpods.publisher.core.bill import by_day, month_of
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.pods import EventsResult, UsageResult, VisitProgress
from trustedpods.publisher.verbs.bill import bill
from trustedpods.publisher.verbs.pods import status


async def events(
    account: MarketAccount, name: str, progress: VisitProgress, journal: Journal
) -> EventsResult:
    """The pod's history; raises as `status`."""
    found = await status(account, name, progress, journal)
    return EventsResult(found.pod, found.events)


async def usage(account: MarketAccount, name: str, progress: VisitProgress, journal: Journal) -> UsageResult:
    """What the pod used, by day, proved and priced as for its bill; raises as `bill`."""
    made = await bill(account, name, None, progress, journal)
    return UsageResult(
        pod=made.pod,
        days=by_day(made.bill),
        total=made.bill.total,
        open_amount=made.bill.open_amount,
        month=month_of(made.bill),
        problems=made.problems,
    )

# SPDX-License-Identifier: Apache-2.0
"""`history`: who ran which command on a network, when, and what came of it."""

from trustedpods.publisher.core.networks.history import as_script
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.networks import HistoryResult
from trustedpods.publisher.verbs.networks.documents.changing import read_view
from trustedpods.publisher.verbs.networks.places import NetworkPlace


async def history(account: MarketAccount, place: NetworkPlace, journal: Journal) -> HistoryResult:
    """The commands that the network's document knows, oldest first. No lease is needed.

    Raises what a cluster failed with, CopiesDiffer, and Refused for one who is no member.
    """
    network, view = await read_view(account, place, journal)
    records = tuple(record for chunk in view.content.history for record in chunk)
    return HistoryResult(network, records, view.content.dropped, tuple(as_script(view.content)))

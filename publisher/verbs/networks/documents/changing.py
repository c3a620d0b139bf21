# SPDX-License-Identifier: Apache-2.0
"""A network's document, read without a lease or changed under all of them."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from trustedpods.protocol.networks.documents import Document
from trustedpods.protocol.networks.history import SecretText, arguments
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.clusters import NetworkClusters
from trustedpods.publisher.networks.recording import RecordedChange, recorded
from trustedpods.publisher.networks.states import MemberView
from trustedpods.publisher.results.networks import NetworkId
from trustedpods.publisher.verbs.networks.opening import check_all_named, counting, opened_whole
from trustedpods.publisher.verbs.networks.places import NetworkPlace, opened


def name_of(network: NetworkId) -> NetworkName:
    """The network as its document has it."""
    return NetworkName(network.founder, network.name)


def opened_view(account: MarketAccount, network: NetworkId, document: Document) -> MemberView:
    """What *document* says. Refused (rule `no-network`) where there is none."""
    return counting(account, name_of(network), document)


async def read_view(
    account: MarketAccount, place: NetworkPlace, journal: Journal
) -> tuple[NetworkId, MemberView]:
    """The state that counts now, read without a lease."""
    async with opened(account, place, journal) as (network, clusters):
        document = await clusters.read()
    return network, opened_view(account, network, document)


@asynccontextmanager
async def changing(
    account: MarketAccount,
    place: NetworkPlace,
    verb: str,
    given: Sequence[tuple[str, str | SecretText]],
    wait_s: float,
    journal: Journal,
    *,
    lost: Collection[str] = (),
    founding: bool = False,
) -> AsyncIterator[tuple[NetworkId, RecordedChange]]:
    """The network under all leases; what the block writes stands in the history as *verb* with *given*.

    Raises as `opened_whole`, with *lost* and *founding*, before any lease is taken; then as `holding.held`,
    and Refused (rule `clusters`) where the network's clusters changed meanwhile. Others are waited for
    *wait_s* seconds.
    """
    network = NetworkId(place.founder or account.publisher.address, place.name)
    name = name_of(network)
    whole = opened_whole(account, name, place.clusters, journal, lost=lost, founding=founding)
    async with whole as clusters:
        told = arguments([("network", str(name)), *given, *clusters_told(place.clusters, clusters)])
        async with (
            clusters.locked(f"{verb} {network.name}", wait_s) as held,
            recorded(held, account.publisher, name, verb, told) as change,
        ):
            if change.state is not None:
                check_all_named(change.state, clusters.doors, lost)
            yield network, change


def clusters_told(named: Mapping[str, Choice], clusters: NetworkClusters) -> list[tuple[str, str]]:
    """Of those that were *named* the network's, as history has them: a context may have others."""
    return [("--cluster", f"{one}={choice}") for one, choice in named.items() if one in clusters.doors]

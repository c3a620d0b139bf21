# SPDX-License-Identifier: Apache-2.0
"""Which network is meant, and which provider each of its clusters is."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.errors import BadInput, NoContext, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address, parse_address
from trustedpods.protocol.networks.documents import Copy
from trustedpods.protocol.networks.leases import LeaseStatus
from trustedpods.protocol.networks.members import check_network_name
from trustedpods.publisher.core.select import Choice, parse_choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.clusters import NetworkClusters, open_clusters
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.networks import NetworkId

T = TypeVar("T", Copy, LeaseStatus)

MAX_CLUSTERS = 16
"""Clusters of one network: a command asks all of them side by side."""


@dataclass(frozen=True, slots=True)
class NetworkPlace:
    """A network as a command line names it: NAME or FOUNDER/NAME, and a provider for each cluster."""

    founder: Address | None
    name: str
    clusters: Mapping[str, Choice]


def parse_place(network: str, clusters: Sequence[str]) -> NetworkPlace:
    """*network* is NAME (one's own) or FOUNDER/NAME, each cluster NAME=OWNER[/N].

    Raises BadInput, and NoContext where no cluster is named.
    """
    founder, separator, name = network.rpartition("/")
    found: dict[str, Choice] = {}
    for text in clusters:
        cluster, equals, provider = text.partition("=")
        if not equals or cluster in found:
            raise BadInput(
                f"not a cluster, or named twice: {text!r}",
                where="--cluster",
                hint="write NAME=OWNER or NAME=OWNER/N, each name once",
            )
        found[check_network_name(cluster)] = parse_choice(provider)
    if not found:
        raise NoContext(
            f"no cluster of network {name} is named",
            hint="give --cluster NAME=OWNER/N for each; `trustedpods provider list` prints providers",
        )
    if len(found) > MAX_CLUSTERS:
        raise BadInput(f"{len(found)} clusters; at most {MAX_CLUSTERS}", where="--cluster")
    return NetworkPlace(parse_address(founder) if separator else None, check_network_name(name), found)


@asynccontextmanager
async def opened(
    account: MarketAccount, place: NetworkPlace, journal: Journal
) -> AsyncIterator[tuple[NetworkId, NetworkClusters]]:
    """The network that is meant, one's own where no founder is named, and its clusters.

    Refused (rule `unknown-provider`) where the registry has no row, or two, for one of them.
    """
    network = NetworkId(place.founder or account.publisher.address, place.name)
    rows = await rows_of(account, place)
    async with open_clusters(account, network.founder, network.name, rows, journal.show.line) as clusters:
        yield network, clusters


def reported(place: NetworkPlace, found: Mapping[str, T | TrustedPodsError]) -> dict[str, T | ErrorReport]:
    """What each cluster said, in the order of the command line: one that cannot say stops nothing.

    Raises what a cluster failed with where none of them answers.
    """
    failures = [one for one in found.values() if isinstance(one, TrustedPodsError)]
    if len(failures) == len(found):
        raise failures[0]
    told: dict[str, T | ErrorReport] = {}
    for name in place.clusters:
        one = found[name]
        told[name] = ErrorReport.of(one) if isinstance(one, TrustedPodsError) else one
    return told


async def rows_of(account: MarketAccount, place: NetworkPlace) -> dict[str, RegistryRow]:
    """The registry's row of each cluster. Refused (rule `unknown-provider`) where there is none, or two."""
    rows = await account.market.rows()
    found: dict[str, RegistryRow] = {}
    for cluster, choice in place.clusters.items():
        matching = [row for row in rows if choice.matches(row)]
        if len(matching) != 1:
            raise Refused(
                f"{len(matching)} providers in the registry are {choice}",
                where=f"cluster {cluster}",
                rule="unknown-provider",
                hint="`trustedpods provider list` prints them as OWNER/N",
            )
        found[cluster] = matching[0]
    if len({(row.owner, row.daemon) for row in found.values()}) < len(found):
        raise BadInput("two clusters are the same provider", where="--cluster")
    return found

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
from trustedpods.protocol.networks.members import NetworkName, check_network_name
from trustedpods.publisher.core.networks.mapping import ReachedChoice, parse_clusters
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount, OpenMarket
from trustedpods.publisher.networks.clusters import NetworkClusters, open_clusters
from trustedpods.publisher.networks.connections import ClusterDaemon
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.networks import NetworkId

T = TypeVar("T", Copy, LeaseStatus, tuple[NetworkId, ...])


@dataclass(frozen=True, slots=True)
class NetworkPlace:
    """A network as a command line names it: NAME or FOUNDER/NAME, and a provider for each cluster."""

    founder: Address | None
    name: str
    clusters: Mapping[str, Choice]


def parse_place(network: str, clusters: Sequence[str], *, of_context: bool = False) -> NetworkPlace:
    """*network* is NAME (one's own) or FOUNDER/NAME, each cluster as `parse_cluster` reads it.

    There may be more of them than a network has where they are *of_context*. Raises BadInput, and NoContext
    where no cluster is named.
    """
    founder, separator, name = network.rpartition("/")
    found = parse_clusters(clusters, of_context=of_context)
    if not found:
        raise NoContext(
            f"no cluster of network {name} is named",
            hint="give --cluster NAME=OWNER/N for each, or keep it: `trustedpods context map NAME=OWNER/N`; "
            "`trustedpods provider list` prints providers",
        )
    return NetworkPlace(parse_address(founder) if separator else None, check_network_name(name), found)


def parse_network(text: str, who: Address) -> NetworkName:
    """The network that *text* names: NAME of *who*'s own, or FOUNDER/NAME. Raises BadInput."""
    founder, separator, name = text.rpartition("/")
    return NetworkName(parse_address(founder) if separator else who, check_network_name(name))


@asynccontextmanager
async def opened(
    account: MarketAccount, place: NetworkPlace, journal: Journal
) -> AsyncIterator[tuple[NetworkId, NetworkClusters]]:
    """The network that is meant, one's own where no founder is named, and its clusters.

    Refused (rule `unknown-provider`) where the registry has no row, or two, for one of them.
    """
    network = NetworkId(place.founder or account.publisher.address, place.name)
    daemons = await daemons_of(account, place)
    async with open_clusters(account, network.founder, network.name, daemons, journal.show.line) as clusters:
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


async def candidates(market: OpenMarket) -> list[str]:
    """The market's providers as a cluster can be mapped to them: OWNER/N, and the region that they claim."""
    rows = sorted(await market.rows(), key=lambda row: (row.owner, row.daemon))
    return [f"{row.owner}/{row.daemon} {row.region}".rstrip() for row in rows]


async def daemons_of(account: MarketAccount, place: NetworkPlace) -> dict[str, ClusterDaemon]:
    """The daemon of each cluster. Refused (rule `unknown-provider`) where the registry has none, or two.

    One whose peer id is named needs no row.
    """
    rows = await account.market.rows()
    found = {
        cluster: _daemon(cluster, choice, [row for row in rows if choice.matches(row)])
        for cluster, choice in place.clusters.items()
    }
    if len({(one.owner, one.daemon) for one in found.values()}) < len(found):
        raise BadInput("two clusters are the same provider", where="--cluster")
    return found


def _daemon(cluster: str, choice: Choice, rows: list[RegistryRow]) -> ClusterDaemon:
    reached = choice if isinstance(choice, ReachedChoice) else None
    context = None if reached is None else reached.kube_context
    if reached is not None and reached.pinned:
        assert reached.daemon is not None
        return ClusterDaemon(reached.owner, reached.daemon, reached.address, kube_context=context)
    if len(rows) != 1:
        raise Refused(
            f"{len(rows)} providers in the registry are {choice}",
            where=f"cluster {cluster}",
            rule="unknown-provider",
            hint="`trustedpods provider list` prints them as OWNER/N; one without a market is named with its "
            f"way: --cluster {cluster}=OWNER/N@MULTIADDR",
        )
    (row,) = rows
    return ClusterDaemon(row.owner, row.daemon, row.endpoint, row, context)

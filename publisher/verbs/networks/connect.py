# SPDX-License-Identifier: Apache-2.0
"""`network connect`: the first document of a network in all of its clusters; and `network card`."""

from collections.abc import Mapping

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.content import NetworkCluster
from trustedpods.protocol.networks.documents import Document
from trustedpods.protocol.networks.history import arguments
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.networks.history import DONE
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.connections import ClusterDaemon
from trustedpods.publisher.networks.recording import recorded
from trustedpods.publisher.networks.states import MemberView, first_content, own_card, read_state
from trustedpods.publisher.results.networks import CardResult, ConnectResult, NetworkId
from trustedpods.publisher.verbs.networks.documents.changing import clusters_told
from trustedpods.publisher.verbs.networks.files import card_text
from trustedpods.publisher.verbs.networks.opening import choices_of, newest_first
from trustedpods.publisher.verbs.networks.places import NetworkPlace, daemons_of, opened


async def connect(
    account: MarketAccount, place: NetworkPlace, wait_s: float, journal: Journal
) -> ConnectResult:
    """Begin the network at the clusters of *place*, or see that it is there, in the same ones.

    Only its founder begins it, who is its owner; every member may look. Raises Refused (rule `clusters`)
    where the network has others, Locked, CopiesDiffer, NetworkFailure.
    """
    daemons = await daemons_of(account, place)
    clusters = [cluster_of(name, one) for name, one in daemons.items()]
    chosen = {
        name: place.clusters[name] if one.row is None else Choice(one.owner, one.daemon)
        for name, one in daemons.items()
    }
    async with opened(account, place, journal) as (network, doors):
        name, who = NetworkName(network.founder, network.name), account.publisher
        document = await doors.read()
        if document.generation > 0:
            return _result(account, network, document, clusters, begun=False)
        for one in newest_first((await doors.all_copies()).values())[:1]:
            _check_same(read_state(who, name, one), clusters)  # leases bring it to its end, on these alone
        async with doors.locked(f"network connect {place.name}", wait_s) as held:
            if held.document.generation > 0:
                return _result(account, network, held.document, clusters, begun=False)
            said = arguments([("network", str(name)), *clusters_told(chosen, doors)])
            async with recorded(held, who, name, "network connect", said) as change:
                written = await change.write(first_content(who, name, clusters), result=DONE)
            return _result(account, network, written.document, clusters, begun=True)


def card(account: MarketAccount) -> CardResult:
    """The asker's card: with it an owner lets him in. It comes from the key alone, and is no secret."""
    return CardResult(account.publisher.address, card_text(own_card(account.publisher)))


def cluster_of(name: str, daemon: ClusterDaemon) -> NetworkCluster:
    """The cluster *name* as a document has it."""
    return NetworkCluster(name=name, owner=address_bytes(daemon.owner), daemon=daemon.daemon)


def _result(
    account: MarketAccount,
    network: NetworkId,
    document: Document,
    wanted: list[NetworkCluster],
    *,
    begun: bool,
) -> ConnectResult:
    view = read_state(account.publisher, NetworkName(network.founder, network.name), document)
    _check_same(view, wanted)
    return ConnectResult(
        network,
        {name: str(one) for name, one in choices_of(view.content).items()},
        begun,
        document.generation,
    )


def _check_same(view: MemberView, wanted: list[NetworkCluster]) -> None:
    there = _texts({one.name: one for one in view.content.clusters})
    named = _texts({one.name: one for one in wanted})
    if there != named:
        raise Refused(
            f"network {view.network.name} has the clusters {_told(there)}, not {_told(named)}",
            rule="clusters",
            hint="clusters are named when a network begins",
        )


def _texts(clusters: Mapping[str, NetworkCluster]) -> dict[str, str]:
    return {name: f"0x{one.owner.hex()}/{one.daemon}" for name, one in sorted(clusters.items())}


def _told(clusters: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={where}" for name, where in clusters.items())

# SPDX-License-Identifier: Apache-2.0
"""`network status`: every node as the document has it, beside what its provider says; and `network list`."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import trio

from trustedpods.protocol.errors import NoContext, TrustedPodsError
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.net import open_host
from trustedpods.protocol.networks.content import Component
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.connections import kept_at
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.networks import (
    KeptNetworksResult,
    NetworkId,
    NetworkStatusResult,
    NodeStatus,
)
from trustedpods.publisher.results.pods import StatusResult, VisitProgress
from trustedpods.publisher.verbs import pods
from trustedpods.publisher.verbs.networks.opening import choices_of, counting, opened_whole
from trustedpods.publisher.verbs.networks.owners.statuses import owner_status
from trustedpods.publisher.verbs.networks.places import NetworkPlace, daemons_of, reported

AskPod = Callable[[str], Awaitable[StatusResult]]
"""Tells the status of the pod of a name; raises TrustedPodsError where nobody can say."""

QUESTIONS = 8
"""Nodes asked about at once: each is a dial and an attestation."""


async def kept(account: MarketAccount, known: Mapping[str, Choice]) -> KeptNetworksResult:
    """The networks that each of the clusters *known* keeps: that they exist everybody may learn.

    A cluster that cannot say is a line of the result; what it failed with is raised where none can. Raises
    NoContext without a cluster, else as `places.daemons_of`.
    """
    if not known:
        raise NoContext("no cluster is named", hint="give --cluster NAME=OWNER/N, or `context map` it")
    place = NetworkPlace(None, "", known)
    daemons = await daemons_of(account, place)
    found: dict[str, tuple[NetworkId, ...] | TrustedPodsError] = {}

    async def ask(cluster: str) -> None:
        try:
            names = await kept_at(account, host, daemons[cluster])
            found[cluster] = tuple(NetworkId(address_from_bytes(one.founder), one.name) for one in names)
        except TrustedPodsError as error:
            found[cluster] = error

    async with open_host(None, []) as host, open_nursery() as nursery:
        for cluster in daemons:
            nursery.start_soon(ask, cluster)
    return KeptNetworksResult(reported(place, found))


def asking(account: MarketAccount, journal: Journal) -> AskPod:
    """Asks the provider of a pod for its status."""

    async def ask(pod: str) -> StatusResult:
        return await pods.status(account, pod, VisitProgress(), journal)

    return ask


async def live_nodes(
    account: MarketAccount, network: NetworkName, components: Sequence[Component], ask: AskPod
) -> dict[str, StatusResult | ErrorReport]:
    """What *ask* says of the pod of each node that the account's key deployed, a few at once."""
    live: dict[str, StatusResult | ErrorReport] = {}
    limit = trio.CapacityLimiter(QUESTIONS)

    async def look(component: Component) -> None:
        async with limit:
            try:
                live[component.name] = await ask(pod_name(network, component.name))
            except TrustedPodsError as error:
                live[component.name] = ErrorReport.of(error)

    async with open_nursery() as nursery:
        for component in components:
            if address_from_bytes(component.publisher) == account.publisher.address:
                nursery.start_soon(look, component)
    return live


async def status(
    account: MarketAccount, network: NetworkName, known: Mapping[str, Choice], journal: Journal
) -> NetworkStatusResult:
    """All nodes; one whose provider cannot say is a line of the result. No lease is needed.

    Raises Refused (rules `member`, `no-network`, `clusters`), CopiesDiffer, NetworkFailure.
    """
    async with opened_whole(account, network, known, journal) as clusters:
        view = counting(account, network, await clusters.read())
    live = await live_nodes(account, network, view.content.components, asking(account, journal))
    urls = {entry.component: entry.url for entry in reversed(view.content.addresses)}
    return NetworkStatusResult(
        network=NetworkId(network.founder, network.name),
        generation=view.document.generation,
        clusters={name: str(choice) for name, choice in choices_of(view.content).items()},
        members={who: member.role.value for who, member in view.roster.members.items()},
        nodes={
            one.name: NodeStatus(
                cluster=one.cluster,
                phase=one.phase,
                publisher=address_from_bytes(one.publisher),
                pod=pod_name(network, one.name),
                url=urls.get(one.name),
                live=live.get(one.name),
            )
            for one in view.content.components
        },
        links={link.alias: owner_status(link, int(time.time())) for link in view.content.links},
    )

# SPDX-License-Identifier: Apache-2.0
"""The nodes of a network, and one question to the pods of all that are one's own."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import trio

from trustedpods.protocol.errors import BadInput, TrustedPodsError
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.networks.plan import pod_name
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.states import MemberView
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.networks import NetworkEndpointsResult, NetworkId, NodeEndpoint
from trustedpods.publisher.verbs.networks.opening import counting, opened_whole
from trustedpods.publisher.verbs.networks.status import QUESTIONS

T = TypeVar("T")


async def view_of(
    account: MarketAccount, network: NetworkName, known: Mapping[str, Choice], journal: Journal
) -> MemberView:
    """The network as it stands now.

    Raises Refused (rules `member`, `no-network`), CopiesDiffer, NetworkFailure.
    """
    async with opened_whole(account, network, known, journal) as clusters:
        return counting(account, network, await clusters.read())


def own_pods(account: MarketAccount, view: MemberView, wanted: Sequence[str] = ()) -> dict[str, str]:
    """The pods of the asker's own nodes, by node; of those that are *wanted*, where any are.

    BadInput for a wanted one that the network does not have, or that is another member's.
    """
    there = {one.name: address_from_bytes(one.publisher) for one in view.content.components}
    own = {name for name, publisher in there.items() if publisher == account.publisher.address}
    for name in wanted:
        if name not in own:
            whose = f"is {there[name]}'s, who alone commands its pod" if name in there else "is not there"
            raise BadInput(f"node {name!r} {whose}", hint=f"your nodes: {', '.join(sorted(own)) or 'none'}")
    return {name: pod_name(view.network, name) for name in there if name in (set(wanted) or own)}


async def of_each(pods: Mapping[str, str], ask: Callable[[str], Awaitable[T]]) -> dict[str, T | ErrorReport]:
    """What *ask* says of each pod, by node; one that cannot say stops nothing."""
    found: dict[str, T | ErrorReport] = {}
    limit = trio.CapacityLimiter(QUESTIONS)

    async def one(node: str, pod: str) -> None:
        async with limit:
            try:
                found[node] = await ask(pod)
            except TrustedPodsError as error:
                found[node] = ErrorReport.of(error)

    async with open_nursery() as nursery:
        for node, pod in pods.items():
            nursery.start_soon(one, node, pod)
    return {node: found[node] for node in pods}


async def endpoints(
    account: MarketAccount, network: NetworkName, known: Mapping[str, Choice], journal: Journal
) -> NetworkEndpointsResult:
    """Where every node is reached, also another member's, as the network's document has it."""
    view = await view_of(account, network, known, journal)
    clusters = {one.name: one.cluster for one in view.content.components}
    return NetworkEndpointsResult(
        NetworkId(network.founder, network.name),
        view.document.generation,
        tuple(
            NodeEndpoint(one.component, clusters[one.component], one.service, one.port, one.url, one.identity)
            for one in view.content.addresses
        ),
    )

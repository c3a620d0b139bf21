# SPDX-License-Identifier: Apache-2.0
"""`network delete`: first the nodes, one after another, then the documents in all clusters."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.documents import Copy
from trustedpods.protocol.networks.history import arguments
from trustedpods.protocol.networks.members import NetworkName, Role
from trustedpods.publisher.core.networks.plan import plan_of
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.clusters import NetworkClusters
from trustedpods.publisher.networks.recording import recorded
from trustedpods.publisher.results.networks import NetworkDeleteResult, NetworkId
from trustedpods.publisher.verbs.deploy import DeployOptions
from trustedpods.publisher.verbs.networks.applying import Applying, NodePods, view_of
from trustedpods.publisher.verbs.networks.documents.changing import clusters_told
from trustedpods.publisher.verbs.networks.nodes import MarketPods
from trustedpods.publisher.verbs.networks.opening import NO_NETWORK, opened_whole


async def delete(
    account: MarketAccount,
    network: NetworkName,
    known: Mapping[str, Choice],
    wait_s: float,
    journal: Journal,
    pods: Callable[[MarketAccount], NodePods] | None = None,
    *,
    purge: bool = False,
) -> NetworkDeleteResult:
    """Remove every node, then let no cluster keep anything of the network. Only an owner may.

    Raises Refused (rule `role`; rule `publisher` where a node is another member's: he removes it first by an
    apply; rule `not-agreed` for one whose volumes would be kept, unless they *purge* too; rule `schema`),
    Locked, and what the delete of a node raises. Killed anywhere, it is repeated, by any owner; where
    nothing is left, that is what it says.
    """
    named = NetworkId(network.founder, network.name)
    async with AsyncExitStack() as stack:
        try:
            whole = await stack.enter_async_context(opened_whole(account, network, known, journal))
        except Refused as error:
            if error.rule != NO_NETWORK:
                raise
            return NetworkDeleteResult(named, (), tuple(sorted(known)), found=False)
        clusters = await _left(whole, network)
        if not clusters.doors:
            return NetworkDeleteResult(named, (), tuple(sorted(whole.doors)), found=False)
        lock = clusters.locked(f"network delete {network.name}", wait_s, removing=True)
        held = await stack.enter_async_context(lock)
        removed: list[str] = []
        if held.document.generation > 0:
            given = [("network", str(network)), *([("--purge", "")] if purge else [])]
            said = arguments([*given, *clusters_told(known, whole)])
            async with recorded(held, account.publisher, network, "network delete", said) as change:
                who = account.publisher.address
                view = view_of(change)
                if view.roster.role(who) is not Role.OWNER:
                    raise Refused(f"{who} is no owner of {network}: only owners delete it", rule="role")
                view.read.writable()
                plan = plan_of(view.content, view.roster, (), None, who)
                market = MarketPods(account, network, {}, DeployOptions(), journal, purge)
                applying = Applying(who, change, pods(account) if pods else market, journal)
                await applying.nodes(plan.nodes, ())
                removed = [step.node for step in plan.nodes]
        await held.remove()
        return NetworkDeleteResult(named, tuple(removed), tuple(sorted(whole.doors)))


async def _left(clusters: NetworkClusters, network: NetworkName) -> NetworkClusters:
    """The clusters whose leases a removal takes: for an owner who is not the founder those it did not reach.

    A cluster that keeps no document knows no team, so it lets nobody but the founder have a lease.
    """
    if clusters.who == network.founder:
        return clusters
    copies = await clusters.copies()
    left = {name: door for name, door in clusters.doors.items() if copies[name] != Copy()}
    return replace(clusters, doors=left)

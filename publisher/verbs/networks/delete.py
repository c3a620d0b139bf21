# SPDX-License-Identifier: Apache-2.0
"""`network delete`: first the nodes, one after another, then the documents in all clusters."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.history import arguments
from trustedpods.protocol.networks.members import NetworkName, Role
from trustedpods.publisher.core.networks.plan import plan_of
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.recording import recorded
from trustedpods.publisher.results.networks import NetworkDeleteResult, NetworkId
from trustedpods.publisher.verbs.deploy import DeployOptions
from trustedpods.publisher.verbs.networks.applying import Applying, NodePods, view_of
from trustedpods.publisher.verbs.networks.nodes import MarketPods
from trustedpods.publisher.verbs.networks.opening import opened_whole


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
    Locked, and what the delete of a node raises. Killed anywhere, it is repeated.
    """
    async with AsyncExitStack() as stack:
        clusters = await stack.enter_async_context(opened_whole(account, network, known, journal))
        lock = clusters.locked(f"network delete {network.name}", wait_s, removing=True)
        held = await stack.enter_async_context(lock)
        removed: list[str] = []
        if held.document.generation > 0:
            said = arguments([("network", str(network)), *([("--purge", "")] if purge else [])])
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
        return NetworkDeleteResult(NetworkId(network.founder, network.name), tuple(removed))

# SPDX-License-Identifier: Apache-2.0
"""`network fund`: one amount for all nodes, each of which has a payment channel of its own."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.money import Funding
from trustedpods.publisher.core.networks.planning.shares import shares
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.locations import find_pod
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.money import FundProgress, FundResult
from trustedpods.publisher.results.networks import NetworkFundResult, NetworkId
from trustedpods.publisher.verbs.money import fund as fund_pod
from trustedpods.publisher.verbs.networks.whole.nodes import own_pods, view_of


async def fund(
    account: MarketAccount,
    network: NetworkName,
    known: Mapping[str, Choice],
    funding: Funding,
    journal: Journal,
) -> NetworkFundResult:
    """Pay *funding* into the channels of all nodes that are one's own, one transaction each.

    A duration is paid for each as `fund` of a pod does; an amount is split as their caps are. A node whose
    channel cannot be found stops all before anything is paid; a payment that fails later is told, and the
    others are made. The account's payer is asked for nothing.
    """
    account = replace(account, payer=None)
    view = await view_of(account, network, known, journal)
    pods = own_pods(account, view)
    caps: dict[str, int] = {}
    for node, pod in pods.items():
        try:
            caps[node] = (await find_pod(account, pod))[0].live.terms.cap_per_day
        except TrustedPodsError as error:
            error.came_of(f"node {node}")
            raise
    wanted = dict.fromkeys(pods, funding)
    if funding.amount is not None:
        token = account.token
        parts = shares(token.units(funding.amount, "AMOUNT"), caps)
        wanted = {
            node: Funding(amount=Decimal(token.number(part))) for node, part in parts.items() if part > 0
        }
    paid: dict[str, FundResult | ErrorReport] = {}
    for node, part in wanted.items():
        progress = FundProgress()
        try:
            paid[node] = await fund_pod(account, pods[node], part, None, progress, journal)
        except TrustedPodsError as error:
            paid[node] = progress.done or ErrorReport.of(error)
    return NetworkFundResult(NetworkId(network.founder, network.name), account.token, paid)

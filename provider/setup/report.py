# SPDX-License-Identifier: Apache-2.0
"""Lines for people: what was found, what others ask, and what a price would earn. Pure."""

from collections.abc import Iterator

from trustedpods.provider.setup.facts import ClusterFound, MachineFound, MarketFound
from trustedpods.provider.setup.market_prices import Earning, ListedPrices, earnings, tokens_text
from trustedpods.provider.setup.owner.transactions import UnsignedTransaction


def market_lines(market: MarketFound, cluster: ClusterFound) -> Iterator[str]:
    """What comparable providers ask, and what the middle of it would earn here."""
    asked = market.asked
    if asked is None:
        yield "nobody in this market offers the like, so there is no price to follow"
        return
    for name, quarter in (("core-hour", asked.core_hour), ("GiB-hour", asked.gib_hour)):
        low, middle, high = (
            tokens_text(one, market.decimals) for one in (quarter.low, quarter.middle, quarter.high)
        )
        yield f"a {name} costs {low} / {middle} / {high} {market.symbol} (quartiles of {asked.rows})"
    middle_prices = ListedPrices(*(getattr(asked, name).middle for name in ListedPrices.__dataclass_fields__))
    yield f"at the middle: {_earned(earnings(middle_prices, cluster.allocatable), market)}"


def fact_lines(
    cluster: ClusterFound, machine: MachineFound, market: MarketFound, prices: ListedPrices
) -> Iterator[str]:
    """What was found, and what the chosen prices mean."""
    sizes = f"{cluster.allocatable.cpu_milli / 1000:g} cores, {cluster.allocatable.memory_mib} MiB"
    yield f"cluster: {cluster.version} by {cluster.kubeconfig}, nodes: {len(cluster.nodes)}, {sizes}"
    volumes = "none, so pods have no volumes; local-path is one that is soon installed"
    yield f"storage classes: {', '.join(cluster.storage_classes) or volumes}"
    yield f"ingress classes: {', '.join(cluster.ingress_classes) or 'none'}"
    can = "nodes say that they can give" if cluster.user_namespaces else "nodes do not say that they can give"
    yield f"users: {can} pods user ids of their own"
    yield f"TEE: {machine.tee or 'none, so class open: publishers are told that you can read their pods'}"
    yield f"address: {machine.address or 'none'}"
    core, gib = (tokens_text(one, market.decimals) for one in (prices.core_hour, prices.gib_hour))
    yield f"prices: {core} {market.symbol} a core-hour, {gib} a GiB-hour"
    yield f"they would earn {_earned(earnings(prices, cluster.allocatable), market)}"


def _earned(earned: list[Earning], market: MarketFound) -> str:
    parts = [f"{tokens_text(one.month, market.decimals)} at {one.percent} % use" for one in earned]
    return f"{market.symbol} a month: {', '.join(parts)}"


def transaction_lines(one: UnsignedTransaction) -> Iterator[str]:
    """A transaction as a person copies it into a wallet."""
    who = f"from the owner, {one.sender}" if one.sender else "from anybody"
    yield f"to sign: {one.purpose} ({who})"
    yield f"  chain {one.chain_id}, to {one.to}, value {one.value} wei"
    if one.data:
        yield f"  data 0x{one.data.hex()}"
    if one.link:
        yield f"  {one.link}"

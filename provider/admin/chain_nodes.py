# SPDX-License-Identifier: Apache-2.0
"""The doctor's look at the nodes of the chain, each by itself, where there are several."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from trustedpods.contracts.client import Chain
from trustedpods.protocol.errors import NoContext, TrustedPodsError
from trustedpods.provider.admin.reports.health_views import Health, HealthRequest
from trustedpods.provider.admin.socket import ask_daemon
from trustedpods.provider.config import ProviderConfig

FAR_BEHIND = 5
"""Blocks: honest nodes are one or two apart, and seconds go by between two questions."""

_HINT = "mend or replace it in [market]; the others are believed meanwhile"


Look: TypeAlias = Callable[[ProviderConfig], Awaitable[str]]


def several_nodes(config: ProviderConfig) -> tuple[tuple[str, Look], ...]:
    """The doctor's line on them; none where there is one node, which its own line is about."""
    return (("chain nodes", chain_nodes),) if len(config.market.rpcs) > 1 else ()


async def chain_nodes(config: ProviderConfig) -> str:
    """Whether each serves the market, is up to date, and agrees in what the running daemon asks."""
    market, told = config.market, list[str]()
    heights: dict[str, int] = {}
    for url in market.rpcs:
        async with Chain(url, market.market) as chain:
            place = chain.place
            try:
                await chain.check_market()
                heights[place] = (await chain.head()).number
            except TrustedPodsError as error:
                told.append(f"{place}: {error.what}")
    newest = max(heights.values(), default=0)
    told += [
        f"{place} is {newest - height} blocks behind"
        for place, height in heights.items()
        if newest - height > FAR_BEHIND
    ]
    try:
        health = await ask_daemon(config.admin_socket, HealthRequest(), Health)
        told += [f"{one.place} {one.told}" for one in health.chain_nodes if one.state == "differs"]
    except TrustedPodsError:
        pass  # what it thinks of them is told by its own line
    if told:
        raise NoContext("; ".join(told), hint=_HINT)
    return f"{len(market.rpcs)} nodes serve the market"

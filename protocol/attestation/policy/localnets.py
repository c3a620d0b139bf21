# SPDX-License-Identifier: Apache-2.0
"""Localnets that a policy names: whose simulated evidence counts, of which guests."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from trustedpods.protocol.attestation.simulated import SimulatedMarket, market_digest


@dataclass(frozen=True, slots=True)
class NamedLocalnet:
    """A localnet by its `market_digest`. `measurements`: launch digests; None: those of the market's file."""

    digest: str
    measurements: frozenset[bytes] | None = None


def in_market(named: Iterable[NamedLocalnet], market: SimulatedMarket) -> SimulatedMarket | None:
    """*market* with the measurements of all that name it; None where nobody does."""
    digest = market_digest(market.chain_id, market.registry, market.payments)
    found = [one.measurements for one in named if one.digest == digest]
    if not found:
        return None
    listed = (market.measurements if one is None else one for one in found)
    return replace(market, measurements=frozenset().union(*listed))

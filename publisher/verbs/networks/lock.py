# SPDX-License-Identifier: Apache-2.0
"""`lock status` and `lock break`: who holds the leases of a network, and how a person ends one."""

import time

from trustedpods.protocol.errors import BadInput, TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.leases import BreakLease, Released
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.networks import BreakResult, LeasesResult
from trustedpods.publisher.verbs.networks.places import NetworkPlace, opened, reported

MAX_REASON = 512
"""Letters of a reason: a sentence for those whose command was ended."""


async def status(account: MarketAccount, place: NetworkPlace, journal: Journal) -> LeasesResult:
    """Each cluster's lease: a cluster that cannot say is a line of the result and stops nothing.

    Raises what a cluster failed with where none of them answers.
    """
    async with opened(account, place, journal) as (network, clusters):
        leases = await clusters.leases()
    return LeasesResult(network, reported(place, leases))


async def break_lease(
    account: MarketAccount, place: NetworkPlace, reason: str, journal: Journal
) -> BreakResult:
    """End the lease that is held now in each cluster; the reason is kept there, with who gave it.

    Its holder's next write is refused; what it had begun the next command brings to its end. Raises
    BadInput without a reason, and what a cluster failed with: run it again.
    """
    if not reason.strip() or len(reason) > MAX_REASON:
        raise BadInput(f"a reason has 1 to {MAX_REASON} letters", where="--reason")
    broken: dict[str, Address | None] = {}
    async with opened(account, place, journal) as (network, clusters):
        leases = await clusters.leases()
        for name in place.clusters:
            lease = leases[name]
            if isinstance(lease, TrustedPodsError):
                raise lease
            broken[name] = None
            if lease.holder is not None:
                asked = BreakLease(lease.holder, clusters.who, reason, UnixSeconds(int(time.time())))
                if await clusters.doors[name].ask(asked) == Released():
                    broken[name] = lease.holder.who
    return BreakResult(network, reason, broken)

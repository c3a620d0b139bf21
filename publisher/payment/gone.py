# SPDX-License-Identifier: Apache-2.0
"""A pod that is to be ended and surely was already: its channel was opened, and the chain has none now."""

from trustedpods.protocol.errors import Refused
from trustedpods.publisher.market.locations import find_pod
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.payment import refund
from trustedpods.publisher.results.money import GoneResult

UNKNOWN = "unknown-pod"
"""No channel leads to the pod; or a provider whose channel stands knows none, which is another matter."""


async def gone_already(account: MarketAccount, name: str, error: Refused) -> GoneResult:
    """How the pod *name* ended, after *error*, which is raised where that is not sure.

    Both are the chain's word: its event tells that the channel was opened, its state that there is none. A
    node that forgot the event leaves it an error. Raises `NetworkFailure`: what cannot be read is not gone.
    """
    if error.rule != UNKNOWN:
        raise error
    try:
        location, _ = await find_pod(account, name, ended=True)
    except Refused:
        raise error from None
    if location.channel is not None or location.opened is None:
        raise error
    channel = location.pod_channel
    outcome = await refund.how_it_ended(account, location.ref)
    return GoneResult(name, account.publisher.address, account.token, channel, outcome)

# SPDX-License-Identifier: Apache-2.0
"""A pod that was gone before it was to be ended: its channel has ended, or a deposit under notice is left."""

from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused
from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.channels.closing import meant_to_close
from trustedpods.publisher.market.locations import PodLocation, find_pod
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.payment import refund
from trustedpods.publisher.results.money import DepositOutcome, GoneResult
from trustedpods.publisher.state.pod_records import FOLDER, PodRecords

UNLISTED = "no-provider"
"""The registry has no row of the provider any more, so that nobody tells how it is reached."""

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


async def left_already(account: MarketAccount, name: str, error: NetworkFailure | Refused) -> GoneResult:
    """Of the pod *name*, whose provider was not reached (*error*): where its deposit waits for its notice.

    A deploy that went on elsewhere leaves such a channel, and so does `close`. Raises *error* where a channel
    of that name stands without a notice, or with one that was not given from here to end it.
    """
    try:
        location, others = await find_pod(account, name)
    except (NetworkFailure, Refused):
        raise error from None
    if not all(_is_left(one) for one in (location, *others)):
        raise error
    live, channel = location.live, location.pod_channel
    waits = DepositOutcome("unlocking", left=live.left, unlock_at=live.unlock_at)
    return GoneResult(name, account.publisher.address, account.token, channel, waits)


def _is_left(location: PodLocation) -> bool:
    """Whether its channel has notice from here, given to end it; not where nothing is kept of it."""
    try:
        record = PodRecords(state_dir() / FOLDER).load(channel_hex(location.ref.channel))
    except BadInput:
        return False
    if record is None or record.closing is None:
        return False
    return meant_to_close(location.live, UnixSeconds(record.closing))

# SPDX-License-Identifier: Apache-2.0
"""A channel whose notice is over, closed by itself: alone on this machine, and only where it was meant so."""

from dataclasses import dataclass

from trustedpods.contracts.records import Channel
from trustedpods.protocol.errors import Locked, Refused
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.core.channels.closing import NoticeState, closing
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.payment import channel, refund
from trustedpods.publisher.payment.closing import end
from trustedpods.publisher.results.money import DepositOutcome
from trustedpods.publisher.state.pod_records import PodRecord
from trustedpods.publisher.verbs.aftermath import alone
from trustedpods.publisher.visits import records


@dataclass(frozen=True, slots=True)
class NoticeLook:
    """How a pod's notice stands; `meant`: it was given from here to close. `ended`: it is closed now."""

    stands: NoticeState
    meant: bool = False
    ended: DepositOutcome | None = None


async def close_if_over(
    account: MarketAccount, ref: PodRef, record: PodRecord, live: Channel, journal: Journal
) -> NoticeLook:
    """Close the channel of *record*, which is *live*, where its notice is over and was given for that.

    A verb that is at the pod may be about to take the notice back: while it runs, the answer is "wait".
    Raises `NetworkFailure`.
    """
    found = await _look(account, record, live)
    if found.stands != "close":
        return found
    try:
        with alone(account, record.name, "watch", beside=("backup",)):
            return await _close(account, ref, record, journal)
    except Locked:
        return NoticeLook("wait", meant=True)


async def _close(account: MarketAccount, ref: PodRef, record: PodRecord, journal: Journal) -> NoticeLook:
    """Look again, now that nobody else is at it: what was read before may be a deploy old."""
    live = await channel.look(account, ref)
    if live is None:
        return NoticeLook("close", meant=True, ended=await refund.refunded(account, ref, journal))
    found = await _look(account, records.newest(record, journal), live)
    if found.stands != "close":
        return found
    try:
        ended = await end(account, ref, journal) or await refund.refunded(account, ref, journal)
    except Refused as error:
        if error.rule != "Locked":
            raise
        return NoticeLook("none")  # another machine took it back, and the contract did not let us close
    records.pod_records().forget(record.channel)
    return NoticeLook("close", meant=True, ended=ended)


async def _look(account: MarketAccount, record: PodRecord, live: Channel) -> NoticeLook:
    intended = None if record.closing is None else UnixSeconds(record.closing)
    now = (await account.chain.head()).time
    return NoticeLook(closing(live, intended, now), meant=intended is not None)

# SPDX-License-Identifier: Apache-2.0
"""Until the channel of an accepted pod is on chain, deep enough, and pays for it."""

from collections.abc import Awaitable, Callable

import trio

from trustedpods.contracts.records import Channel
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import Refused, most_telling
from trustedpods.provider.billing.channel_watch import departure_of
from trustedpods.provider.core.admission import check_channel
from trustedpods.provider.core.pod import ChannelFact, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.lifecycle.channels.new_blocks import NewBlocks
from trustedpods.provider.pods.progress import ProgressFeeds
from trustedpods.provider.pods.records import Pods

CHANNEL_WITHIN_S = 180
"""How long an accepted pod may stay without a channel."""

LOOK_AGAIN_S = 1.0
"""How long the next block is waited for before the channel is looked for again: some chains make none when
nobody sends anything."""

EARLY_S = 30
"""So long a client's payment takes; behind that a stranger's bundle is looked at less often."""

SELDOM_S = 10.0
"""How often then."""


class ChannelArrival:
    """Waits for channels, each by the task of its pod."""

    def __init__(self, doors: Doors, pods: Pods, progress: ProgressFeeds) -> None:
        self._doors = doors
        self._pods = pods
        self._progress = progress
        self._blocks = NewBlocks(doors.chain.head)

    async def wait(self, record: PodRecord, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Until the channel is there and good; Refused where it is not, or not in time.

        *meanwhile* is done beside it, to its end where the channel comes; it may be left at any point.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(meanwhile)
                await self.accept(record, await self._deep_enough(record))
        except BaseExceptionGroup as group:
            raise most_telling(group) from None

    async def require(self, record: PodRecord) -> None:
        """Room and spool are not kept for long for somebody who does not pay."""
        if record.chain is None and self._doors.now() > record.changed_at + CHANNEL_WITHIN_S:
            channel = await self._doors.chain.channel(self._doors.owner, record.channel)
            if channel is None:
                self._check_patience(record)

    async def _deep_enough(self, record: PodRecord) -> Channel:
        first_seen: int | None = None
        head = await self._doors.chain.head()
        while True:
            channel = await self._doors.chain.channel(self._doors.owner, record.channel)
            if channel is None:
                first_seen = None
                self._check_patience(record)
            else:
                first_seen = head.number if first_seen is None else first_seen
                if head.number >= first_seen + await self._depth(record, channel):
                    return channel
            self._progress.tell(record.channel, "channel", "waiting for the payment channel on chain")
            if channel is None and self._doors.now() >= record.changed_at + EARLY_S:
                await trio.sleep(SELDOM_S)
            head = await self._blocks.after(head, LOOK_AGAIN_S)

    async def _depth(self, record: PodRecord, channel: Channel) -> int:
        """Blocks in which a channel must be seen: none where it is the one that was agreed before."""
        if record.chain is not None and await departure_of(self._doors.store, record, channel) is None:
            return 0
        return self._doors.config.market.finality_blocks

    def _check_patience(self, record: PodRecord) -> None:
        if self._doors.now() > record.changed_at + CHANNEL_WITHIN_S:
            raise Refused(f"no payment channel came within {CHANNEL_WITHIN_S} s", rule="channel-missing")

    async def accept(self, record: PodRecord, channel: Channel) -> None:
        """Keep what the *channel* holds, and its terms; Refused where it does not pay for the pod."""
        now = self._doors.now()
        agreed = None if record.terms is None else Terms.unpack(record.terms)
        check_channel(channel, self._doors.offer, self._doors.meter, record.size, record.scaling, now, agreed)
        await self._pods.change(record.channel, chain=ChannelFact.of(channel), terms=channel.terms.pack())
        self._progress.tell(record.channel, "channel", "its payment channel is there")

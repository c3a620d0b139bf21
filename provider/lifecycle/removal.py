# SPDX-License-Identifier: Apache-2.0
"""The end of a pod: nothing left in facade, cluster and registry, its channel settled and refunded.

Or nothing but volumes that outlive it, which its channel goes on paying for.
"""

from dataclasses import replace

import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.billing.settlement import Settlement
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.progress import ProgressFeeds
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.pods.volumes import PodVolumes
from trustedpods.provider.serving.autoscaler import Autoscaler

POLL_S = 0.3
TELL_EVERY = 20
CHANNEL_MAY_COME_S = 60
"""A refused pod's channel may still be on its way to the chain: it is released when it arrives."""

CHANNEL_LOOK_S = 5.0
"""How often it is looked for: strangers' bundles end here too."""


class PodRemoval:
    """Does the work of the phases `clearing` and `removing`; every part of it may be repeated."""

    def __init__(
        self,
        doors: Doors,
        pods: Pods,
        progress: ProgressFeeds,
        bundles: Bundles,
        autoscaler: Autoscaler,
        meter: Meter,
        settlement: Settlement,
    ) -> None:
        self._doors = doors
        self._pods = pods
        self._progress = progress
        self._bundles = bundles
        self._autoscaler = autoscaler
        self._meter = meter
        self._settlement = settlement
        self._volumes = PodVolumes(doors, bundles)

    async def remove(self, record: PodRecord) -> LifecycleEvent:
        """Take everything away, record every end, then settle and release the channel."""
        if not record.known_to_pay:
            await self._release(record)  # nothing of it was ever outside this process and its books
            self._bundles.forget(record.request)
            return LifecycleEvent.REMOVED
        self._progress.tell(record.channel, "remove", "taking the pod out of the cluster")
        await self._autoscaler.withdraw(record)
        await self._autoscaler.empty(record)
        await self._meter.end_traffic(record.channel)  # books come behind the end of what costs money
        await self._meter.let_go(record)
        for namespace in _namespaces(record):
            await self._doors.cluster.delete_namespace(namespace)
        await self._wait_gone(record)
        self._progress.tell(record.channel, "release", "settling and releasing the channel")
        await self._release(record)
        await self._doors.registry.clear(record.label)
        self._bundles.forget(record.request)
        return LifecycleEvent.REMOVED

    async def clear(self, record: PodRecord) -> LifecycleEvent:
        """Take everything away but the claims that outlive the pod, their namespace and its quota.

        What shields replicas goes only when none is left. Values that were made here stay too: what is in the
        volumes may be locked with them, and nobody else has them.
        """
        self._progress.tell(record.channel, "clear", "taking all but the pod's volumes out of the cluster")
        await self._autoscaler.withdraw(record)
        await self._autoscaler.empty(record)
        if record.other is not None:
            await self._autoscaler.discard(record, record.other)
            record = await self._pods.change(record.channel, other=None)
        await self._meter.end_traffic(record.channel)
        await self._meter.observe()
        while await self._doors.cluster.pods(record.namespace):
            await trio.sleep(POLL_S)
            await self._meter.observe()
        outliving = await self._volumes.left(record)
        size = replace(record.size, volume_mib=sum(outliving.values()))
        record = await self._pods.change(record.channel, outliving=outliving, size=size)
        kept = {("PersistentVolumeClaim", name) for name in record.outliving}
        kept |= {("Secret", name) for name in await self._doors.cluster.made_secrets(record.namespace)}
        if self._bundles.held(record):
            await self._meter.hold_outliving(record)
        else:
            await self._meter.let_go(record)  # what an earlier boot stored is not this one's to bill
        await self._doors.cluster.prune(record.namespace, kept)
        await self._doors.registry.clear(record.label)
        return LifecycleEvent.CLEARED

    async def _wait_gone(self, record: PodRecord) -> None:
        """Until the API server no longer has the namespace; replicas are metered meanwhile."""
        for turn in range(10**9):
            mine = [n for n in await self._doors.cluster.namespaces() if n.name in _namespaces(record)]
            if not mine:
                await self._meter.observe()
                return
            if turn % TELL_EVERY == TELL_EVERY - 1:
                await self._meter.observe()
                self._progress.tell(
                    record.channel, "remove", mine[0].blocked_by or "the namespace is being emptied"
                )
            await trio.sleep(POLL_S)

    async def _release(self, record: PodRecord) -> None:
        """What was used is billed, except of a pod that failed before it ever served."""
        billed = record.served
        if record.chain is None and not await self._channel_comes(record):
            return
        await self._settlement.wait_released(record, billed=billed)

    async def _channel_comes(self, record: PodRecord) -> bool:
        """A channel that was never seen: wait a moment for one that is still being mined."""
        deadline = record.changed_at + CHANNEL_MAY_COME_S
        while self._doors.now() < deadline:
            try:
                channel = await self._doors.chain.channel(self._doors.owner, record.channel)
            except NetworkFailure:
                deadline += 1  # not read is not absent
                channel = None
            if channel is not None:
                return True
            await trio.sleep(CHANNEL_LOOK_S)
        return False


def _namespaces(record: PodRecord) -> list[str]:
    """The pod's own, and that of another version of it."""
    return [name for name in (record.namespace, record.other) if name is not None]

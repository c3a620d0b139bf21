# SPDX-License-Identifier: Apache-2.0
"""What a start, or a look at the chain, shows to be from another time: a reboot, or old books.

After a **reboot** the memory-only keys are others. What the dead boot counted ends where it last
looked, and nothing is counted until a pod's publisher releases it again. After a **take-over** by a daemon
on another machine the keys are others too, and what runs goes on. **Old books** are a store
that somebody restored: the chain has been claimed beyond what they know. What they do not know is
paid for already, so it is never claimed again, and requests from before it are refused. Counters of bytes
went on meanwhile: what they show beyond the books' marks is taken as paid.
"""

import logging
from collections.abc import Collection

from trustedpods.contracts.records import Channel
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import LEAVING, Phase, PodRecord
from trustedpods.provider.core.reconcile import KEY_LOST_REASON, TAKEN_OVER_REASON, books_behind
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import Store, boots, claims, ledger

_log = logging.getLogger(__name__)

GENERATIONS_PER_S = 1000
"""Clients number their requests by milliseconds (docs/protocol.md): so a time is a least generation."""


class Recovery:
    """Sees both, and mends the books. Every part may be repeated."""

    def __init__(self, store: Store, pods: Pods, bundles: Bundles, meter: Meter) -> None:
        self._store = store
        self._meter = meter
        self._bundles = bundles
        self._pods = pods

    async def after_start(self, running: Collection[str] = ()) -> None:
        """Before anything is watched or served: cut off what was counted for bundles that no longer open.

        Not so in the namespaces of *running*: those replicas outlived the daemon before, and are counted on.
        """
        for record in self._pods.standing:
            if self._bundles.held(record) or record.runs_on:
                continue
            if record.phase is Phase.SERVING and record.namespace in running:
                _log.warning("%s: it runs on, and waits for its publisher", record.label)
                await self._pods.step(record.channel, LifecycleEvent.TAKEN_OVER, TAKEN_OVER_REASON)
            else:
                await self._cut_off(record)

    async def _cut_off(self, record: PodRecord) -> None:
        known = await self._store.read(boots.last_counted, record.boot_id)
        claimed = await self._store.read(claims.newest_up_to, record.channel)
        # What ran on was counted by later boots too, until a step ended it: no later than they looked.
        looked = await self._store.read(boots.last_counted_by_any) or UnixSeconds(0)
        at = max(known or UnixSeconds(0), claimed, min(looked, record.changed_at))
        await self._store.write(ledger.cut_off, record.channel, at)
        if record.phase not in (Phase.AWAITING_KEY, Phase.RETAINED, *LEAVING):
            _log.warning("%s: the machine was restarted; it waits for its publisher", record.label)
            await self._pods.step(record.channel, LifecycleEvent.KEY_LOST, KEY_LOST_REASON)

    async def compare(self, record: PodRecord, channel: Channel) -> None:
        """A fresh look at a pod's channel: if the books are behind it, mend them."""
        if record.chain is None or channel.up_to <= record.chain.up_to:
            return
        claimed = await self._store.read(claims.newest_up_to, record.channel)
        if not books_behind(record.chain.up_to, claimed, channel.up_to):
            return
        _log.error(
            "%s: paid up to %d, the books know of %d: were they restored from an older copy?",
            record.label,
            channel.up_to,
            max(claimed, record.chain.up_to),
        )
        await self._meter.forgive_traffic(record, channel.up_to)
        least = channel.up_to * GENERATIONS_PER_S
        await self._pods.change(record.channel, generation=max(record.generation, least))
        await self._pods.note(
            record.channel,
            "books-behind",
            f"the provider's books end before {channel.up_to}, up to which the chain has paid; "
            "nothing before it is claimed again",
        )

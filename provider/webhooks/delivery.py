# SPDX-License-Identifier: Apache-2.0
"""What a publisher must hear although his client does not run: sent to the webhook of his manifest.

The same lines stand in the pod's history, which `status` shows; a webhook that fails loses nothing.
"""

import json
import logging

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import ChannelId, channel_hex
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.webhooks.client import TAG, WebhookDoor

_log = logging.getLogger(__name__)

WARNINGS = frozenset(
    {
        "funds-warning",
        "funds-out",
        "funded",
        "unlock-announced",
        "channel-changed",
        "grace-over",
        "evicted",
        "failed",
        "start-failed",
        "start-recovered",
        "claim-flags",
        "key-lost",
    }
)
"""Events that are sent; the rest is in the history."""

ATTEMPTS_AFTER_S = (0.0, 2.0, 15.0, 60.0)
"""Pauses before each attempt; after the last the warning stays in the history alone."""

MAX_QUEUED = 256
"""Warnings under way of all pods; more are dropped, the oldest keep their turn."""

MAX_AT_ONCE = 8
LEAST_PAUSE_S = 2.0
"""Between two warnings of one pod: nobody makes the provider a source of floods."""

MAX_TEXT = 1000


class Warnings:
    """Sends warnings, in the background and without ever holding anything up."""

    def __init__(self, doors: Doors, pods: Pods, bundles: Bundles) -> None:
        self._doors = doors
        self._pods = pods
        self._bundles = bundles
        self._door = WebhookDoor(allow_private=doors.config.webhooks.allow_private)
        self._last: dict[ChannelId, float] = {}
        self._sender, self._receiver = trio.open_memory_channel[tuple[ChannelId, str, bytes]](MAX_QUEUED)

    def told(self, channel: ChannelId, event: str, text: str) -> None:
        """Something stands in a pod's history now; sends it where that is asked for."""
        if event not in WARNINGS or not self._doors.config.webhooks.enabled:
            return
        url = self._url(channel)
        if url is None:
            return
        try:
            self._sender.send_nowait((channel, url, self._body(channel, event, text)))
        except trio.WouldBlock:
            _log.warning("a warning was not sent: %d are under way", MAX_QUEUED)

    def _url(self, channel: ChannelId) -> str | None:
        record = self._pods.get(channel)
        if record is None or not record.request:
            return None
        try:
            return self._bundles.open(record).manifest.spec.notify.webhook
        except TrustedPodsError:  # another boot holds the bundle's key
            return None

    def _body(self, channel: ChannelId, event: str, text: str) -> bytes:
        """Nothing that the publisher does not know, and nothing of what is in the pod."""
        record = self._pods.get(channel)
        facts = {
            "channel": channel_hex(channel),
            "event": event,
            "text": text[:MAX_TEXT],
            "at": self._doors.now(),
            "phase": None if record is None else str(record.phase),
        }
        return json.dumps(facts).encode()

    async def run(self) -> None:
        """Send for ever."""
        limit = trio.CapacityLimiter(MAX_AT_ONCE)
        async with trio.open_nursery() as nursery:
            async for channel, url, body in self._receiver:
                await limit.acquire_on_behalf_of(body)
                nursery.start_soon(self._deliver, limit, channel, url, body)

    async def _deliver(self, limit: trio.CapacityLimiter, channel: ChannelId, url: str, body: bytes) -> None:
        try:
            now = trio.current_time()
            turn = max(now, self._last.get(channel, -LEAST_PAUSE_S) + LEAST_PAUSE_S)
            self._last[channel] = turn
            await trio.sleep_until(turn)
            await self._attempt(url, body)
        finally:
            limit.release_on_behalf_of(body)

    async def _attempt(self, url: str, body: bytes) -> None:
        signature = self._doors.keys.reply.sign(TAG + body)
        for pause in ATTEMPTS_AFTER_S:
            await trio.sleep(pause)
            try:
                await self._door.send(url, body, signature)
            except Refused as error:
                _log.info("a webhook is not sent to: %s", error)
                return
            except NetworkFailure as error:
                _log.info("a webhook failed: %s", error)
            else:
                return

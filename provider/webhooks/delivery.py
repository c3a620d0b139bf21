# SPDX-License-Identifier: Apache-2.0
"""What a publisher must hear although his client does not run: sent to the webhook of his manifest.

The same lines stand in the pod's history, which `status` shows; a webhook that fails loses nothing.
"""

import json
import logging
from dataclasses import dataclass

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address, ChannelId, channel_hex
from trustedpods.provider.core.pod import PodRecord
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
        "draining",
        "drain-cancelled",
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

MAX_OF_PUBLISHER = 16
"""Of them a publisher's own: one whose URL never answers keeps no other's warnings away."""

MAX_AT_ONCE = 16
MAX_AT_ONCE_OF_PUBLISHER = 2
"""Requests at once; those that wait for their next attempt are none."""

LEAST_PAUSE_S = 2.0
"""Between two warnings of one pod: nobody makes the provider a source of floods."""

MAX_TEXT_BYTES = 3000
"""As written in JSON, where a sign may take twelve; with the facts beside it less than `MAX_BODY`."""


@dataclass(frozen=True, slots=True)
class _Warning:
    """One that is to be sent; *body* is what is signed."""

    channel: ChannelId
    publisher: Address
    url: str
    body: bytes


@dataclass
class _UnderWay:
    """A publisher's warnings that are not delivered yet, and its share of requests at once."""

    share: trio.CapacityLimiter
    count: int = 0


class Warnings:
    """Sends warnings, in the background and without ever holding anything up."""

    def __init__(self, doors: Doors, pods: Pods, bundles: Bundles) -> None:
        self._doors = doors
        self._pods = pods
        self._bundles = bundles
        self._door = WebhookDoor(allow_private=doors.config.webhooks.allow_private)
        self._last: dict[ChannelId, float] = {}
        self._under_way: dict[Address, _UnderWay] = {}
        self._sender, self._receiver = trio.open_memory_channel[_Warning](MAX_QUEUED)
        self._at_once = trio.CapacityLimiter(MAX_AT_ONCE)

    def told(self, channel: ChannelId, event: str, text: str) -> None:
        """Something stands in a pod's history now; sends it where that is asked for."""
        record = self._pods.get(channel)
        if event not in WARNINGS or record is None or not self._doors.config.webhooks.enabled:
            return
        url = self._url(record)
        if url is None:
            return
        whose = record.ref.publisher
        mine = self._under_way.setdefault(whose, _UnderWay(trio.CapacityLimiter(MAX_AT_ONCE_OF_PUBLISHER)))
        all_of_them = sum(one.count for one in self._under_way.values())
        if mine.count >= MAX_OF_PUBLISHER or all_of_them >= MAX_QUEUED:
            _log.warning("%s: a warning was not sent: too many are under way", record.label)
            return
        mine.count += 1
        self._sender.send_nowait(_Warning(channel, whose, url, self._body(record, event, text)))

    def _url(self, record: PodRecord) -> str | None:
        """Nothing is sent for a pod that nobody ever paid for: its keys, and so its URLs, are free."""
        if not record.request or not record.known_to_pay:
            return None
        try:
            return self._bundles.open(record).manifest.spec.notify.webhook
        except TrustedPodsError:  # another boot holds the bundle's key
            return None

    def _body(self, record: PodRecord, event: str, text: str) -> bytes:
        """Nothing that the publisher does not know, and nothing of what is in the pod."""
        while len(json.dumps(text)) > MAX_TEXT_BYTES:
            text = text[: len(text) * 3 // 4]
        facts = {
            "channel": channel_hex(record.channel),
            "event": event,
            "text": text,
            "at": self._doors.now(),
            "phase": str(record.phase),
        }
        return json.dumps(facts).encode()

    async def run(self) -> None:
        """Send for ever."""
        async with trio.open_nursery() as nursery:
            async for warning in self._receiver:
                nursery.start_soon(self._deliver, warning)

    async def _deliver(self, warning: "_Warning") -> None:
        mine = self._under_way[warning.publisher]
        try:
            now = trio.current_time()
            turn = max(now, self._last.get(warning.channel, -LEAST_PAUSE_S) + LEAST_PAUSE_S)
            self._last[warning.channel] = turn
            await trio.sleep_until(turn)
            await self._attempt(warning, mine.share)
        except Exception:  # noqa: BLE001 - one warning must not stop the others
            _log.exception("a warning could not be sent")
        finally:
            mine.count -= 1
            if not mine.count:
                self._under_way.pop(warning.publisher, None)
                self._last = {one: at for one, at in self._last.items() if at + LEAST_PAUSE_S > now}

    async def _attempt(self, warning: "_Warning", share: trio.CapacityLimiter) -> None:
        signature = self._doors.keys.reply.sign(TAG + warning.body)
        for pause in ATTEMPTS_AFTER_S:
            await trio.sleep(pause)
            try:
                async with share, self._at_once:
                    await self._door.send(warning.url, warning.body, signature)
            except Refused as error:
                _log.info("a webhook is not sent to: %s", error)
                return
            except NetworkFailure as error:
                _log.info("a webhook failed: %s", error)
            else:
                return

# SPDX-License-Identifier: Apache-2.0
"""Where the work on a pod tells what it does, to whoever listens.

The work never waits for a listener: a dropped stream changes nothing, a slow one misses the
oldest lines.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.messages.base import Progress, sendable
from trustedpods.protocol.messages.pod import SignedStatement
from trustedpods.provider.core.metering import drain_limit

MAX_BEHIND = 256
"""Lines kept for a listener that does not read."""

ProvisionOutcome = SignedStatement | TrustedPodsError


class ProgressFeed:
    """One listener's lines; iteration ends after the outcome."""

    def __init__(self) -> None:
        self._lines: deque[Progress | ProvisionOutcome] = deque(maxlen=MAX_BEHIND)
        self._more = trio.Event()
        self._ended = False

    def put(self, line: Progress | ProvisionOutcome) -> None:
        """Add a line, over the oldest if nobody reads."""
        self._lines.append(line)
        self._more.set()

    def __aiter__(self) -> Self:
        """Lines as they come; no generator, as nobody would close it."""
        return self

    async def __anext__(self) -> Progress | ProvisionOutcome:
        """The next line; the end after an outcome."""
        while not self._lines:
            if self._ended:
                raise StopAsyncIteration
            self._more = trio.Event()
            await self._more.wait()
        line = self._lines.popleft()
        if not isinstance(line, Progress):
            self._lines.clear()
            self._ended = True
        return line


class ProgressFeeds:
    """Feeds of all pods."""

    def __init__(self) -> None:
        self._feeds: dict[ChannelId, set[ProgressFeed]] = {}

    @contextmanager
    def listen(self, channel: ChannelId) -> Iterator[ProgressFeed]:
        """Every line about the pod from now on."""
        feed = ProgressFeed()
        self._feeds.setdefault(channel, set()).add(feed)
        try:
            yield feed
        finally:
            feeds = self._feeds[channel]
            feeds.discard(feed)
            if not feeds:
                del self._feeds[channel]

    def tell(
        self, channel: ChannelId, step: str, text: str, done: int | None = None, total: int | None = None
    ) -> None:
        """A step of the work."""
        self._put(channel, Progress(step=step, text=sendable(text), done=done, total=total))

    def finishing(self, channel: ChannelId, version: int, grace_s: int | None) -> None:
        """The *version* before, with this grace period, finishes what it began; 0: none was proven."""
        which = f"version {version}" if version > 0 else "what ran before"
        text = f"{which} finishes its requests, for {drain_limit(grace_s or 0)} s at most"
        self.tell(channel, "drain", text)

    def close(self, channel: ChannelId, outcome: ProvisionOutcome) -> None:
        """The work ended, well or not."""
        self._put(channel, outcome)

    def _put(self, channel: ChannelId, line: Progress | ProvisionOutcome) -> None:
        for feed in self._feeds.get(channel, ()):
            feed.put(line)

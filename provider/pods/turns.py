# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is to write a pod's objects: a version that starts and an address book do not mix theirs."""

from weakref import WeakValueDictionary

import trio

from trustedpods.protocol.ids import ChannelId


class PodTurns:
    """One lock for each pod; it is there as long as somebody holds it or waits."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[ChannelId, trio.Lock] = WeakValueDictionary()

    def of(self, channel: ChannelId) -> trio.Lock:
        """The pod's lock: use it in `async with`, which keeps it."""
        return self._locks.setdefault(channel, trio.Lock())

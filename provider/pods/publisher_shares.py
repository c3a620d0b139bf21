# SPDX-License-Identifier: Apache-2.0
"""What each publisher's pods have, with those that are just being taken in."""

from collections.abc import Iterator
from contextlib import contextmanager

from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.provider.core.quotas.publisher_quota import (
    PublisherQuota,
    PublisherShare,
    check_quota,
    room_of,
    share_of,
)
from trustedpods.provider.pods.records import Pods


class PublisherShares:
    """Counts what stands here by its records, whatever its phase: a sleeping pod may wake."""

    def __init__(self, pods: Pods, quota: PublisherQuota) -> None:
        self._pods, self._quota = pods, quota
        self._taken_in: dict[object, tuple[Address, ChannelId, PublisherShare]] = {}

    def check(self, ask: AdmitBody, publisher: Address, channel: ChannelId) -> None:
        """Refused (rule `capacity-publisher`) where it would be too much with the publisher's others.

        A pod that stands here and does not grow is never refused: the bound may be newer than it.
        """
        if not self._quota.bounds:
            return
        asked = _asked(ask)
        there = self._of(publisher)
        own = there.get(channel)
        if own is not None and asked.cpu_milli <= own.cpu_milli and asked.memory_mib <= own.memory_mib:
            return
        others = {
            other: share for other, share in (there | self._coming(publisher)).items() if other != channel
        }
        check_quota(asked, others.values(), self._quota)

    def room(self, publisher: Address) -> PublisherQuota | None:
        """What the publisher may still start; None where nothing bounds it."""
        if not self._quota.bounds:
            return None
        return room_of((self._of(publisher) | self._coming(publisher)).values(), self._quota)

    def _of(self, publisher: Address) -> dict[ChannelId, PublisherShare]:
        return {
            record.channel: share_of(
                record.size.cpu_milli, record.size.memory_mib, record.scaling.max_replicas
            )
            for record in self._pods.standing
            if record.ref.publisher == publisher
        }

    def _coming(self, publisher: Address) -> dict[ChannelId, PublisherShare]:
        return {other: share for taken_by, other, share in self._taken_in.values() if taken_by == publisher}

    @contextmanager
    def hold(self, ask: AdmitBody, publisher: Address, channel: ChannelId) -> Iterator[None]:
        """Count the pod while it is taken in; afterwards its record does. It is checked once more before."""
        self.check(ask, publisher, channel)
        token = object()
        self._taken_in[token] = (publisher, channel, _asked(ask))
        try:
            yield
        finally:
            del self._taken_in[token]


def _asked(ask: AdmitBody) -> PublisherShare:
    return share_of(ask.cpu_milli, ask.memory_mib, ask.max_replicas)

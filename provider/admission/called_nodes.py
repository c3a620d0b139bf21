# SPDX-License-Identifier: Apache-2.0
"""How many addresses of the cluster's range for services one publisher's nodes take for those they call.

Each node that a pod calls has a Service of its own in the pod's namespace. The range is the whole
cluster's, and where it is used up nobody's pods start.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from trustedpods.manifests.check.nodes import PEER
from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.core.admission import check_called_nodes
from trustedpods.provider.core.pod import LEAVING, WORKING
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods

_COMING = WORKING - LEAVING


class CalledNodes:
    """Counts up to *most* of them in the cluster, and of pods that are on their way in their bundles."""

    def __init__(self, cluster: Cluster, pods: Pods, bundles: Bundles, most: int) -> None:
        self._most = most
        self._cluster = cluster
        self._pods = pods
        self._bundles = bundles
        self._seen: Counter[str] = Counter()
        """By namespace, when it was last looked."""
        self._taken_in: dict[object, tuple[Address, ChannelId, int]] = {}

    async def check(self, ask: AdmitBody, publisher: Address, channel: ChannelId) -> None:
        """Refused (rule `capacity-called-nodes`) where the publisher's pods would call too many."""
        if ask.calls:
            services = await self._cluster.services()
            self._seen = Counter(one.namespace for one in services if one.name.startswith(PEER))
            self._check_now(ask, publisher, channel)

    @contextmanager
    def hold(self, ask: AdmitBody, publisher: Address, channel: ChannelId) -> Iterator[None]:
        """Count the pod while it is taken in; afterwards its record does. Checked again, without a look.

        Nothing is awaited in between, so two pods cannot both be the last that is let in.
        """
        if ask.calls:
            self._check_now(ask, publisher, channel)
        token = object()
        self._taken_in[token] = (publisher, channel, ask.calls)
        try:
            yield
        finally:
            del self._taken_in[token]

    def _check_now(self, ask: AdmitBody, publisher: Address, channel: ChannelId) -> None:
        called: dict[ChannelId, int] = {}
        for record in self._pods.standing:
            if record.ref.publisher == publisher and record.channel != channel:
                there = self._seen[record.namespace]
                if record.phase in _COMING and self._bundles.held(record):
                    there = max(there, self._bundles.open(record).ask.calls)
                called[record.channel] = there
        for taken_by, other, calls in self._taken_in.values():
            if taken_by == publisher and other != channel:
                called[other] = max(called.get(other, 0), calls)
        check_called_nodes(ask.calls, sum(called.values()), self._most)

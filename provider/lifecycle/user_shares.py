# SPDX-License-Identifier: Apache-2.0
"""How many replicas may run as each user id: the kernel bounds processes by user id, over a node's pods.

Only where the configuration says that there is such a bound (`processes_per_user`), and pods have no user ids
of their own. A pod's user ids are known with its images; those of pods that were imported before a restart
are read from the registry once.
"""

from collections import Counter
from collections.abc import Collection

from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.core.admission import check_users
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.lifecycle.images import ImageImport
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods


class UserShares:
    """The user ids of all pods that stand."""

    def __init__(self, doors: Doors, pods: Pods, bundles: Bundles, images: ImageImport) -> None:
        self._doors = doors
        self._pods = pods
        self._bundles = bundles
        self._images = images
        self._users: dict[ChannelId, frozenset[int]] = {}

    @property
    def _limit(self) -> int | None:
        cluster = self._doors.config.cluster
        return None if cluster.user_namespaces else cluster.processes_per_user

    async def check(self, channel: ChannelId, users: Collection[int], replicas: int) -> None:
        """Refused (rule `capacity-users`) where the pod's user ids have no share left for the replicas."""
        limit = self._limit
        if limit is None or not users:
            return
        await self._learn()
        taken: Counter[int] = Counter()
        for other in self._pods.standing:
            if other.channel != channel and other.phase is not Phase.RETAINED:  # nothing of it can run
                taken.update(dict.fromkeys(self._users.get(other.channel, ()), other.scaling.max_replicas))
        check_users(sorted(users), replicas, taken, limit)

    async def hold(self, record: PodRecord, users: frozenset[int]) -> None:
        """Take the pod's share, which is checked as by `check`."""
        if self._limit is None:
            return
        await self.check(record.channel, users, record.scaling.max_replicas)
        before = self._users.get(record.channel, frozenset()) if record.previous is not None else frozenset()
        self._users[record.channel] = users | before

    async def _learn(self) -> None:
        """Of pods that are not known here yet."""
        standing = {record.channel for record in self._pods.standing}
        self._users = {channel: users for channel, users in self._users.items() if channel in standing}
        for record in self._pods.standing:
            # What does not run yet takes its share by its own import.
            runs = record.served or record.phase is Phase.STARTING
            if runs and record.channel not in self._users and self._bundles.held(record):
                found = await self._images.users_of(record, self._bundles.open_stored(record.proven))
                self._users.setdefault(record.channel, found)

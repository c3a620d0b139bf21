# SPDX-License-Identifier: Apache-2.0
"""The pods' namespaces as the cluster last showed them: which there are, and which nobody knows."""

import logging
from collections.abc import Mapping

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.pod import WORKING, PodRecord
from trustedpods.provider.core.reconcile import Read
from trustedpods.provider.doors import Doors

_log = logging.getLogger(__name__)

NAMESPACES_EVERY_S = 10.0
"""One list of the whole cluster; namespaces that somebody deletes are rare, and take long to go."""


class NamespacesLook:
    """One list of all namespaces, read anew when it has grown old."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._by_label: Mapping[str, set[str]] | None = None
        """Those of each pod that are not being deleted; None while the cluster cannot be read."""
        self.changes = 0
        """How often a look showed another list than the one before, or none."""
        self._at = -NAMESPACES_EVERY_S
        self._began = UnixSeconds(0)

    async def refresh(self) -> None:
        """Read the list, unless that was done within `NAMESPACES_EVERY_S`."""
        if trio.current_time() < self._at + NAMESPACES_EVERY_S:
            return
        began = self._doors.now()
        try:
            found = await self._doors.cluster.namespaces()
        except TrustedPodsError as error:
            self._take(None)
            _log.warning("namespaces cannot be read: %s", error)
            return
        by_label: dict[str, set[str]] = {}
        for space in found:
            if not space.deleting:
                by_label.setdefault(space.label, set()).add(space.name)
        self._take(by_label)
        self._at, self._began = trio.current_time(), began

    def _take(self, by_label: Mapping[str, set[str]] | None) -> None:
        if by_label != self._by_label:
            self.changes += 1
        self._by_label = by_label

    def read(self, record: PodRecord) -> Read:
        """Whether the pod's namespace is there; not known where the record is newer than the list."""
        if self._by_label is None or record.changed_at >= self._began:
            return Read.UNKNOWN
        there = record.namespace in self._by_label.get(record.label, ())
        return Read.PRESENT if there else Read.ABSENT

    def take_strays(self, record: PodRecord) -> list[str]:
        """Namespaces of the pod that its record does not know, each told once.

        A namespace is written down before it is made, so what was seen and is not in the record is of none.
        """
        if self._by_label is None or record.phase in WORKING:
            return []
        mine = self._by_label.get(record.label, set())
        strays = mine - {record.namespace, record.other}
        mine -= strays
        return sorted(strays)

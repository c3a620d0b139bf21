# SPDX-License-Identifier: Apache-2.0
"""The replicas that the cluster shows, found by their uid and by the pod that they belong to."""

from collections.abc import Iterable, Mapping

from trustedpods.provider.cluster.views import PodView

_NONE: Mapping[str, PodView] = {}


class Replicas:
    """All replicas of all pods, as the watch last showed them."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, PodView]] = {}

    def put(self, view: PodView) -> None:
        """A replica as it is now."""
        self._pods.setdefault(view.label, {})[view.uid] = view

    def drop(self, view: PodView) -> None:
        """It is no longer there."""
        mine = self._pods.get(view.label, {})
        mine.pop(view.uid, None)
        if not mine:
            self._pods.pop(view.label, None)

    def of(self, label: str) -> Mapping[str, PodView]:
        """Those of one pod, by their uids; a look at a sleeping pod costs nothing."""
        return self._pods.get(label, _NONE)

    def all(self) -> Iterable[PodView]:
        """Every one."""
        return (view for mine in self._pods.values() for view in mine.values())

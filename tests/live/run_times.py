# SPDX-License-Identifier: Apache-2.0
"""When replicas ran: by the API server's own times, and by a stopwatch that stands beside it."""

from time import monotonic
from typing import Any

from tests.chaos.observer import Observer, unix
from tests.live.localnet_fixture import LiveLocalnet

Json = dict[str, Any]


class RunTimes(Observer):
    """Every replica as the API server showed it last, and when something of it was first seen."""

    def __init__(self, market: LiveLocalnet) -> None:
        super().__init__(market)
        self.last: dict[str, Json] = {}
        self._seen: dict[str, list[float]] = {}

    def _take(self, pod: Json) -> None:
        super()._take(pod)
        uid = pod["metadata"]["uid"]
        self.last[uid] = pod
        if pod.get("status", {}).get("startTime"):
            self._seen.setdefault(uid, [monotonic()])
        if is_over(pod) and uid in self._seen and len(self._seen[uid]) == 1:
            self._seen[uid].append(monotonic())

    def uids(self, namespace: str) -> list[str]:
        """Replicas of a namespace that were taken up by a kubelet, in their order."""
        mine = [uid for uid, pod in self.last.items() if pod["metadata"]["namespace"] == namespace]
        return [uid for uid in mine if uid in self._seen]

    def over(self, uid: str) -> bool:
        """Whether the replica has ended."""
        return len(self._seen.get(uid, ())) == 2

    def stopwatch(self, uid: str) -> float:
        """Seconds from when the replica was seen to be taken up until it was seen to have ended."""
        began, ended = self._seen[uid]
        return ended - began

    def served(self, uid: str) -> int:
        """Seconds from the kubelet's start to the last container's end, as the API server keeps them."""
        pod = self.last[uid]
        ends = [unix(end["finishedAt"]) for end in _ends(pod)]
        return max(ends) - unix(pod["status"]["startTime"])


def statuses(pod: Json) -> list[Json]:
    """Of all containers, those that run first too."""
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _ends(pod: Json) -> list[Json]:
    parts = [one.get(place, {}) for one in statuses(pod) for place in ("state", "lastState")]
    return [part["terminated"] for part in parts if part.get("terminated", {}).get("finishedAt")]


def is_over(pod: Json) -> bool:
    """The kubelet has let the replica go."""
    metadata, phase = pod["metadata"], pod.get("status", {}).get("phase")
    asked = "deletionTimestamp" in metadata
    return phase in ("Succeeded", "Failed") or (asked and metadata.get("deletionGracePeriodSeconds") == 0)

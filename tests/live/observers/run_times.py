# SPDX-License-Identifier: Apache-2.0
"""When replicas ran: by the API server's own times, and by a stopwatch that stands beside it."""

from collections import Counter
from time import monotonic
from typing import Any

from tests.chaos.observer import Observer, unix
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.waiting import until

Json = dict[str, Any]


class RunTimes(Observer):
    """Every replica in each state that the API server showed, and when something of it was first seen."""

    def __init__(self, market: LiveLocalnet) -> None:
        super().__init__(market)
        self.last: dict[str, Json] = {}
        self._states: dict[str, list[Json]] = {}
        self._took_up: dict[str, float] = {}
        self._stopped: dict[str, float] = {}

    def _take(self, pod: Json) -> None:
        super()._take(pod)
        uid = pod["metadata"]["uid"]
        self.last[uid] = pod
        self._states.setdefault(uid, []).append(pod)
        if pod.get("status", {}).get("startTime"):
            self._took_up.setdefault(uid, monotonic())
        if is_over(pod) or (is_asked(pod) and has_stopped(pod)):
            self._stopped.setdefault(uid, monotonic())

    def uids(self, namespace: str) -> list[str]:
        """Replicas of a namespace that were taken up by a kubelet, in their order."""
        mine = [uid for uid, pod in self.last.items() if pod["metadata"]["namespace"] == namespace]
        return [uid for uid in mine if uid in self._took_up]

    def seen(self, namespace: str) -> list[str]:
        """The same, as soon as there is one: the API server may tell of it after the pod has answered."""
        return until("a replica is seen", lambda: self.uids(namespace))

    def over(self, uid: str) -> bool:
        """Whether the kubelet has let the replica go."""
        return uid in self.last and is_over(self.last[uid])

    def asked_at(self, uid: str) -> int:
        """When the replica's end was asked for, in Unix seconds, from the first state that shows it.

        Later ones may not: once the kubelet lets it go, its grace is said to have been none.
        """
        metadata = next(pod for pod in self._states[uid] if is_asked(pod))["metadata"]
        return unix(metadata["deletionTimestamp"]) - int(metadata["deletionGracePeriodSeconds"])

    def stopwatch(self, uid: str) -> float:
        """Seconds from when the replica was seen to be taken up until it was seen to have ended.

        The kubelet lets it go some time after that: volumes are taken away first.
        """
        return self._stopped[uid] - self._took_up[uid]

    def served(self, uid: str) -> int:
        """Seconds that the replica counts, from every state in which it was shown."""
        return served(self._states[uid])

    def served_within(self, most: int, uids: list[str]) -> int:
        """Seconds that they count together: in none of them more than *most*, as many as may run."""
        at = Counter(second for uid in uids for second in span(self._states[uid]))
        return sum(min(count, most) for count in at.values())


def served(states: list[Json]) -> int:
    """How many seconds a replica counts."""
    return len(span(states))


def span(states: list[Json]) -> range:
    """Seconds from the kubelet's start to the last container's end, as the API server keeps them.

    A replica of which no container ever ran counts nothing. One that is let go before any container tells
    its end ended when its conditions turned or its end was asked for: what is said afterwards moves no end.
    On a busy machine the kubelet's first word of an eviction still calls its containers running, and
    there may be no second one, as the provider has the object removed.
    """
    if not any(map(_ran, states)):
        return range(0)
    let_go = next(filter(is_over, states), states[-1])
    ends = [unix(end["finishedAt"]) for end in _ends(let_go)]
    return range(unix(let_go["status"]["startTime"]), max(ends or [_turned(let_go)]))


def statuses(pod: Json) -> list[Json]:
    """Of all containers, those that run first too."""
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _ran(pod: Json) -> bool:
    """Whether a container runs or has an end; one that Kubernetes lost sight of has none."""
    return bool(_ends(pod)) or any("running" in one.get("state", {}) for one in statuses(pod))


def _ends(pod: Json) -> list[Json]:
    parts = [one.get(place, {}) for one in statuses(pod) for place in ("state", "lastState")]
    return [part["terminated"] for part in parts if part.get("terminated", {}).get("finishedAt")]


def _turned(pod: Json) -> int:
    turned = [
        unix(one["lastTransitionTime"])
        for one in pod["status"].get("conditions", [])
        if one["type"] in ("Ready", "ContainersReady", "DisruptionTarget")
    ]
    metadata, asked = pod["metadata"], []
    if is_asked(pod):
        asked = [unix(metadata["deletionTimestamp"]) - metadata.get("deletionGracePeriodSeconds", 0)]
    return min([*asked, max(turned)] if turned else asked)


def is_asked(pod: Json) -> bool:
    """The replica is told to end."""
    return "deletionTimestamp" in pod["metadata"]


def has_stopped(pod: Json) -> bool:
    """Every container of the replica has ended."""
    found = statuses(pod)
    return bool(found) and all("terminated" in one.get("state", {}) for one in found)


def is_over(pod: Json) -> bool:
    """The kubelet has let the replica go."""
    if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return True
    return is_asked(pod) and pod["metadata"].get("deletionGracePeriodSeconds") == 0

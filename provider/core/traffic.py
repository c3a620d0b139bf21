# SPDX-License-Identifier: Apache-2.0
"""What the facade counts for a pod, and how counters become usage that is never counted twice.

The counters belong to one process of the proxy and to a slot, not to a pod: they start at zero
with each process, and a slot's next tenant finds them where the last one left them. A
`TrafficMark` says up to where a pod's traffic has been counted; it is stored together with what
was counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, order=True)
class PodAddress:
    """Where one replica takes requests. `name` is the Kubernetes pod's, never used twice."""

    name: str
    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class PodTraffic:
    """One replica as the proxy sees it: requests that it serves now, and whether it gets new ones.

    Requests that reached the replica through the activator are not in `current`.
    """

    name: str
    current: int
    serving: bool


@dataclass(frozen=True, slots=True)
class SlotStats:
    """Counters of one slot at one moment.

    `boot` names the proxy's process, and after `combine` the slots too; `current` and `total` are
    requests (or connections) in flight and so far, including those through the activator, of which
    `held` are in flight now.
    `last_session_s` is the age of the newest request in seconds, None if there was none.
    `led` changes whenever something moves in a connection that the kernel carries past the proxy, and
    `newest_led_s` is the age of the newest of them; they are in `current`, and in no other counter.
    """

    boot: str
    current: int
    total: int
    bytes_in: int
    bytes_out: int
    held: int = 0
    pods: tuple[PodTraffic, ...] = ()
    last_session_s: int | None = None
    led: int = 0
    newest_led_s: int | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """What passed between two marks: requests, and bytes from (in) and to (out) the clients."""

    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def __add__(self, other: Self) -> Self:
        """Field by field."""
        return type(self)(
            self.requests + other.requests,
            self.bytes_in + other.bytes_in,
            self.bytes_out + other.bytes_out,
        )


@dataclass(frozen=True, slots=True)
class TrafficMark:
    """Up to where a pod's traffic has been counted, in the counters of the process `boot`."""

    boot: str
    total: int
    bytes_in: int
    bytes_out: int


def mark_of(stats: SlotStats) -> TrafficMark:
    """The mark that counts everything in *stats* as done; taken when a pod gets its slot."""
    return TrafficMark(stats.boot, stats.total, stats.bytes_in, stats.bytes_out)


def combine(readings: Mapping[int, SlotStats]) -> SlotStats:
    """One reading of all slots of a pod, by slot; they are of one process. Without one, nothing passed."""
    parts = [readings[slot] for slot in sorted(readings)]
    pods: dict[str, PodTraffic] = {}
    for pod in (pod for part in parts for pod in part.pods):
        seen = pods.get(pod.name, PodTraffic(pod.name, 0, serving=False))
        pods[pod.name] = PodTraffic(pod.name, seen.current + pod.current, seen.serving or pod.serving)
    ages = [part.last_session_s for part in parts if part.last_session_s is not None]
    return SlotStats(
        boot=f"{parts[0].boot}/{'+'.join(str(slot) for slot in sorted(readings))}" if parts else "",
        current=sum(part.current for part in parts),
        total=sum(part.total for part in parts),
        bytes_in=sum(part.bytes_in for part in parts),
        bytes_out=sum(part.bytes_out for part in parts),
        held=sum(part.held for part in parts),
        pods=tuple(pods.values()),
        last_session_s=min(ages, default=None),
        led=sum(part.led for part in parts),
        newest_led_s=min((one.newest_led_s for one in parts if one.newest_led_s is not None), default=None),
    )


def _slots(boot: str) -> str:
    return boot.partition("/")[2]


def traffic_since(mark: TrafficMark, stats: SlotStats) -> tuple[Traffic, TrafficMark]:
    """What passed after *mark*, and the next mark.

    After a restart of the proxy everything it counted is new. Counters of other slots than the
    mark's hold what is not this pod's: up to here they count nothing. Counters that went backwards
    within one process (they should not) count nothing rather than something twice.
    """
    base = mark if mark.boot == stats.boot else TrafficMark(stats.boot, 0, 0, 0)
    if _slots(mark.boot) != _slots(stats.boot):
        base = mark_of(stats)
    passed = Traffic(
        requests=max(0, stats.total - base.total),
        bytes_in=max(0, stats.bytes_in - base.bytes_in),
        bytes_out=max(0, stats.bytes_out - base.bytes_out),
    )
    highest = TrafficMark(
        stats.boot,
        max(base.total, stats.total),
        max(base.bytes_in, stats.bytes_in),
        max(base.bytes_out, stats.bytes_out),
    )
    return passed, highest

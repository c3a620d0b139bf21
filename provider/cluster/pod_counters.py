# SPDX-License-Identifier: Apache-2.0
"""Bytes that a pod sent and received past the facade, as the node's network agent counts them.

The agent (`deploy/kube/netpol`) counts in the kernel, where packets are *forwarded*: between a pod
and the world, or between two pods. The facade and the activator run on the node itself, so what
they carry is never forwarded and never in these numbers: add both sums, nothing counts twice.
Packets that a policy dropped are not counted. Bytes are those of IP packets, headers included.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import trio

from trustedpods.protocol.errors import NetworkFailure, RemoteProtocolError, TrustedPodsError
from trustedpods.provider.cluster.networks.node_socket import NodeProgram

_log = logging.getLogger(__name__)

ANSWER_LIMIT_S = 5.0
"""The agent answers from memory within milliseconds; it is beside us."""

MAX_ANSWER = 16 * 1024 * 1024
"""Some 200 bytes for each of at most 10,000 remembered pods, with room to spare."""

_AGENT = NodeProgram("the network agent", "netpol agent", ANSWER_LIMIT_S, MAX_ANSWER)


@dataclass(frozen=True, slots=True)
class PodCounters:
    """Totals of one Kubernetes pod (one replica) since it got its address; they only ever grow.

    `uid` is the Kubernetes pod's, never used twice: of each uid remember the highest totals that
    were booked, and book the difference. Restarts of the agent, of the node's parts and of the
    daemon do not reset them. A pod that ended stays in the list with its last totals for some
    days, so a daemon that was away misses nothing.
    """

    uid: str
    namespace: str
    pod: str
    ingress_bytes: int
    egress_bytes: int
    refused_packets: int = 0
    """Refused by the limits of egress, and in no bytes. They begin anew with the node."""


class TrafficSource(Protocol):
    """What the meter needs of this door."""

    async def counters(self) -> list[PodCounters]:
        """The totals of all pods that the agent remembers."""
        ...


class TrafficDoor:
    """The agent's unix socket (`cluster.traffic_socket` in the daemon's configuration)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def counters(self) -> list[PodCounters]:
        """The totals of all pods that the agent remembers, those that ended recently included.

        NetworkFailure when the agent does not answer: nothing is known then, and nothing lost,
        because the kernel counts on. RemoteProtocolError when the answer makes no sense.
        """
        return parse_counters(await _AGENT.ask(self._path), str(self._path))

    async def policies_seen(self) -> int | None:
        """The newest version of any NetworkPolicy whose rules the kernel has; raises as `counters` does.

        The agent reads it before it brings the kernel up to date, and answers after. None: an older agent.
        """
        return parse_policies(await _AGENT.ask(self._path), str(self._path))


class TrafficOfNodes:
    """The agents of several nodes: a pod's totals are with the agent of the node that it is on."""

    def __init__(self, agents: Sequence[TrafficSource]) -> None:
        self._agents = agents

    async def counters(self) -> list[PodCounters]:
        """What the agents that answer remember; the first one's failure where none does.

        Those of a node that is away are read when it is back: totals only grow.
        """
        found: list[PodCounters] = []
        failures: list[TrustedPodsError] = []

        async def ask(agent: TrafficSource) -> None:
            try:
                found.extend(await agent.counters())
            except (NetworkFailure, RemoteProtocolError) as error:
                failures.append(error)

        async with trio.open_nursery() as nursery:
            for agent in self._agents:
                nursery.start_soon(ask, agent)
        if len(failures) == len(self._agents):
            raise failures[0]
        for error in failures:
            _log.warning("traffic of one node's pods is not counted now: %s", error)
        return found


def traffic_source(path: str | None, of_other_nodes: Sequence[str] = ()) -> TrafficSource:
    """The agents' doors, where the configuration names them."""
    if path is None:
        return NoTraffic()
    own = TrafficDoor(Path(path))
    others = [TrafficDoor(Path(other)) for other in of_other_nodes]
    return TrafficOfNodes([own, *others]) if others else own


class NoTraffic:
    """For a cluster without our agent: nothing but the facade is counted there."""

    async def counters(self) -> list[PodCounters]:
        """Always empty."""
        return []


def parse_counters(answer: bytes, where: str) -> list[PodCounters]:
    """The agent's answer: `{"pods": [{uid, namespace, pod, ingressBytes, egressBytes, refusedPackets}]}`.

    An agent of before says nothing of refused packets: it has no limits.
    """
    try:
        return [_pod(entry) for entry in json.loads(answer)["pods"]]
    except (ValueError, KeyError, TypeError) as error:
        raise RemoteProtocolError(f"not a list of counters: {error!r}", where=where) from None


def parse_policies(answer: bytes, where: str) -> int | None:
    """`policies` of the agent's answer: a resource version, which are numbers that only grow."""
    try:
        version = json.loads(answer).get("policies")
    except (ValueError, AttributeError) as error:
        raise RemoteProtocolError(f"no answer of the network agent: {error!r}", where=where) from None
    if version is not None and (type(version) is not int or version < 0):
        raise RemoteProtocolError(f"no version of policies: {version!r}", where=where)
    return version


def _pod(entry: dict[str, object]) -> PodCounters:
    sums = (entry["ingressBytes"], entry["egressBytes"], entry.get("refusedPackets", 0))
    names = (entry["uid"], entry["namespace"], entry["pod"])
    if not all(type(number) is int and number >= 0 for number in sums):
        raise ValueError(f"bytes and packets {sums}")
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"names {names}")
    return PodCounters(*names, *sums)  # type: ignore[arg-type]  # checked just above

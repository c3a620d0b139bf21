# SPDX-License-Identifier: Apache-2.0
"""How each of several nodes fares, by what its last answers show; thread-safe."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trustedpods.contracts.client.endpoints.agreement import NodesVerdict

DIFFERED_S = 600.0
"""So long a node that said otherwise is told of, though it agrees on everything else."""

BEHIND_BLOCKS = 5
"""Honest nodes are a block or two apart."""

NodeState = Literal["ok", "silent", "behind", "differs"]


@dataclass(frozen=True, slots=True)
class NodeStanding:
    """How a node fares: `told` says in what, `since` when it began (monotonic seconds).

    Of one that differs `since` is when it last did.
    """

    place: str
    state: NodeState = "ok"
    told: str = ""
    since: float = 0.0


class NodeStandings:
    """Of nodes that are called *places*; *at_once* requests may be under way to each."""

    def __init__(self, places: Sequence[str], at_once: int, clock: Callable[[], float]) -> None:
        self._at_once, self._clock = at_once, clock
        self._lock = threading.Lock()
        self._standing = [NodeStanding(place) for place in places]
        self._asked = [0] * len(places)

    def told(self) -> tuple[NodeStanding, ...]:
        """All of them, in their order."""
        with self._lock:
            return tuple(self._standing)

    def begin(self, node: int) -> bool:
        """Whether one more request may go to a node: one that hangs takes no more threads than these."""
        with self._lock:
            if self._asked[node] >= self._at_once:
                return False
            self._asked[node] += 1
            return True

    def ended(self, node: int) -> None:
        """A request to a node came to its end."""
        with self._lock:
            self._asked[node] -= 1

    def note(self, method: str, verdict: NodesVerdict) -> None:
        """What an answer shows of who gave it, also where it came behind the others."""
        with self._lock:
            for node, why in verdict.failing.items():
                if node in verdict.mute or (verdict.agreeing and self._standing[node].state != "behind"):
                    self._become(node, "silent", why)
            for node in verdict.differing:
                told = "serves another chain" if method == "eth_chainId" else f"answers {method} otherwise"
                self._become(node, "differs", told)
            for node in verdict.agreeing:
                if self._standing[node].state in ("silent", "differs"):
                    self._become(node, "ok", "")

    def note_late(self, nodes: Iterable[int], seconds: float) -> None:
        """They hold up what needs an answer of all."""
        with self._lock:
            for node in nodes:
                self._become(node, "silent", f"did not answer within {seconds:g} s")

    def silent(self) -> frozenset[int]:
        """Nodes for which nobody waits longer than for enough others."""
        with self._lock:
            return frozenset(n for n, one in enumerate(self._standing) if one.state == "silent")

    def note_behind(self, heights: Mapping[int, int], shared: int) -> None:
        """What the numbers of their newest blocks show, against the one that enough *shared*."""
        with self._lock:
            for node, height in heights.items():
                state = self._standing[node].state
                if shared - height > BEHIND_BLOCKS and state != "differs":
                    self._become(node, "behind", f"is {shared - height} blocks behind")
                elif state == "behind" and shared - height <= BEHIND_BLOCKS:
                    self._become(node, "ok", "")

    def _become(self, node: int, state: NodeState, told: str) -> None:
        now = self._standing[node]
        if now.state == "differs" and state != "differs" and self._clock() < now.since + DIFFERED_S:
            return  # it agrees on most things, as one does that lies about a single channel
        since = now.since if now.state == state and state != "differs" else self._clock()
        self._standing[node] = replace(now, state=state, told=told, since=since)

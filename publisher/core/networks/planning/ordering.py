# SPDX-License-Identifier: Apache-2.0
"""Which steps of a plan may run now, beside those that run. Pure.

Removals come first. A node is begun when all that it waits for are as the file says. Nodes that come run side
by side; nodes that change, one at a time and after those that come: a chain of five goes on with four.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trustedpods.publisher.core.networks.plan import NodeStep, WantedNode

MOST_AT_ONCE: Final = 8
"""Steps side by side: each sends images and holds a connection; eight fill a home's line."""


@dataclass(frozen=True, slots=True)
class Ordering:
    """Steps of a plan by their numbers; `after` are the nodes that each node waits for."""

    steps: tuple[NodeStep, ...]
    after: Mapping[str, tuple[str, ...]]
    begun: frozenset[int] = frozenset()
    done: frozenset[int] = frozenset()

    @classmethod
    def of(cls, steps: Iterable[NodeStep], nodes: Sequence[WantedNode]) -> "Ordering":
        """Nothing of *steps* is begun; *nodes* are those of the file."""
        return cls(tuple(steps), {node.name: node.after for node in nodes})

    def begin(self) -> "tuple[Ordering, tuple[int, ...]]":
        """The steps that are to be begun now, in the order of the plan, and the ordering with them begun."""
        found: list[int] = []
        pending = self._pending()
        for number in range(len(self.steps)):
            running = len(self.begun) - len(self.done) + len(found)
            if running < MOST_AT_ONCE and number not in self.begun and self._may(number, pending, found):
                found.append(number)
        return Ordering(self.steps, self.after, self.begun | set(found), self.done), tuple(found)

    def ended(self, number: int) -> "Ordering":
        """The ordering after step *number* has come to its end."""
        return Ordering(self.steps, self.after, self.begun, self.done | {number})

    def _pending(self) -> dict[str, set[str]]:
        """What is still to be done or running: nodes by what is done to them."""
        pending: dict[str, set[str]] = {}
        for number, step in enumerate(self.steps):
            if number not in self.done:
                pending.setdefault(step.doing, set()).add(step.node)
        return pending

    def _may(self, number: int, pending: Mapping[str, set[str]], found: Sequence[int]) -> bool:
        step = self.steps[number]
        if step.doing == "remove":
            return True
        waited = self.after.get(step.node, ())
        if pending.get("remove") or any(name in nodes for name in waited for nodes in pending.values()):
            return False
        running = {self.steps[one].doing for one in (*(self.begun - self.done), *found)}
        return not running & _NOT_BESIDE.get(step.doing, frozenset())


_NOT_BESIDE: Final[Mapping[str, frozenset[str]]] = {
    "update": frozenset({"update", "go on"}),
    "go on": frozenset({"update"}),
}
"""What may not run beside a step. One that is gone on with may be an update; several are nodes that come."""

# SPDX-License-Identifier: Apache-2.0
"""How many replicas the requests in flight ask for. Up at once, down only after a calm while."""

from dataclasses import dataclass, replace
from typing import Self

PANIC_S = 6.0
"""Up by the mean over this window: one sample is enough at first, one spike is not later."""

STABLE_S = 60.0
"""Down to what the busiest moment of this window needed."""

MAX_SAMPLES = 512
"""Samples kept; older ones than the window's are dropped anyway."""


@dataclass(frozen=True, slots=True)
class Load:
    """Requests in flight over the last minute: (time, number), oldest first, since `begun`."""

    begun: float
    samples: tuple[tuple[float, int], ...] = ()

    def add(self, now: float, in_flight: int) -> Self:
        """With one more sample; what is older than the stable window goes."""
        kept = [sample for sample in self.samples if sample[0] > now - STABLE_S]
        return replace(self, samples=(*kept, (now, in_flight))[-MAX_SAMPLES:])

    def replicas(self, now: float, running: int, concurrency: int) -> int:
        """How many there should be when *running* are asked for; not yet limited."""
        if not self.samples:
            return running
        recent = [count for at, count in self.samples if at > now - PANIC_S] or [0]
        up = _ceil(sum(recent), len(recent) * concurrency)
        if up > running:
            return up
        if now - self.begun < STABLE_S:
            return running
        down = _ceil(max(count for _, count in self.samples), concurrency)
        return min(running, max(up, down))


def _ceil(number: int, divisor: int) -> int:
    return -(-number // divisor)

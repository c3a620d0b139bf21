# SPDX-License-Identifier: Apache-2.0
"""What the supervisor runs: parts (processes that live on) and steps (done once, repeatable)."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

State = Literal["waiting", "starting", "ready", "done", "restarting", "failing"]
"""waiting: for what it needs. failing: a step or a readiness check keeps failing, retried."""

ReadinessCheck = Callable[[], None]
"""Returns when the part is ready; raises OSError or one of our errors when it is not yet."""


@dataclass(frozen=True, slots=True)
class Part:
    """A process that is started again whenever it ends.

    `needs` are names of units that must be ready before the first start. `keeps_sockets`: it may
    have its sockets kept by the supervisor while it is started again.
    """

    name: str
    argv: tuple[str, ...]
    probe: ReadinessCheck
    needs: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    keeps_sockets: bool = False

    @property
    def digest(self) -> str:
        """Tells whether a process that is running already was started as this part says."""
        text = json.dumps([self.argv, sorted(self.env.items())])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do before other units can start; it may be done again at any time.

    Called in a worker thread. A TrustedPodsError or OSError is retried with growing pauses.
    """

    name: str
    run: Callable[[], None]
    needs: tuple[str, ...] = ()


Unit = Part | Step


@dataclass(slots=True)
class UnitStatus:
    """What `status` shows of one unit. Times are seconds since 1970."""

    name: str
    kind: Literal["part", "step"]
    state: State
    since: float
    pid: int | None = None
    started: int | None = None
    """Start time of the process in clock ticks since boot: with the pid it names it for ever."""
    restarts: int = 0
    digest: str = ""
    note: str = ""
    """Why it is not ready, in its own words."""

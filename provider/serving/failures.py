# SPDX-License-Identifier: Apache-2.0
"""A proven pod that does not start: what its owner is told of it, and when it goes into its history. Pure.

Whoever asks the facade gets a fixed sentence; the reason and the container's last lines are for the owner.
"""

import math

from trustedpods.protocol.messages.pod import PodFailure
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.core.scaler.types import ScalePhase, ScaleState

FAILING = "failing"
"""The word for the phase of a pod that is let in and paid, and does not start."""


def is_failing(state: ScaleState) -> bool:
    """Whether the last start failed and none has come to a ready replica since."""
    trying_again = state.phase is ScalePhase.WAKING and state.failures > 0
    return state.phase is ScalePhase.FAILING or trying_again


def failed(before: ScaleState, after: ScaleState) -> bool:
    """Whether one more start has failed."""
    return after.phase is ScalePhase.FAILING and after.failures > before.failures


def recovered(before: ScaleState, after: ScaleState) -> bool:
    """Whether the pod serves again after starts that failed."""
    return is_failing(before) and after.phase is ScalePhase.AWAKE


def is_told(failures: int) -> bool:
    """The 1st, 2nd, 4th, 8th ... failure in a row: a pod that fails for ever must not fill its history."""
    return failures & (failures - 1) == 0


def sentence(reason: str) -> str:
    """A reason without the container's lines behind it."""
    return reason.partition("\n")[0]


def failure_of(state: ScaleState, found: Diagnosis | None, now: UnixSeconds, clock: float) -> PodFailure:
    """What `status` tells; *found* is the last diagnosis, *clock* the scaler's time at *now*."""
    matching = found if found is not None and found.text == state.reason else None
    end = matching.end if matching else None
    lines = matching.lines if matching else state.reason.partition("\n")[2]
    return PodFailure(
        reason=sentence(state.reason)[:8000],
        container=end.container if end else None,
        exit_code=end.exit_code if end else None,
        ended_at=end.at if end else None,
        lines=lines[-8000:],
        tries=state.failures,
        next_try_at=now + max(0, math.ceil(state.retry_at - clock)),
        by_itself=state.limits.min > 0,
    )

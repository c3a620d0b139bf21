# SPDX-License-Identifier: Apache-2.0
"""A proven pod that does not start: what its owner is told of it, and when it goes into its history.

Whoever asks the facade gets a fixed sentence; the reason and the container's last lines are for the owner.
"""

import logging
import math

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.messages.pod import PodFailure
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.core.scaler.types import ScalePhase, ScaleState
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.serving.pod_scaler import PodScaler

_log = logging.getLogger(__name__)

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


class StartHistory:
    """Writes starts that fail, and the end of that, into the pods' histories and so to their webhooks."""

    def __init__(self, pods: Pods) -> None:
        self._pods = pods
        self._nursery: trio.Nursery | None = None

    def begin(self, nursery: trio.Nursery) -> None:
        """Write from now on, with tasks in *nursery*."""
        self._nursery = nursery

    def stepped(self, pod_scaler: PodScaler, before: ScaleState) -> None:
        """A scaler's state is another than *before*."""
        after, channel = pod_scaler.state, pod_scaler.published.channel
        if failed(before, after) and is_told(after.failures):
            self._tell(channel, "start-failed", f"{sentence(after.reason)}; {after.failures} in a row")
        elif recovered(before, after) and is_told(after.failures):
            self._tell(channel, "start-recovered", "the pod starts again")

    def _tell(self, channel: ChannelId, event: str, text: str) -> None:
        record = self._pods.get(channel)
        if self._nursery is not None and record is not None and record.phase is Phase.SERVING:
            self._nursery.start_soon(self._note, channel, event, text)

    async def _note(self, channel: ChannelId, event: str, text: str) -> None:
        try:
            await self._pods.note(channel, event, text)
        except TrustedPodsError as error:
            _log.warning("%s: not in the pod's history: %s", event, error)

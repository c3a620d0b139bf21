# SPDX-License-Identifier: Apache-2.0
"""Keeps the facade serving what the scalers say: on a timer, and at once after HAProxy was restarted.

A new HAProxy knows no replica: until it is told, every request goes through the activator, which is
slower and loses nothing. So its process is looked at often, and its whole content seldom.
"""

import logging
import math
from collections.abc import Iterable, Mapping

import trio

from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.core.scaler import scaler
from trustedpods.provider.doors import Doors
from trustedpods.provider.facade.slots import FacadeState, ServiceSpec, Synced
from trustedpods.provider.serving.certificates import show_own
from trustedpods.provider.serving.pod_scaler import PodScaler
from trustedpods.provider.serving.slots import service_spec_of

_log = logging.getLogger(__name__)

SYNC_EVERY_S = 30.0
"""How often the facade's whole content is compared with what is wanted."""

LOOK_EVERY_S = 0.25
"""How often it is looked whether HAProxy is another process: mostly at one file (`Runtime.still`)."""


class FacadeSync:
    """For all pods that are published here."""

    def __init__(self, doors: Doors, pod_scalers: Mapping[ChannelId, PodScaler]) -> None:
        self._doors = doors
        self._pod_scalers = pod_scalers
        self._due = math.inf

    async def run(self) -> None:
        """Look for ever."""
        self._due = trio.current_time() + SYNC_EVERY_S
        while True:
            await trio.sleep(LOOK_EVERY_S)
            try:
                if trio.current_time() >= self._due or await self._doors.facade.restarted():
                    await self.sync()
            except NetworkFailure:
                continue  # it is away, or just starting; the next look is soon
            except TrustedPodsError as error:
                _log.warning("the facade is out of step: %s", error)

    async def sync(self, desired: FacadeState | None = None) -> None:
        """Compare everything now."""
        self._take_in(await self._doors.facade.sync(desired))
        await show_own(self._doors)
        self._due = trio.current_time() + SYNC_EVERY_S

    async def take_over(
        self, more: Iterable[ServiceSpec] = (), untouched: frozenset[str] = frozenset()
    ) -> None:
        """After a start: the facade serves the scalers' pods and *more*, each with the replicas said there.

        Pods in *untouched* run on, and the books do not say how they are served: theirs stays as it is.
        """
        parts = [
            (part, m.state) for m in self._pod_scalers.values() for part in m.published.services.values()
        ]
        most, more = self._doors.config.facade.most, tuple(more)
        asleep = {part.label for part, state in parts if scaler.rests(state)}
        asleep |= {spec.label for spec in more if not spec.pods}  # the cluster was asked
        specs = tuple(service_spec_of(part, state.served, most) for part, state in parts)
        await self.sync(FacadeState((*specs, *more), frozenset(asleep), untouched))

    def _take_in(self, synced: Synced) -> None:
        self._doors.metrics.answered("facade")
        if synced.restarted:
            _log.warning("HAProxy was restarted; its content was put back")
        for pod_scaler in self._pod_scalers.values():
            pod_scaler.moved_to(synced.slots)

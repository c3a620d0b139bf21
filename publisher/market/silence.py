# SPDX-License-Identifier: Apache-2.0
"""A network that pauses while a terminal or connections are carried: outlasted, and told."""

from collections.abc import Callable

import trio

from trustedpods.protocol.net.bounds import Bounds
from trustedpods.publisher.market.session import DaemonSession
from trustedpods.publisher.market.timing import Timing

_LOOKS = 8
"""Looks at a silence in each `Timing.quiet_s`."""

Tell = Callable[[str], None]
"""Says a line to whoever waits."""


def patient_bounds(timing: Timing) -> Bounds:
    """Of a host whose connections outlast a pause: asked often, given up late."""
    return Bounds(heartbeat_s=timing.heartbeat_s).outlasting(timing.pause_s)


class SilenceWatch:
    """Says when the daemon went silent, and when it is heard again. `silent` is whether it is now.

    For connections with `patient_bounds` alone: others may rightly be silent for longer.
    """

    def __init__(self, session: DaemonSession, tell: Tell) -> None:
        self._session = session
        self.tell = tell
        self.silent = False

    async def run(self) -> None:
        """Look until cancelled."""
        timing = self._session.publisher.timing
        since = 0.0
        while True:
            await trio.sleep(timing.quiet_s / _LOOKS)
            heard, now = self._session.last_heard, trio.current_time()
            if not self.silent and now - heard >= timing.quiet_s:
                self.silent, since = True, heard
                self.tell(
                    f"nothing came from the provider for {now - heard:.0f} s; going on when the network "
                    f"is back, for {timing.pause_s:.0f} s at most"
                )
            elif self.silent and now - heard < timing.quiet_s:
                self.silent = False
                self.tell(f"the provider is heard again, after {heard - since:.0f} s")

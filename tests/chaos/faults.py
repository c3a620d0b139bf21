# SPDX-License-Identifier: Apache-2.0
"""Kills parts of a localnet at random, by process id, and notes when each was back."""

import os
import random
import signal
from collections.abc import Sequence
from time import monotonic

import trio

from tests.chaos.verdict import Kill
from tests.live.localnet_fixture import LiveLocalnet

PARTS = (
    "k1/provider",
    "k1/haproxy",
    "k1/activator",
    "k1/apiserver",
    "k1/etcd",
    "k1/kubelet",
    "k1/containerd",
    "k1/registry",
    "chain",
)
PAUSE_S = (2.0, 6.0)
"""Between a part that is back and the next kill."""

BACK_LIMIT_S = 120.0
"""The supervisor's longest pause before another start is 20 s, and a loaded machine is slow."""

LOOK_EVERY_S = 0.05


class Faults:
    """Each part is killed once before any is killed twice, in a random order."""

    def __init__(self, market: LiveLocalnet, chance: random.Random, parts: Sequence[str] = PARTS) -> None:
        self.kills: list[Kill] = []
        self._market = market
        self._chance = chance
        self._parts = tuple(parts)

    async def run(self) -> None:
        """Kill until cancelled; cancelled in the middle, the last one is waited for by `settle`."""
        while True:
            for part in self._chance.sample(self._parts, len(self._parts)):
                await trio.sleep(self._chance.uniform(*PAUSE_S))
                with trio.CancelScope(shield=True):
                    await self._kill(part)

    async def _kill(self, part: str) -> None:
        pid = await trio.to_thread.run_sync(self._market.pid, part)
        at = monotonic()
        dead = await _killed(pid)
        with trio.move_on_after(BACK_LIMIT_S) as limit:
            while not await trio.to_thread.run_sync(self._is_back, part, pid):
                await trio.sleep(LOOK_EVERY_S)
        found = self._market.parts()[part]
        assert not limit.cancelled_caught, f"{part} was not back {BACK_LIMIT_S:g} s after its kill: {found}"
        self.kills.append(Kill(part, at, monotonic(), dead))

    def _is_back(self, part: str, killed: int) -> bool:
        found = self._market.parts()[part]
        return found["state"] == "ready" and found["pid"] not in (None, killed)


async def _killed(pid: int) -> float:
    """Kill a process; the time at which it was dead, which on a busy machine is later than the kill."""
    process = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        await trio.lowlevel.wait_readable(process)
    finally:
        os.close(process)
    return monotonic()

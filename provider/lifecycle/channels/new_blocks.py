# SPDX-License-Identifier: Apache-2.0
"""The next block of the chain, asked for once for all pods that wait for one."""

from collections.abc import Awaitable, Callable

import trio

from trustedpods.contracts.records import Block

LOOK_S = 0.25
"""How often the chain is asked while anybody waits: a quarter of the fastest blocks' time."""


class NewBlocks:
    """Waits for blocks; *head* asks the chain for its newest."""

    def __init__(self, head: Callable[[], Awaitable[Block]]) -> None:
        self._head = head
        self._turn = trio.Lock()
        self._newest: Block | None = None

    async def after(self, known: Block, within_s: float) -> Block:
        """A newer block than *known*, or after *within_s* seconds the newest there is; as *head* raises.

        Whoever has the turn asks, and all others see its answer: however many wait, the chain has one
        question each `LOOK_S`.
        """
        until = trio.current_time() + within_s
        while trio.current_time() < until:
            async with self._turn:
                if self._newest is not None and self._newest.number > known.number:
                    return self._newest
                await trio.sleep(LOOK_S)
                self._newest = await self._head()
        return self._newest or known

# SPDX-License-Identifier: Apache-2.0
"""The next block of the chain, asked for once for all pods that wait for one."""

from collections.abc import Awaitable, Callable

import trio

from trustedpods.contracts.records import Block

LOOK_S = 0.1
"""How often the chain is asked while anybody waits, until it is known how fast it is: a tenth of the fastest
blocks' time, so a pod starts that much later at most."""

SELDOM_S = 0.5
"""The same of a slow chain: its pods wait for seconds, and its nodes count questions."""

PART = 0.1
"""Of the time between two blocks."""


def look_s(earlier: Block, newest: Block) -> float:
    """How long to wait between two looks, by the pace of the blocks from *earlier* to *newest*. Pure."""
    blocks = newest.number - earlier.number
    if blocks <= 0:
        return LOOK_S
    return min(SELDOM_S, max(LOOK_S, PART * (newest.time - earlier.time) / blocks))


class NewBlocks:
    """Waits for blocks; *head* asks the chain for its newest."""

    def __init__(self, head: Callable[[], Awaitable[Block]]) -> None:
        self._head = head
        self._turn = trio.Lock()
        self._first: Block | None = None
        self._newest: Block | None = None

    async def after(self, known: Block, within_s: float) -> Block:
        """A newer block than *known*, or after *within_s* seconds the newest there is; as *head* raises.

        Whoever has the turn asks, and all others see its answer: however many wait, the chain has one
        question each `look_s`.
        """
        until = trio.current_time() + within_s
        while trio.current_time() < until:
            async with self._turn:
                if self._newest is not None and self._newest.number > known.number:
                    return self._newest
                await trio.sleep(self._pause(known))
                self._newest = await self._head()
        return self._newest or known

    def _pause(self, known: Block) -> float:
        """By the pace since the first block that was ever waited for: of a chain made anew, by none."""
        first = self._first = self._first or known
        return look_s(first, self._newest or known)

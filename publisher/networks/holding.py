# SPDX-License-Identifier: Apache-2.0
"""A command that holds the leases of all clusters of a network: it asks what `core/networks/locking` says.

Questions of one round go out side by side. Renewals go on while the command works. However it ends,
with an error or by Ctrl-C too, every cluster is told; one that does not hear of it waits for the lease's
end.
"""

import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import trio

from trustedpods.protocol.errors import LocalProtocolError, NetworkFailure, TrustedPodsError
from trustedpods.protocol.networks.documents import Answer, Document
from trustedpods.protocol.networks.leases import Behind, Milliseconds
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.core.networks import locking as core
from trustedpods.publisher.core.networks.locking import Asking, Locking, Phase
from trustedpods.publisher.core.networks.telling import ending_error, waiting_line
from trustedpods.publisher.networks.connections import ClusterDoor
from trustedpods.publisher.parallel import open_nursery

RELEASE_LIMIT_S = 10.0
"""How long a command that ends tells the clusters so; then their leases run out by themselves."""

TELL_EVERY_S = 15.0
"""Between two lines of one that waits for the same command."""


class HeldNetwork:
    """All leases of a network in hand; `document` is what counts on all copies."""

    def __init__(
        self, network: str, doors: Mapping[str, ClusterDoor], locking: Locking, tell: Callable[[str], None]
    ) -> None:
        self._network = network
        self._doors = doors
        self._locking = locking
        self._tell = tell
        self._changed = trio.Event()
        self._stepped = trio.Condition()
        self._failed: TrustedPodsError | None = None
        self._last: dict[str, TrustedPodsError] = {}
        self._told, self._told_at = ("", "", False), 0.0

    @property
    def document(self) -> Document:
        """The newest document; generation 0 with no body where none was written yet."""
        return self._locking.base

    @property
    def rolled_forward(self) -> bool:
        """Whether a change that another command had begun was brought to its end first."""
        return self._locking.rolled_forward

    async def write(self, body: bytes) -> Document:
        """Let *body* be the next document, on all copies or, after an error, on none that counts alone.

        Raises Locked where a lease was lost meanwhile, NetworkFailure where a cluster does not answer,
        CopiesDiffer where a copy is not what it was. A document that was begun may count later.
        """
        self._check()
        self._locking = core.write(self._locking, body)
        written = self._locking.writing
        assert written is not None
        self._changed.set()
        await self._until(Phase.HOLDING)
        return written

    async def remove(self) -> None:
        """Let nothing of the network be kept in any cluster; the places are free with the leases' end.

        Raises as `write`. One that did not come to its end is repeated, with `locked(removing=True)`.
        """
        self._check()
        self._locking = core.remove(self._locking)
        self._changed.set()
        await self._until(Phase.HOLDING)

    # ---- the machine ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Ask and listen until the command has ended."""
        while self._locking.phase is not Phase.ENDED:
            now = _now()
            asked = core.questions(self._locking, now)
            if asked:
                await self._round(asked)
            else:
                await self._pause(now)
            async with self._stepped:
                self._stepped.notify_all()

    async def until_held(self) -> None:
        """Wait for all leases and equal copies; raises what kept them away."""
        await self._until(Phase.HOLDING)

    async def end(self) -> None:
        """Let everything go, and wait until the clusters know."""
        self._locking = core.finish(self._locking)
        self._changed.set()
        async with self._stepped:
            while self._locking.phase is not Phase.ENDED:
                await self._stepped.wait()

    async def _until(self, phase: Phase) -> None:
        async with self._stepped:
            while self._locking.phase not in (phase, Phase.ENDED):
                await self._stepped.wait()
        self._check()

    def _check(self) -> None:
        if self._failed is not None:
            raise self._failed
        if self._locking.ending is not None:
            error = ending_error(self._network, self._locking, self._last, UnixSeconds(int(time.time())))
            raise error or LocalProtocolError(f"the leases of network {self._network} were let go already")

    async def _round(self, asked: tuple[Asking, ...]) -> None:
        """Ask side by side; what came is taken when all have answered or failed."""
        sent = _now()
        answers: dict[Asking, Answer | None] = dict.fromkeys(asked)

        async def ask(asking: Asking) -> None:
            try:
                answers[asking] = await self._doors[asking.cluster].ask(asking.question)
            except NetworkFailure as error:
                self._last[asking.cluster] = error
            except TrustedPodsError as error:
                error.where = error.where or asking.cluster
                self._failed = self._failed or error

        async with open_nursery() as nursery:
            for asking in asked:
                nursery.start_soon(ask, asking)
        for asking, answer in answers.items():
            self._locking = core.answered(self._locking, asking, answer, sent, _now())
            self._tell_of(asking.cluster, answer)
        if self._failed is not None:
            self._locking = core.finish(self._locking)

    def _tell_of(self, cluster: str, answer: Answer | None) -> None:
        if not isinstance(answer, Behind) or self._locking.ending is not None:
            return
        whom, now = (cluster, answer.other.id, answer.ends_in is None), trio.current_time()
        if whom != self._told or now >= self._told_at + TELL_EVERY_S:
            self._told, self._told_at = whom, now
            self._tell(waiting_line(self._network, cluster, answer, UnixSeconds(int(time.time()))))

    async def _pause(self, now: Milliseconds) -> None:
        """Until the clock or the command has something new to ask."""
        wakes = core.wakes_at(self._locking)
        with trio.move_on_after(math.inf if wakes is None else max(0, wakes - now) / 1000):
            await self._changed.wait()
        self._changed = trio.Event()


@asynccontextmanager
async def held(
    network: str, doors: Mapping[str, ClusterDoor], locking: Locking, tell: Callable[[str], None]
) -> AsyncIterator[HeldNetwork]:
    """All leases, as *locking* begins, while the block runs; *tell* gets a line while it waits for others.

    Raises Locked (exit 5), CopiesDiffer (3), NetworkFailure (8), Refused (6).
    """
    holding = HeldNetwork(network, doors, locking, tell)
    async with open_nursery() as nursery:
        nursery.start_soon(holding.run)
        try:
            await holding.until_held()
            yield holding
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(RELEASE_LIMIT_S):
                await holding.end()
            nursery.cancel_scope.cancel()


def _now() -> Milliseconds:
    return Milliseconds(int(trio.current_time() * 1000))

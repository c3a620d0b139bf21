# SPDX-License-Identifier: Apache-2.0
"""One daemon per cluster: a file's lock sees this machine, a Lease the whole cluster.

Books in a file stay with their node: a second daemon is refused by the Lease, which names who has it.
Books in PostgreSQL move: a second daemon stands by until nobody renewed the Lease for its whole duration.
"""

import logging
import socket
from pathlib import Path

import trio

from trustedpods.protocol.errors import Locked, TrustedPodsError
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.core.leadership.lease_watch import LeaseWatch, Step, look, must_end
from trustedpods.provider.daemon.process import notify_ready
from trustedpods.provider.doors import SharedDoors
from trustedpods.provider.keys.boot import BootKeys

_log = logging.getLogger(__name__)

LEASE_NAME = "trustedpods-daemon"
LEASE_S = 30
"""So long after it was last renewed the lease is anybody's; renewed at every third of it."""

LOOK_EVERY_S = 2.0
"""A standby adds no more than this to the lease's duration."""


def holder_of(books: Path, keys: BootKeys, *, shared: bool) -> str:
    """What this daemon is called in the Lease, and in the books where they are shared.

    A daemon that was restarted has the same name and goes on at once: by its file where the books are one,
    else by its machine's boot, as it is the keys of a boot that it can go on with.
    """
    host = socket.gethostname()
    return f"{host}:{keys.boot_id.hex()[:16]}" if shared else f"{host}:{books}"


async def hold_lease(doors: SharedDoors) -> None:
    """Take or renew it; Locked when another daemon has it, NetworkFailure when nobody can say."""
    await doors.cluster.hold_lease(
        LEASE_NAME, holder_of(doors.books, doors.keys, shared=doors.shared_books), LEASE_S
    )
    doors.metrics.answered("cluster")


async def keep_lease(doors: SharedDoors) -> None:
    """Renew it. Locked ends the daemon: another has taken the cluster over, and two must not act.

    Where another may, so does a whole duration in which it could not be renewed.
    """
    renewed = trio.current_time()
    pause = LEASE_S / 3
    while True:
        await trio.sleep(pause)
        asked = trio.current_time()
        try:
            with trio.fail_after(_limit(renewed, asked, shared=doors.shared_books)):
                await hold_lease(doors)
        except Locked:
            raise
        except (TrustedPodsError, trio.TooSlowError) as error:
            _log.warning("the lease cannot be renewed: %s", str(error) or "no answer")
            if doors.shared_books and must_end(renewed, trio.current_time(), LEASE_S):
                raise Locked(
                    f"the lease {LEASE_NAME} could not be renewed for {LEASE_S} s",
                    hint="another daemon may have taken over; started again, this one stands by",
                ) from error
            pause = LOOK_EVERY_S
        else:
            renewed, pause = asked, LEASE_S / 3


def _limit(renewed: float, now: float, *, shared: bool) -> float:
    """Seconds that a renewal may take: no longer than what is left, where another daemon may take over."""
    most = LEASE_S / 3
    return max(0.0, min(most, renewed + LEASE_S - now)) if shared else most


async def stand_by(cluster: Cluster, me: str) -> None:
    """Return when the lease is this daemon's; until then another one acts, or nobody can say."""
    watch, told = LeaseWatch(), ""
    while True:
        try:
            shown = await cluster.look_at_lease(LEASE_NAME)
            watch, step = look(watch, shown, trio.current_time(), me, LEASE_S)
            if step is Step.TAKE:
                await cluster.take_lease(LEASE_NAME, me, LEASE_S, shown)
                return
            state = f"{shown.holder if shown else 'nobody'} serves this cluster"
        except TrustedPodsError as error:
            state = str(error)
        if state != told:
            _log.info("standing by: %s", state)
            told = state
            notify_ready()  # else systemd would cut the start off after a while
        await trio.sleep(LOOK_EVERY_S)


async def give_lease_back(cluster: Cluster, me: str) -> None:
    """The next daemon need not wait for its end; nothing is wrong where that cannot be said."""
    with trio.CancelScope(deadline=trio.current_time() + LOOK_EVERY_S, shield=True):
        try:
            await cluster.release_lease(LEASE_NAME, me)
        except TrustedPodsError as error:
            _log.warning("the lease cannot be given back: %s", error)

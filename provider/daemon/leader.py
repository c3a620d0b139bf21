# SPDX-License-Identifier: Apache-2.0
"""One daemon per cluster: a file's lock sees this machine, a Lease the whole cluster.

Books in a file stay with their node: a second daemon is refused by the Lease, which names who has it.
Books in PostgreSQL move: a second daemon stands by until nobody renewed the Lease for its whole duration.
"""

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from trustedpods.protocol.errors import Locked, TrustedPodsError
from trustedpods.provider.cluster.client import Cluster
from trustedpods.provider.core.leadership.lease_watch import LeaseWatch, Step, look, must_end
from trustedpods.provider.daemon.own_facade import NO_FACADE, OwnFacade, Silence, rests
from trustedpods.provider.daemon.process import notify_standing_by
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
    me = holder_of(doors.books, doors.keys, shared=doors.shared_books)
    await doors.cluster.hold_lease(LEASE_NAME, me, LEASE_S)
    doors.metrics.answered("cluster")


async def keep_lease(doors: SharedDoors) -> None:
    """Renew it, for books that stay with their node. Locked: another daemon has it, and two must not act.

    Where nobody can say, the daemon goes on: no other one is there that could take over.
    """
    pause = LEASE_S / 3
    while True:
        await trio.sleep(pause)
        try:
            with trio.fail_after(LEASE_S / 3):
                await hold_lease(doors)
        except Locked:
            raise
        except (TrustedPodsError, trio.TooSlowError) as error:
            _log.warning(_NOT_RENEWED, str(error) or _SILENT)
            pause = LOOK_EVERY_S
        else:
            pause = LEASE_S / 3


_NOT_RENEWED, _SILENT = "the lease cannot be renewed: %s", "no answer"


async def keep_asking(doors: SharedDoors) -> None:
    """Note that the cluster answers, where no renewal with these doors does. Never returns."""
    while True:
        await doors.cluster.look_at_lease(LEASE_NAME)
        doors.metrics.answered("cluster")
        await trio.sleep(LEASE_S / 3)


@asynccontextmanager
async def leading(cluster: Cluster, me: str, facade: OwnFacade = NO_FACADE) -> AsyncIterator[None]:
    """Wait until the lease is this daemon's; in the block it is renewed, and given back behind it.

    Locked ends the block where another took it, and where it could not be renewed for its whole duration.
    The facade rests whenever another daemon leads, or may lead.
    """
    renewed = await stand_by(cluster, me, facade)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(_lead, cluster, me, renewed, facade, nursery.cancel_scope))
            yield
            nursery.cancel_scope.cancel()
    except* Locked:
        with trio.CancelScope(shield=True):
            await rests(facade)  # HAProxy may have been away, and what was ending may have published
        raise
    finally:
        await give_lease_back(cluster, me)


async def _lead(
    cluster: Cluster, me: str, renewed: float, facade: OwnFacade, block: trio.CancelScope
) -> None:
    """The facade rests while the *block* still ends: that may take longer than another one waits."""
    try:
        await _keep_leading(cluster, me, renewed)
    except Locked:
        block.cancel()
        with trio.CancelScope(shield=True):
            await rests(facade)
        raise


async def _keep_leading(cluster: Cluster, me: str, renewed: float) -> None:
    """Renew what was asked for at *renewed*; Locked no later than a duration after the last that was made."""
    next_try = renewed + LEASE_S / 3
    while True:
        end = renewed + LEASE_S
        await trio.sleep_until(min(next_try, end))
        asked = trio.current_time()
        try:
            with trio.fail_after(max(0.0, min(LEASE_S / 3, end - asked))):
                await cluster.hold_lease(LEASE_NAME, me, LEASE_S)
        except Locked:
            raise
        except (TrustedPodsError, trio.TooSlowError) as error:
            _log.warning(_NOT_RENEWED, str(error) or _SILENT)
            if must_end(renewed, trio.current_time(), LEASE_S):
                raise Locked(
                    f"the lease {LEASE_NAME} could not be renewed for {LEASE_S} s",
                    hint="another daemon may have taken over; started again, this one stands by",
                ) from error
            next_try = trio.current_time() + LOOK_EVERY_S
        else:
            renewed, next_try = asked, asked + LEASE_S / 3


async def stand_by(cluster: Cluster, me: str, facade: OwnFacade = NO_FACADE) -> float:
    """Return when the lease is this daemon's: the time at which it was asked for, from which it counts.

    Until then another daemon acts, or nobody can say. The facade rests once another one is seen to act, or
    could have begun to.
    """
    async with trio.open_nursery() as nursery:
        asked = await _stand_by(cluster, me, facade, nursery)
        nursery.cancel_scope.cancel()
    return asked


async def _stand_by(cluster: Cluster, me: str, facade: OwnFacade, nursery: trio.Nursery) -> float:
    watch, told, silence = LeaseWatch(), "", Silence(facade, nursery, LEASE_S)
    while True:
        try:
            shown = await cluster.look_at_lease(LEASE_NAME)
            silence.another()  # whoever has it, it is not this daemon
            watch, step = look(watch, shown, trio.current_time(), me, LEASE_S)
            if step is Step.TAKE:
                asked = trio.current_time()
                await cluster.take_lease(LEASE_NAME, me, LEASE_S, shown)
                return asked
            state = f"{shown.holder if shown else 'nobody'} serves this cluster"
        except TrustedPodsError as error:
            state = str(error)
        await silence.look()
        if state != told:
            _log.info("standing by: %s", state)
            notify_standing_by()
            told = state
        await trio.sleep(LOOK_EVERY_S)


async def give_lease_back(cluster: Cluster, me: str) -> None:
    """The next daemon need not wait for its end; nothing is wrong where that cannot be said."""
    with trio.CancelScope(deadline=trio.current_time() + LOOK_EVERY_S, shield=True):
        try:
            await cluster.release_lease(LEASE_NAME, me)
        except TrustedPodsError as error:
            _log.warning("the lease cannot be given back: %s", error)

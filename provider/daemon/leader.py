# SPDX-License-Identifier: Apache-2.0
"""One daemon per cluster: the store's lock sees this machine, a Lease the whole cluster."""

import logging
import socket

import trio

from trustedpods.protocol.errors import Locked, TrustedPodsError
from trustedpods.provider.doors import SharedDoors

_log = logging.getLogger(__name__)

LEASE_NAME = "trustedpods-daemon"
LEASE_S = 30
"""So long after it was last renewed the lease is anybody's; renewed at every third of it."""


async def hold_lease(doors: SharedDoors) -> None:
    """Take or renew it; Locked when another daemon has it, NetworkFailure when nobody can say."""
    await doors.cluster.hold_lease(LEASE_NAME, _holder(doors), LEASE_S)
    doors.metrics.answered("cluster")


async def keep_lease(doors: SharedDoors) -> None:
    """Renew it. Locked ends the daemon: another has taken the cluster over, and two must not act."""
    while True:
        await trio.sleep(LEASE_S / 3)
        try:
            await hold_lease(doors)
        except Locked:
            raise
        except TrustedPodsError as error:
            _log.warning("the lease cannot be renewed: %s", error)


def _holder(doors: SharedDoors) -> str:
    """The store's path names the holder: a restarted daemon of the same store takes the lease at once."""
    return f"{socket.gethostname()}:{doors.books}"

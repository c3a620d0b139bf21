# SPDX-License-Identifier: Apache-2.0
"""Keeps a task of the daemon going: a bug met by one look must not end all pods' care."""

import logging
from collections.abc import Awaitable, Callable

import trio

from trustedpods.protocol.errors import TrustedPodsError

_log = logging.getLogger(__name__)

PAUSE_S = 2.0


async def supervise(name: str, task: Callable[[], Awaitable[None]]) -> None:
    """Run *task* for ever; what it raises is logged, and it begins again after a moment."""
    while True:
        try:
            await task()
        except TrustedPodsError as error:
            _log.warning("%s: %s; it begins again", name, error)
            await trio.sleep(PAUSE_S)
        except Exception:  # noqa: BLE001 - the next look may well succeed
            _log.exception("%s failed; it begins again", name)
            await trio.sleep(PAUSE_S)

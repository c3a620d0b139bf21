# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is to sign a permit: ERC-2612 has one nonce for each holder, used strictly in order.

Two payments that are signed at once take the same nonce, and the second fails on chain. So they
take turns, tasks by a lock and processes by a lock file, from the reading of the nonce until the
payment is in a block. Another machine with the same key is not seen: for it the payment is retried.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from trustedpods.protocol.errors import Locked, NoContext
from trustedpods.protocol.lockfile import open_lock, taken
from trustedpods.protocol.whole_file import private_folder

TURN_WITHIN_S = 600.0
"""Fifty payments before this one, each waiting for a block of Ethereum's twelve seconds."""

_POLL_S = 0.05


class PermitLock:
    """A turn that can be given up before its block ends; giving it up twice does nothing."""

    def __init__(self, lock: trio.Lock, descriptor: int | None) -> None:
        self._lock = lock
        self._descriptor = descriptor
        self._held = True

    def give_up(self) -> None:
        """Let the next one sign; only by the task that has the turn."""
        if self._held:
            self._held = False
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._lock.release()


@asynccontextmanager
async def permit_turn(lock: trio.Lock, path: Path | None) -> AsyncIterator[PermitLock]:
    """Wait for the turn among this process's tasks (*lock*) and those processes that share *path*.

    Raises `Locked` when it does not come in time, `NoContext` when the lock file cannot be made.
    """
    await lock.acquire()
    turn = PermitLock(lock, None)
    try:
        if path is not None:
            turn = PermitLock(lock, await _locked(path))
        yield turn
    finally:
        turn.give_up()


async def _locked(path: Path) -> int:
    try:
        private_folder(path.parent)
        descriptor = open_lock(path)
    except OSError as error:
        raise NoContext(f"no lock file can be made: {error.strerror}", where=str(path)) from None
    try:
        with trio.fail_after(TURN_WITHIN_S):
            while not taken(descriptor):  # noqa: ASYNC110  a file lock wakes nobody
                await trio.sleep(_POLL_S)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, trio.TooSlowError):
            raise Locked(
                "other payments of this key are not done",
                where=str(path),
                hint="see what they wait for; the same command again goes on",
            ) from None
        raise
    return descriptor

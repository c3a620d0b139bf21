# SPDX-License-Identifier: Apache-2.0
"""Each request counts once: remembered in the books, and in memory while those cannot be written."""

from trustedpods.protocol.errors import Refused, StoreFailure
from trustedpods.protocol.sealing.requests import OpenedRequest
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.doors import SharedDoors
from trustedpods.provider.store import history

MAX_IN_MEMORY = 4096
"""Requests of five minutes, at 13 a second; behind that nothing more is answered until the books are well."""

WITHOUT_BOOKS = frozenset({"admit", "status", "logs", "usage", "delete", "network"})
"""Verbs that are answered while the books cannot be written: none gives anybody anything, and after a restart
within those minutes a repeated one only reads for its sender, or deletes what its publisher has deleted.
A question about a network may always be repeated: it names its attempt, and its answer goes to its sender."""


class SeenRequests:
    """Refuses what was seen before."""

    def __init__(self, doors: SharedDoors) -> None:
        self._doors = doors
        self._unwritten: dict[bytes, UnixSeconds] = {}

    async def use(self, request: OpenedRequest) -> None:
        """Refused (rule `replay`) the second time; StoreFailure where nobody can remember it."""
        now, expiry = self._doors.now(), UnixSeconds(request.expiry)
        self._check(request.nonce)
        try:
            await self._doors.store.write(history.use_nonce, request.nonce, expiry, now)
        except StoreFailure:
            if request.verb not in WITHOUT_BOOKS or len(self._unwritten) >= MAX_IN_MEMORY:
                raise
            self._check(request.nonce)  # another may have come meanwhile
            self._unwritten[request.nonce] = expiry
            if await self._doors.store.read(history.nonce_seen, request.nonce):
                raise Refused("this request was seen before", rule="replay") from None
        finally:
            self._unwritten = {nonce: until for nonce, until in self._unwritten.items() if until >= now}

    def _check(self, nonce: bytes) -> None:
        if nonce in self._unwritten:
            raise Refused("this request was seen before", rule="replay")

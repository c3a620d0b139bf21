# SPDX-License-Identifier: Apache-2.0
"""All clusters of one network, opened: read side by side, or held together."""

import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import trio

from trustedpods.protocol.errors import LocalProtocolError, TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.protocol.net import open_host
from trustedpods.protocol.networks.documents import Copy, Document, Question, ReadCopy
from trustedpods.protocol.networks.leases import (
    NO_TICKET,
    AskLease,
    Attempt,
    Command,
    LeaseStatus,
    Milliseconds,
)
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.core.networks.copies import BeingWritten, Equal, Unequal, compare
from trustedpods.publisher.core.networks.locking import begin
from trustedpods.publisher.core.networks.telling import unequal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.networks.connections import ClusterConnection, ClusterDaemon, ClusterDoor
from trustedpods.publisher.networks.holding import HeldNetwork, held
from trustedpods.publisher.parallel import open_nursery

T = TypeVar("T", Copy, LeaseStatus)

LOOKS = 5
"""At copies that differ. For one look to see what never was, somebody writes twice while it lasts."""


@dataclass(frozen=True, slots=True)
class NetworkClusters:
    """A network and the doors to its clusters, in the order in which leases are asked for."""

    name: str
    who: Address
    doors: Mapping[str, ClusterDoor]
    tell: Callable[[str], None]

    async def copies(self) -> dict[str, Copy | TrustedPodsError]:
        """Each cluster's copy, or why it could not be read. No lease is needed.

        Somebody may write meanwhile, and clusters answer at different moments. So copies that no write
        explains are looked at again: those that are the same twice stood like that at one moment.
        """
        found = await self._ask_all(ReadCopy(), Copy)
        for _ in range(LOOKS - 1):
            read = _read(found)
            if not read or not isinstance(compare(read), Unequal):
                break
            found = await self._ask_all(ReadCopy(), Copy)
            if _read(found) == read:
                break
        return found

    async def all_copies(self) -> dict[str, Copy]:
        """Each cluster's copy. Raises what a cluster failed with."""
        copies: dict[str, Copy] = {}
        for name, copy in (await self.copies()).items():
            if isinstance(copy, TrustedPodsError):
                raise copy
            copies[name] = copy
        return copies

    async def leases(self) -> dict[str, LeaseStatus | TrustedPodsError]:
        """Each cluster's lease, or why it is not known."""
        return await self._ask_all(AskLease(), LeaseStatus)

    async def read(self) -> Document:
        """What counts: without a lease, and so perhaps not for long.

        Raises what a cluster failed with; CopiesDiffer where no write explains how copies differ.
        """
        copies = await self.all_copies()
        match compare(copies):
            case Equal(document):
                return document
            case BeingWritten(base):
                return base
            case _:
                raise unequal(self.name, copies)

    def locked(
        self, what: str, wait_s: float = 0.0, repair_from: str | None = None, *, removing: bool = False
    ) -> AbstractAsyncContextManager[HeldNetwork]:
        """All leases while the block runs; *what* is what others are told of this command.

        Others are waited for *wait_s* seconds. With *repair_from* copies that are unequal become that
        cluster's; with *removing* some may be gone already.
        """
        attempt = Attempt(NO_TICKET, secrets.token_hex(16), self.who)
        command = Command(what, socket.gethostname(), UnixSeconds(int(time.time())))
        patient_until = Milliseconds(int((trio.current_time() + wait_s) * 1000))
        locking = begin(
            tuple(self.doors), attempt, command, patient_until, repair_from=repair_from, removing=removing
        )
        return held(self.name, self.doors, locking, self.tell)

    async def _ask_all(self, question: Question, kind: type[T]) -> dict[str, T | TrustedPodsError]:
        found: dict[str, T | TrustedPodsError] = {}

        async def ask(name: str, door: ClusterDoor) -> None:
            try:
                answer = await door.ask(question)
                if not isinstance(answer, kind):
                    raise LocalProtocolError(f"{type(question).__name__} was answered with {answer}")
                found[name] = answer
            except TrustedPodsError as error:
                error.where = error.where or name
                found[name] = error

        async with open_nursery() as nursery:
            for name, door in self.doors.items():
                nursery.start_soon(ask, name, door)
        return {name: found[name] for name in self.doors}


def _read(found: Mapping[str, Copy | TrustedPodsError]) -> dict[str, Copy]:
    return {name: copy for name, copy in found.items() if isinstance(copy, Copy)}


@asynccontextmanager
async def open_clusters(
    account: MarketAccount,
    founder: Address,
    name: str,
    daemons: Mapping[str, ClusterDaemon],
    tell: Callable[[str], None],
) -> AsyncIterator[NetworkClusters]:
    """The network *name* of *founder* at these *daemons*, by the clusters' names.

    Nobody is dialled before something is asked. The order of leases is that of the daemons' addresses,
    so it is the same for everybody, whatever people call their clusters.
    """
    order = sorted(daemons, key=lambda one: (daemons[one].owner.lower(), daemons[one].daemon))
    async with open_host(None, []) as host, open_nursery() as nursery:
        doors = {one: ClusterConnection(account, host, daemons[one], founder, name) for one in order}
        for door in doors.values():
            nursery.start_soon(door.serve)
        yield NetworkClusters(name, account.publisher.address, doors, tell)
        nursery.cancel_scope.cancel()

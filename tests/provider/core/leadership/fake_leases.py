# SPDX-License-Identifier: Apache-2.0
"""The Lease by which one of several daemons acts, as a fake cluster keeps it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trustedpods.protocol.errors import Locked
from trustedpods.provider.core.leadership.lease_watch import LeaseView


@dataclass
class FakeLeases:
    """Who holds each lease and until when, by the cluster's clock; every write makes a new version."""

    leases: dict[str, tuple[str, int]] = field(default_factory=dict)
    lease_writes: Counter = field(default_factory=Counter)
    clock: int = 0
    uid: str = "11111111-2222-4333-8444-555555555555"
    """Of the cluster."""

    if TYPE_CHECKING:

        async def _called(self, what: str) -> None: ...

    async def identity(self) -> str:
        await self._called("identity")
        return self.uid

    async def hold_lease(self, name: str, holder: str, seconds: int) -> None:
        await self._called(f"lease {name}")
        other, until = self.leases.get(name, (holder, 0))
        if other != holder and until > self.clock:
            raise Locked(f"{other} holds the lease {name}")
        self._write(name, holder, seconds)

    async def look_at_lease(self, name: str) -> LeaseView | None:
        await self._called(f"look at lease {name}")
        if name not in self.leases:
            return None
        return LeaseView(self.leases[name][0], str(self.lease_writes[name]))

    async def take_lease(self, name: str, holder: str, seconds: int, shown: LeaseView | None) -> None:
        if await self.look_at_lease(name) != shown:
            raise Locked(f"somebody renewed the lease {name} meanwhile")
        self._write(name, holder, seconds)

    async def release_lease(self, name: str, holder: str) -> None:
        await self._called(f"release {name}")
        if self.leases.get(name, ("", 0))[0] == holder:
            del self.leases[name]

    def _write(self, name: str, holder: str, seconds: int) -> None:
        self.leases[name] = (holder, self.clock + seconds)
        self.lease_writes[name] += 1

# SPDX-License-Identifier: Apache-2.0
"""Whom the operator lets in: nobody while the provider is drained, and no publisher on the deny list.

The rules stand in the books, so that they hold after a restart, and at the daemon that takes over.
"""

from dataclasses import replace

import trio

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.store import Store
from trustedpods.provider.store.operator import rules as kept
from trustedpods.provider.store.operator.rules import Rules

MAX_DENIED = 10_000
"""Publishers that are kept out; keys are free, so the list is for nuisances, not for security."""


class Gate:
    """The rules, as they stand in *store*: what is changed here is in the books first."""

    def __init__(self, store: Store, rules: Rules) -> None:
        self._store = store
        self._changing = trio.Lock()
        self.rules = rules

    @classmethod
    async def open(cls, store: Store) -> "Gate":
        """With the rules that hold now. `StoreFailure` when they cannot be read."""
        return cls(store, await store.read(kept.load))

    def check(self, publisher: Address | None = None) -> None:
        """Refused while nobody new may come, or when *publisher* may not."""
        if self.rules.draining is not None:
            raise Refused(
                f"this provider takes no pods: {self.rules.draining}",
                rule="draining",
                hint="take another one",
            )
        if publisher is not None:
            self.check_key(publisher)

    def check_key(self, publisher: Address) -> None:
        """Refused where the operator does not serve this key; also while the provider is drained."""
        if publisher in self.rules.denied:
            raise Refused("this provider's operator does not serve this key", rule="denied")

    async def drain(self, reason: str | None, at: UnixSeconds | None = None) -> None:
        """From now on nobody comes in, for that reason, and who is here goes *at* that time.

        None opens the gate again.
        """
        async with self._changing:
            await self._store.write(kept.drain, reason, at)
            self.rules = replace(self.rules, draining=reason, drain_at=at)

    async def deny(self, publisher: Address) -> None:
        """Keep a publisher out; Refused when the list is full."""
        async with self._changing:
            if len(self.rules.denied) >= MAX_DENIED:
                raise Refused(f"the deny list holds {MAX_DENIED} keys already", rule="deny-list")
            await self._store.write(kept.deny, publisher)
            self.rules = replace(self.rules, denied=self.rules.denied | {publisher})

# SPDX-License-Identifier: Apache-2.0
"""Claims that are carried side by side, over channels of which each is in one of them.

A claim that cannot be sent, or is not mined for long, holds up nobody but its own channels.
"""

from collections.abc import Callable, Collection, Iterable

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.billing.submission import ClaimSubmission
from trustedpods.provider.store.claims import OPEN_STATES, StoredClaim

TellFailure = Callable[[TrustedPodsError], None]
"""Told why a claim could not be carried on; it is met again at the next look."""


class ClaimsUnderWay:
    """Carries each claim once at a time, whoever asks. *landed* is told of each that was carried."""

    def __init__(self, sending: ClaimSubmission, landed: Callable[[StoredClaim], None]) -> None:
        self._sending = sending
        self._landed = landed
        self._ends: dict[bytes, trio.Event] = {}

    @property
    def roots(self) -> Collection[bytes]:
        """Of the claims that are carried now."""
        return frozenset(self._ends)

    def start(self, nursery: trio.Nursery, claim: StoredClaim, failed: TellFailure) -> None:
        """Carry *claim* on in *nursery*, unless it is carried already."""
        if claim.root not in self._ends:
            self._ends[claim.root] = trio.Event()
            nursery.start_soon(self._carry, claim, failed, {})

    async def carry(
        self, claims: Iterable[StoredClaim], failed: TellFailure | None = None
    ) -> dict[bytes, bytes | None]:
        """Carry all of them on, or wait for who does; the transactions of those that have one, by root.

        Without *failed* raises why the first failed, once all have had their turn.
        """
        failures: list[TrustedPodsError] = []
        transactions: dict[bytes, bytes | None] = {}
        async with trio.open_nursery() as nursery:
            for claim in claims:
                nursery.start_soon(self._carry_in_turn, claim, failed or failures.append, transactions)
        if failures:
            raise failures[0]
        return transactions

    async def _carry_in_turn(
        self, claim: StoredClaim, failed: TellFailure, transactions: dict[bytes, bytes | None]
    ) -> None:
        """Whoever had to wait takes the claim as it is then: it may be over."""
        try:
            while (end := self._ends.get(claim.root)) is not None:
                await end.wait()
                claim = await self._sending.now(claim.root)
                transactions[claim.root] = claim.tx
        except TrustedPodsError as error:
            failed(error)
            return
        if claim.state in OPEN_STATES:
            self._ends[claim.root] = trio.Event()
            await self._carry(claim, failed, transactions)

    async def _carry(
        self, claim: StoredClaim, failed: TellFailure, transactions: dict[bytes, bytes | None]
    ) -> None:
        """One turn of a claim that is among those that are carried."""
        try:
            transactions[claim.root] = await self._sending.advance(claim)
            self._landed(claim)
        except TrustedPodsError as error:
            failed(error)
        finally:
            self._ends.pop(claim.root).set()

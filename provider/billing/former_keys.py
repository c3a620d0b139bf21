# SPDX-License-Identifier: Apache-2.0
"""After a change of the operator's key: what the former key sent comes to its end, and its coin is handed on.

Until the first is done nothing is sent with the present key, so no claim is sent by both. It is read from the
books at each start, so a daemon that is killed in between goes on with it.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import trio

from trustedpods.contracts.client.signers.signer import FormerSigner, SigningKey
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.provider.billing.fees import note_fee
from trustedpods.provider.core.operator_key.rotation import movable
from trustedpods.provider.doors import Doors
from trustedpods.provider.keys.operator_files import FormerKey, read_operator_keys
from trustedpods.provider.store.operator.transactions import unfinished_of

_log = logging.getLogger(__name__)

RETRY_S = 15.0
LOOK_EVERY_S = 3600.0
"""Coin may come to a former key later, as from somebody who knows its address alone."""

MOST_WAIT_S = 900.0
"""Then the present key sends all the same, at each start anew. What is not mined by then, at fees that were
raised where the key is here, may never be. A claim that cannot wait so long goes before (`submission.py`).
Should both land, the contract pays a period once: the second costs its gas."""


@dataclass(frozen=True, slots=True)
class HandoverTimes:
    """How long the former key's transactions are waited for, and how often its coin is looked for."""

    most_wait_s: float = MOST_WAIT_S
    look_every_s: float = LOOK_EVERY_S


USUAL_TIMES = HandoverTimes()


class FormerKeys:
    """Of one running daemon."""

    def __init__(self, doors: Doors, times: HandoverTimes = USUAL_TIMES) -> None:
        self._doors = doors
        self._times = times
        self._path = Path(doors.config.identity.operator_key_file)
        self._current = address_of(doors.operator_key)
        self._said: dict[str, str] = {}

    async def begin(self) -> None:
        """Shut the gate where something of a former key is under way, before anything is sent."""
        if left := await self._left():
            _log.info("nothing is sent before what former operator's keys sent is final: %s", ", ".join(left))
            self._doors.sending.shut()

    async def run(self) -> None:
        """Settle, then hand coin on, now and whenever there is some; never returns."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._open_in_time)
            while True:
                settled, handed_on = await self._settled(), await self._handed_on()
                if settled and handed_on:
                    self._said.clear()
                await trio.sleep(self._times.look_every_s if settled and handed_on else RETRY_S)

    async def _open_in_time(self) -> None:
        """What was sent is brought to its end behind the open gate too."""
        await trio.sleep(self._times.most_wait_s)
        if self._doors.sending.is_shut:
            _log.error("what a former operator's key sent is still not final; it is waited for no longer")
            self._doors.sending.open()

    async def _left(self) -> list[Address]:
        """Former keys with something under way."""
        found = await self._doors.store.read(unfinished_of, self._doors.config.market.chain_id)
        return sorted(found.keys() - {self._current})

    async def _settled(self) -> bool:
        """Bring to its end what former keys sent, as far as it goes now; whether nothing is left."""
        try:
            for address in await self._left():
                await self._brought_to_end(address)
            if await self._left():
                return False
        except TrustedPodsError as error:
            self._warn("the books do not say what former operator's keys sent: %s", error)
            return False
        self._doors.sending.open()
        return True

    async def _brought_to_end(self, address: Address) -> None:
        """All that this key sent, as far as it goes now."""
        try:
            signer = await trio.to_thread.run_sync(self._signer, address)
            for transaction in await self._doors.chain.resume(signer, told=True):
                await note_fee(self._doors, transaction)
        except TrustedPodsError as error:
            self._warn(f"what the former operator's key {address} sent is not final: %s", error)

    def _warn(self, words: str, error: TrustedPodsError) -> None:
        """Once for each cause, not at each look."""
        if self._said.get(words) != str(error):
            self._said[words] = str(error)
            _log.warning(words, error)

    def _signer(self, address: Address) -> SigningKey:
        """The key itself where it is here, which may raise fees; else what only looks and sends again."""
        former = self._former()
        if former is not None and former.address == address and former.key is not None:
            return former.key
        return FormerSigner(address)

    def _former(self) -> FormerKey | None:
        return read_operator_keys(self._path).former

    async def _handed_on(self) -> bool:
        """Send the former key's coin to the present one; whether none is left that would be worth its gas."""
        try:
            former = await trio.to_thread.run_sync(self._former)
            if former is None or former.key is None or former.address == self._current:
                return True
            if former.address in await self._left():
                return False  # its fees may still be raised
            chain = self._doors.chain
            amount = movable(await chain.gas_balance(former.address), await chain.gas_price())
            if not amount:
                return True
            receipt = await chain.send_gas(former.key, self._current, amount)
            await note_fee(self._doors, receipt.tx_hash)
        except TrustedPodsError as error:
            self._warn("the former operator's coin is not handed on yet: %s", error)
        else:
            _log.info("%d wei of the former operator's key %s went to the new one", amount, former.address)
        return False

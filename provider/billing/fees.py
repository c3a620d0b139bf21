# SPDX-License-Identifier: Apache-2.0
"""What the operator's key paid for gas, read from the chain and kept in the books. Nothing waits for it."""

import logging

import trio

from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.ids import Address
from trustedpods.provider.core.earnings.sums import DAY_S
from trustedpods.provider.doors import Doors
from trustedpods.provider.store.operator import earnings
from trustedpods.provider.store.operator.transactions import has_sent

_log = logging.getLogger(__name__)

EVERY_S = float(DAY_S)
"""A fee is read when its claim becomes final. This is for claims whose daemon was killed just then, and for
those from before fees were read."""

FIRST_AFTER_S = 300.0

AT_ONCE = 100
"""Claims of which the fee is asked for together: what a node forgot of the newest, it forgot of all."""


async def keep_fees(doors: Doors) -> None:
    """Read fees that are missing, once a day. Never returns."""
    await trio.sleep(FIRST_AFTER_S)
    while True:
        await fill_fees(doors)
        await trio.sleep(EVERY_S)


async def fill_fees(doors: Doors) -> None:
    """Book what the newest final claims cost of which it is not known. StoreFailure without books."""
    for claim in await doors.store.read(earnings.feeless, AT_ONCE):
        await note_fee(doors, claim.transaction)


async def note_fee(doors: Doors, transaction: bytes) -> None:
    """Book on the day of its block what *transaction* cost us: nothing where somebody else sent it.

    Never fails: what was earned does not hang on what is told of it. What could not be read stays unknown.
    """
    try:
        if await doors.store.read(earnings.has_fee, transaction):
            return
        fee = await doors.chain.fee(transaction)
        if fee is not None:
            wei = fee.wei if await _is_ours(doors, fee.sender) else 0
            await doors.store.write(earnings.save_fee, transaction, fee.at, wei)
    except TrustedPodsError as error:
        _log.warning("what transaction 0x%s cost is not known: %s", transaction.hex(), error)


async def _is_ours(doors: Doors, sender: Address) -> bool:
    """Whether it is the operator's key, or one that he had before: a claim outlives a change of keys."""
    if sender == address_of(doors.operator_key):
        return True
    return await doors.store.read(has_sent, doors.config.market.chain_id, sender)

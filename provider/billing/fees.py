# SPDX-License-Identifier: Apache-2.0
"""What the operator's key paid for gas, read from the chain and kept in the books. Nothing waits for it."""

import logging

from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.doors import Doors
from trustedpods.provider.store.operator import earnings

_log = logging.getLogger(__name__)


async def note_fee(doors: Doors, transaction: bytes) -> None:
    """Book what *transaction* cost us: nothing where somebody else sent it. Unknown where that fails.

    Never fails: what was earned does not hang on what is told of it.
    """
    try:
        if await doors.store.read(earnings.has_fee, transaction):
            return
        fee = await doors.chain.fee(transaction)
        if fee is not None:
            ours = fee.sender == address_of(doors.operator_key)
            await doors.store.write(earnings.save_fee, transaction, doors.now(), fee.wei if ours else 0)
    except TrustedPodsError as error:
        _log.warning("what transaction 0x%s cost is not known: %s", transaction.hex(), error)

# SPDX-License-Identifier: Apache-2.0
"""Keeps the registry row true: after a reboot the daemon has another peer id, and so another address.

The operator's key may change endpoint and profile, nothing else: the row itself, its prices and
its class are the owner's to write.
"""

import hashlib
import logging

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.billing.fees import note_fee
from trustedpods.provider.billing.gas import may_send
from trustedpods.provider.core.earnings.gas import HEARTBEAT_GAS, row_urgency
from trustedpods.provider.doors import Doors
from trustedpods.provider.tee.chip import own_chip

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 3600.0
"""A row changes by others' hands only when its owner registers again."""

RETRY_S = 15.0

HEARTBEAT_EVERY_S = 24 * 3600
"""Clients leave out a row that nobody touched for three days; an update counts too. Some 30,000 gas."""

LISTED_FOR_S = 3 * 24 * 3600
"""Those three days: a day without gas for it does no harm, a third one would."""

ROW = "row"
"""What waits, where the row's heartbeat does."""


async def keep_registry_row(doors: Doors, profile: bytes, endpoint: str) -> None:
    """Look at the row now and then, and mend it. Never returns."""
    while True:
        pause = LOOK_EVERY_S
        try:
            await mend_registry_row(doors, profile, endpoint)
        except TrustedPodsError as error:
            _log.warning("the registry row cannot be kept: %s", error)
            pause = RETRY_S
        await trio.sleep(pause)


async def mend_registry_row(doors: Doors, profile: bytes, endpoint: str) -> bool:
    """Update endpoint and profile if they are others, else say once a day that the row is kept.

    A row that its owner never wrote is not made here. Returns whether something had to be changed.
    Refused (rule "Denied") when the owner has not named this operator.
    """
    await doors.sending.passed()
    row = await doors.chain.provider(doors.owner, doors.config.identity.daemon)
    if row is not None and any(row.chip_digest) and row.chip_digest != await own_chip(doors.collector):
        _log.error("the registry row names another machine, so publishers refuse this one: register again")
    digest = hashlib.sha256(profile).digest()
    if row is None:
        return False
    if (row.endpoint, row.profile_digest) == (endpoint, digest):
        head = await doors.chain.head()
        if head.time < row.updated_at + HEARTBEAT_EVERY_S:
            doors.gas.waits(ROW, 0)
            return False
        urgency = row_urgency(row.updated_at, LISTED_FOR_S, doors.now())
        if not (await may_send(doors, ROW, HEARTBEAT_GAS, urgency)).send:
            return False
        try:
            receipt = await doors.chain.heartbeat(doors.operator_key, row.owner, row.daemon)
            await note_fee(doors, receipt.tx_hash)
        finally:
            doors.gas.sending.pop(ROW, None)
        return True
    receipt = await doors.chain.update_row(doors.operator_key, row.owner, row.daemon, digest, endpoint)
    await note_fee(doors, receipt.tx_hash)
    doors.gas.waits(ROW, 0)
    _log.info("the registry row points to %s now", endpoint)
    return True

# SPDX-License-Identifier: Apache-2.0
"""Keeps the books small: once a day what is older than `store.keep_days`, and settled, goes out of them."""

import logging

import trio

from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.earnings.sums import DAY_S
from trustedpods.provider.doors import Doors
from trustedpods.provider.store.operator import pruning

_log = logging.getLogger(__name__)

EVERY_S = float(DAY_S)
FIRST_AFTER_S = 600.0
"""A start has other work than this."""

TOGETHER = 50
"""Pods in one transaction: of most of them nothing goes, and a look at each takes some 0.5 ms."""

PAUSE_S = 0.05
"""Between portions of a backlog: the books are everybody's."""


async def keep_pruned(doors: Doors) -> None:
    """Prune again and again. Never returns."""
    await trio.sleep(FIRST_AFTER_S)
    while True:
        counted, periods = await prune_books(doors)
        if counted or periods:
            _log.info(
                "%d old rows of what was counted went, %d old periods are kept by day", counted, periods
            )
        await trio.sleep(EVERY_S)


async def prune_books(doors: Doors) -> tuple[int, int]:
    """Prune once, to the end: rows of what was counted that went, and claimed periods put together.

    Raises StoreFailure where the books cannot be written; what was done by then is whole. NetworkFailure
    without a chain: it bounds how far the machine's clock, that may be set wrong, is believed.
    """
    now = min(doors.now(), (await doors.chain.head()).time)
    before = UnixSeconds(now - doors.config.store.keep_days * DAY_S)
    counted, periods, last = 0, 0, ""
    while channels := await doors.store.read(pruning.channels_after, last, TOGETHER):
        done = await doors.store.write(pruning.prune, channels, before)
        counted, periods = counted + done.counted, periods + done.periods
        if done.more:
            await trio.sleep(PAUSE_S)
        else:
            last = channels[-1]
    old = await doors.store.read(pruning.old_claims, before)
    for at in range(0, len(old), pruning.MAX_CLAIMS):
        await doors.store.write(pruning.prune_claims, old[at : at + pruning.MAX_CLAIMS])
    return counted, periods

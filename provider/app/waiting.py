# SPDX-License-Identifier: Apache-2.0
"""Waiting at a machine's start, when all parts of the provider start at once."""

import logging

import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.app.doors import Doors

_log = logging.getLogger(__name__)

DOORS_WITHIN_S = 120.0
"""How long the daemon waits at its start for chain, cluster and facade."""


async def wait_for_doors(doors: Doors) -> None:
    """At the start of a machine everything starts at once: wait for the others, then say who is missing."""
    deadline = trio.current_time() + DOORS_WITHIN_S
    for name, ask in (
        ("chain", doors.chain.check_market),
        ("cluster", doors.cluster.version),
        ("registry", doors.registry.ping),
    ):
        while True:
            try:
                await ask()
            except NetworkFailure as error:
                if trio.current_time() > deadline:
                    raise
                _log.info("waiting for the %s: %s", name, error)
                await trio.sleep(0.5)
            else:
                break

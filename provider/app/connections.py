# SPDX-License-Identifier: Apache-2.0
"""Connections that have been open for longer than a pod's `maxConnectionAge`, and who keeps pods awake."""

import logging

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.app.bundles import Bundles
from trustedpods.provider.app.doors import Doors
from trustedpods.provider.app.fleet import Fleet
from trustedpods.provider.app.pods import Pods
from trustedpods.provider.core.record import PodRecord
from trustedpods.provider.facade.sessions import told, too_old

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0


async def keep_young(doors: Doors, pods: Pods, bundles: Bundles, fleet: Fleet) -> None:
    """Close what is too old, for ever."""
    while True:
        await trio.sleep(LOOK_EVERY_S)
        for record in pods.standing:
            try:
                await close_old(doors, bundles, fleet, record)
            except TrustedPodsError as error:
                _log.warning("%s: connections cannot be looked at: %s", record.label, error)


async def close_old(doors: Doors, bundles: Bundles, fleet: Fleet, record: PodRecord) -> int:
    """Close the pod's connections that are too old; how many there were."""
    machine = fleet.machine(record.channel)
    if machine is None or not machine.state.replicas or not bundles.held(record):
        return 0
    most = bundles.open(record).manifest.spec.scale.max_connection_age
    old = too_old(await doors.facade.sessions(machine.published.services), most)
    for session in old:
        await doors.facade.shut(session)
    if old:
        _log.info("%s: closed %d connections that were older than %d s", record.label, len(old), most)
    return len(old)


async def awake_by(doors: Doors, fleet: Fleet, record: PodRecord) -> str:
    """Who keeps the pod awake, in words for its publisher; empty if nobody does or it is not known."""
    machine = fleet.machine(record.channel)
    if machine is None or not machine.state.replicas:
        return ""
    try:
        return told(await doors.facade.sessions(machine.published.services))
    except TrustedPodsError:
        return ""

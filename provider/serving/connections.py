# SPDX-License-Identifier: Apache-2.0
"""Connections that have been open for longer than a pod's `maxConnectionAge`, and who keeps pods awake."""

import logging
from collections.abc import Iterable

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.facade.haproxy.sessions import Session, told, too_old
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.serving.autoscaler import Fleet
from trustedpods.provider.serving.pod_scaler import Machine

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0


async def keep_young(doors: Doors, pods: Pods, bundles: Bundles, fleet: Fleet) -> None:
    """Close what is too old, for ever."""
    while True:
        await trio.sleep(LOOK_EVERY_S)
        try:
            await close_old(doors, bundles, fleet, pods.standing)
        except TrustedPodsError as error:
            _log.warning("connections cannot be looked at: %s", error)


async def close_old(doors: Doors, bundles: Bundles, fleet: Fleet, records: Iterable[PodRecord]) -> int:
    """Close the pods' connections that are too old, in one look at all; how many there were."""
    awake = [record for record in records if _awake(fleet, record) and bundles.held(record)]
    if not awake:
        return 0
    sessions = await doors.facade.sessions()
    return sum([await _close_old(doors, bundles, fleet, record, sessions) for record in awake])


async def _close_old(
    doors: Doors, bundles: Bundles, fleet: Fleet, record: PodRecord, sessions: list[Session]
) -> int:
    machine = _awake(fleet, record)
    if machine is None:
        return 0
    most = bundles.open(record).manifest.spec.scale.max_connection_age
    old = too_old((one for one in sessions if one.slot in machine.published.services), most)
    for session in old:
        await doors.facade.shut(session)
    if old:
        _log.info("%s: closed %d connections that were older than %d s", record.label, len(old), most)
    return len(old)


async def awake_by(doors: Doors, fleet: Fleet, record: PodRecord) -> str:
    """Who keeps the pod awake, in words for its publisher; empty if nobody does or it is not known."""
    machine = _awake(fleet, record)
    if machine is None:
        return ""
    try:
        sessions = await doors.facade.sessions()
    except TrustedPodsError:
        return ""
    return told([one for one in sessions if one.slot in machine.published.services])


def _awake(fleet: Fleet, record: PodRecord) -> Machine | None:
    """The pod's machine while it has replicas."""
    machine = fleet.machine(record.channel)
    return machine if machine is not None and machine.state.replicas else None

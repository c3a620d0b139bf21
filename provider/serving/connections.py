# SPDX-License-Identifier: Apache-2.0
"""Connections that have been open for longer than a pod's `maxConnectionAge`, and who keeps pods awake."""

import logging
from collections.abc import Iterable

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.haproxy.sessions import Session, told, too_old
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.serving.autoscaler import Autoscaler
from trustedpods.provider.serving.pod_scaler import PodScaler

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0


async def keep_young(facade: Facade, pods: Pods, bundles: Bundles, autoscaler: Autoscaler) -> None:
    """Close what is too old, for ever."""
    while True:
        await trio.sleep(LOOK_EVERY_S)
        try:
            await close_old(facade, bundles, autoscaler, pods.standing)
        except TrustedPodsError as error:
            _log.warning("connections cannot be looked at: %s", error)


async def close_old(
    facade: Facade, bundles: Bundles, autoscaler: Autoscaler, records: Iterable[PodRecord]
) -> int:
    """Close the pods' connections that are too old, in one look at all; how many there were."""
    awake = [record for record in records if _awake(autoscaler, record) and bundles.held(record)]
    if not awake:
        return 0
    sessions = await facade.sessions()
    return sum([await _close_old(facade, bundles, autoscaler, record, sessions) for record in awake])


async def _close_old(
    facade: Facade, bundles: Bundles, autoscaler: Autoscaler, record: PodRecord, sessions: list[Session]
) -> int:
    pod_scaler = _awake(autoscaler, record)
    if pod_scaler is None:
        return 0
    most = bundles.open(record).manifest.spec.scale.max_connection_age
    old = too_old((one for one in sessions if one.slot in pod_scaler.published.services), most)
    for session in old:
        await facade.shut(session)
    if old:
        _log.info("%s: closed %d connections that were older than %d s", record.label, len(old), most)
    return len(old)


async def awake_by(facade: Facade, autoscaler: Autoscaler, record: PodRecord) -> str:
    """Who keeps the pod awake, in words for its publisher; empty if nobody does or it is not known."""
    pod_scaler = _awake(autoscaler, record)
    if pod_scaler is None:
        return ""
    try:
        sessions = await facade.sessions()
    except TrustedPodsError:
        return ""
    return told([one for one in sessions if one.slot in pod_scaler.published.services])


async def thawed(autoscaler: Autoscaler, record: PodRecord) -> None:
    """Wake a pod whose replicas are frozen: nothing can be done in them. Others stay as they are."""
    pod_scaler = autoscaler.pod_scaler(record.channel)
    if pod_scaler is not None and pod_scaler.state.frozen:
        await pod_scaler.wake()


def _awake(autoscaler: Autoscaler, record: PodRecord) -> PodScaler | None:
    """The pod's scaler while it has replicas."""
    pod_scaler = autoscaler.pod_scaler(record.channel)
    return pod_scaler if pod_scaler is not None and pod_scaler.state.replicas else None

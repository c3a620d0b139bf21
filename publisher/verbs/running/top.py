# SPDX-License-Identifier: Apache-2.0
"""`top`: what pods hold now, and how long their money lasts, out of what `status` and `list` are told."""

from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.pods import (
    ListedPod,
    StatusResult,
    TopPod,
    TopResult,
    VisitProgress,
    day_at,
)
from trustedpods.publisher.verbs.pods import status
from trustedpods.publisher.verbs.running.listed import list_pods


async def top(
    account: MarketAccount, name: str | None, progress: VisitProgress, journal: Journal
) -> TopResult:
    """The pod *name*, raising as `status`; without one all pods that stand, raising as `list_pods`."""
    if name is not None:
        return TopResult(account.token, (_of_status(await status(account, name, progress, journal)),))
    listed = await list_pods(account, journal)
    pods = [_of_listed(pod) for pod in listed.pods]
    return TopResult(account.token, tuple(sorted(pods, key=lambda pod: (-(pod.cpu_milli or 0), pod.name))))


def _of_status(found: StatusResult) -> TopPod:
    live = found.pod.channel.live
    left = None if live is None else TokenUnits(max(0, live.left - found.accrued))
    return TopPod(
        name=found.pod.name,
        phase=found.phase,
        replicas=found.replicas,
        ready=found.ready,
        cpu_milli=found.cpu_milli * found.replicas,
        memory_mib=found.memory_mib * found.replicas,
        left=left,
        day=day_at(left, found.runway_s),
        runway_s=found.runway_s,
    )


def _of_listed(pod: ListedPod) -> TopPod:
    held = pod.replicas
    return TopPod(
        name=pod.name or channel_hex(pod.channel),
        phase=pod.phase or "?",
        replicas=held,
        ready=pod.ready,
        cpu_milli=None if held is None else pod.cpu_milli * held,
        memory_mib=None if held is None else pod.memory_mib * held,
        left=pod.left,
        day=pod.day,
        runway_s=pod.runway_s,
        error=pod.error,
    )

# SPDX-License-Identifier: Apache-2.0
"""What the books have of one pod, for an authority: keys, times and numbers, nothing of its content."""

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import channel_hex
from trustedpods.provider.admin.eviction import Eviction
from trustedpods.provider.admin.reports.disclosure_views import DisclosedEvent, Disclosure
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import claims, history


async def read_disclosure(doors: Doors, pods: Pods, eviction: Eviction, target: str) -> Disclosure:
    """The pod that *target* means, also one that ended. Refused (rule `unknown-pod`) where there is none.

    An ended one is found by its label, its host under the provider's domain, or its channel.
    """
    record = await _meant(pods, eviction, target.strip().lower())
    market, size = doors.config.market, record.size
    told = await doors.store.read(history.events, record.channel)
    return Disclosure(
        label=record.label,
        channel=channel_hex(record.channel),
        publisher=record.ref.publisher,
        commanders=list(record.commanders),
        owner=record.ref.owner,
        chain_id=market.chain_id,
        payments=market.payments,
        token=market.token,
        claimed=str(await doors.store.read(claims.paid_in_life, record.channel, record.life)),
        phase=record.phase,
        changed_at=record.changed_at,
        stopped_at=record.stopped_at,
        events=[DisclosedEvent(at=one.at, word=one.reason) for one in told],
        hosts=sorted(eviction.names(record) - {record.label}),
        cpu_milli=size.cpu_milli,
        memory_mib=size.memory_mib,
        volume_mib=size.volume_mib,
        image_mib=size.image_mib,
        scratch_mib=size.scratch_mib,
        denied=eviction.denies(record.ref.publisher),
    )


async def _meant(pods: Pods, eviction: Eviction, target: str) -> PodRecord:
    try:
        return eviction.meant(target)
    except Refused:
        for record in await pods.every():
            known = {*eviction.names(record), channel_hex(record.channel)}
            if target in known or f"0x{channel_hex(record.channel)}" == target:
                return record
        raise

# SPDX-License-Identifier: Apache-2.0
"""The claims that hold a pod's data, as the cluster has them: may they grow, and how far have they."""

from dataclasses import replace

import trio

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import AdmitBody, VolumeAsk
from trustedpods.provider.cluster.objects.workload.stateful_set import claim_name
from trustedpods.provider.core.pod import ENDED, PodRecord, PodSize
from trustedpods.provider.core.volumes import growth
from trustedpods.provider.core.volumes.classes import check_default
from trustedpods.provider.core.volumes.growth import StoredVolume
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.bundles import Bundles, OpenBundle
from trustedpods.provider.pods.progress import ProgressFeeds

GROWN_WITHIN_S = 300
"""So long a volume may take to grow, before its replicas start and again with them: clouds take a minute."""

GROWTH_LOOK_S = 2.0
"""How often the cluster is asked meanwhile."""


class PodVolumes:
    """Sizes of the volumes of pods."""

    def __init__(self, doors: Doors, bundles: Bundles) -> None:
        self._doors = doors
        self._bundles = bundles

    async def check_update(self, record: PodRecord, ask: AdmitBody) -> None:
        """An update keeps the pod's volumes: none is lost by mistake, none is stored unpaid, none shrinks.

        Refused (rule `volumes`).
        """
        if record.phase in ENDED:
            return
        asks = {name: one for one in ask.volumes for name in _claims(one, ask.max_replicas)}
        wanted = {name: one.mib for name, one in asks.items()}
        stored, proven = await self._found(record.namespace)
        if not record.served:
            before = {}
        elif record.retained:
            before = {name: proven.get(name, 0) for name in record.outliving}
        elif record.fallback is not None and self._bundles.held(record):
            before = self._bundles.open_stored(record.fallback).volumes
        else:
            before = proven  # and not what they have: an update that failed may have made them larger
        growth.check_volumes(before, wanted)
        growth.check_kind(asks, stored)
        made = [one for name, one in asks.items() if name not in stored]
        if made or any(mib > stored[name].asked for name, mib in wanted.items()):
            features = await self._doors.cluster.features()
            check_default(made, features.default_class)
            growth.check_growth(wanted, stored, features.storage_classes)

    async def stored(self, namespace: str) -> dict[str, StoredVolume]:
        """The claims of a namespace, by name."""
        return (await self._found(namespace))[0]

    async def _found(self, namespace: str) -> tuple[dict[str, StoredVolume], dict[str, int]]:
        claims = await self._doors.cluster.volume_claims(namespace)
        proven = {one.name: one.proven for one in claims if one.proven is not None}
        return {one.name: one.stored for one in claims}, proven

    async def size(self, record: PodRecord, opened: OpenBundle) -> PodSize:
        """The pod's size with the volumes that it has now: an update may have made them larger."""
        if not opened.volumes:
            return opened.size
        granted = growth.granted(opened.volumes, await self.stored(record.namespace))
        return replace(opened.size, volume_mib=sum(granted.values()))

    async def outliving(self, record: PodRecord, opened: OpenBundle) -> dict[str, int]:
        """MiB of each claim that outlives a delete, as it is now."""
        if not opened.outliving:
            return {}
        return growth.granted(opened.outliving, await self.stored(record.namespace))

    async def left(self, record: PodRecord) -> dict[str, int]:
        """The same of a pod of which nothing else is left: a deploy that failed may have made them larger."""
        return growth.granted(record.outliving, await self.stored(record.namespace))

    async def prove(self, record: PodRecord, opened: OpenBundle) -> dict[str, int]:
        """Say in the cluster which volumes are kept, and of what size: after a reboot no bundle says it.

        Those that outlive a delete come back, as of `outliving`.
        """
        if opened.volumes:
            await self._doors.cluster.prove_volume_claims(record.namespace, opened.volumes)
        return await self.outliving(record, opened)

    async def until_grown(
        self, record: PodRecord, opened: OpenBundle, progress: ProgressFeeds, *, before_start: bool
    ) -> None:
        """Until every claim is as large as was asked for; Refused (rule `volumes`) where one stays smaller.

        *before_start*: until nothing but its node's part is missing. *progress* hears what is waited for.
        """
        if not opened.volumes:
            return
        left: str | None = None
        with trio.move_on_after(GROWN_WITHIN_S):
            while True:
                stored = await self.stored(record.namespace)
                left = growth.growing(opened.volumes, stored, before_start=before_start)
                if left is None:
                    return
                progress.tell(record.channel, "start", f"waiting for a volume to grow: {left}")
                await trio.sleep(GROWTH_LOOK_S)
        raise Refused(
            f"a volume did not grow in {GROWN_WITHIN_S} s: {left}",
            rule="volumes",
            hint="the class allows it, and its driver does not do it: keep the size, or ask the operator",
        )


def _claims(ask: VolumeAsk, replicas: int) -> list[str]:
    return [claim_name(ask.name, ordinal) for ordinal in range(replicas)] if ask.ordinals else [ask.name]

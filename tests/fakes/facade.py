# SPDX-License-Identifier: Apache-2.0
"""A facade in memory, with the calls of `trustedpods.provider.facade.facade.Facade`.

Tests set `current` (requests in flight per slot) and `traffic` (counters), raise `failure` on
every call, or call `restart` for another process of the proxy.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import trio

from trustedpods.protocol.errors import LocalProtocolError, Refused, TrustedPodsError
from trustedpods.provider.core.traffic import PodAddress, PodTraffic, SlotStats
from trustedpods.provider.exposure.service_keys import by_pod
from trustedpods.provider.facade import slots
from trustedpods.provider.facade.certificates import Certificate
from trustedpods.provider.facade.haproxy.sessions import Session
from trustedpods.provider.facade.pools import Pools, SlotProtocol
from trustedpods.provider.facade.slots import (
    UNLIMITED,
    FacadeState,
    PublishedService,
    ServiceSpec,
    SlotLimits,
    SlotTable,
    Synced,
    UnpublishedService,
)

POOLS = Pools(8, 8, 8)


class FakeFacade:
    """Keeps what it was told; nothing listens anywhere."""

    def __init__(self, pools: Pools = POOLS) -> None:
        self.pools = pools
        self.table = SlotTable(self.pools)
        self.wants: dict[int, ServiceSpec] = {}
        self.certificates: dict[str, Certificate] = {}
        self.in_flight: list[Session] = []
        self.current: Counter[int] = Counter()
        self.held: Counter[int] = Counter()
        self.traffic: dict[int, tuple[int, int, int]] = {}  # requests, bytes in, bytes out
        self.failure: TrustedPodsError | None = None
        self.boots = 1
        self.resting = False
        self.challenges: dict[str, str] = {}
        self.public: dict[str, str] = {}
        self._synced: int | None = None

    @property
    def free_slots(self) -> int:
        return self.table.free()

    @property
    def labels(self) -> Mapping[str, int]:
        return self.table.labels

    @property
    def pods(self) -> dict[int, tuple[PodAddress, ...]]:
        """Replicas that serve, by slot; none where it sleeps."""
        return {slot: want.pods for slot, want in self.wants.items()}

    def free(self, protocol: SlotProtocol = SlotProtocol.HTTP) -> int:
        return self.table.free(protocol)

    def slots_of(self, pod: str) -> dict[str, int]:
        return self.slots_by_pod().get(pod, {})

    def slots_by_pod(self) -> dict[str, dict[str, int]]:
        return by_pod(self.table.labels)

    def slot_of(self, label: str) -> int | None:
        return self.table.labels.get(label)

    def label_of(self, slot: int) -> str | None:
        want = self.wants.get(slot)
        return want.label if want else None

    def restart(self) -> None:
        """Another process of the proxy: servers and counters are gone."""
        self.boots += 1
        self.current.clear()
        self.held.clear()
        self.traffic.clear()

    async def sync(self, desired: FacadeState | None = None) -> Synced:
        await self._begin()
        if desired is not None:
            self._take_over(desired)
        restarted, self._synced = self._synced not in (None, self.boots), self.boots
        return Synced(self._boot, restarted, dict(self.table.labels), ())

    async def restarted(self) -> bool:
        await self._begin()
        return self._synced not in (None, self.boots)

    def _take_over(self, desired: FacadeState) -> None:
        self.wants, before, self.resting = {}, self.wants, False
        labels = {want.label for want in desired.wants}
        kept = {slot for pod in desired.untouched for slot in self.slots_of(pod).values()}
        for label, slot in list(self.table.labels.items()):
            if label not in labels and slot not in kept:
                self.table = slots.release(slots.leave(self.table, slot), slot)
        self.wants |= {slot: want for slot, want in before.items() if slot in kept}
        for want in desired.wants:
            self.table, slot = slots.assign(self.table, want.label, want.hosts, want.protocol, want.wished)
            self.wants[slot] = want

    async def publish(
        self,
        label: str,
        hosts: Iterable[str],
        protocol: SlotProtocol = SlotProtocol.HTTP,
        *,
        limits: SlotLimits = UNLIMITED,
        https_only: bool = False,
    ) -> PublishedService:
        want = ServiceSpec(label, tuple(hosts), protocol=protocol, limits=limits, https_only=https_only)
        found = (await self.publish_all([want]))[label]
        if isinstance(found, PublishedService):
            return found
        raise found

    async def publish_all(
        self, wants: Iterable[ServiceSpec]
    ) -> dict[str, PublishedService | UnpublishedService]:
        await self._begin()
        return {want.label: self._publish(want) for want in wants}

    def _publish(self, want: ServiceSpec) -> PublishedService | UnpublishedService:
        try:
            self.table, slot = slots.assign(self.table, want.label, want.hosts, want.protocol, want.wished)
        except (Refused, LocalProtocolError) as error:
            return error
        old = self.wants.get(slot)
        self.wants[slot] = replace(want, pods=old.pods, draining=old.draining) if old else want
        return PublishedService(slot, self._stats(slot))

    async def certify(self, label: str, certificate: Certificate | None) -> None:
        await self._begin()
        if certificate is not None:
            self.certificates[label] = certificate
        else:
            self.certificates.pop(label, None)

    async def withdraw(self, slot: int) -> bool:
        await self._begin()
        self.table = slots.release(slots.leave(self.table, slot), slot)
        self.wants.pop(slot, None)
        self.current.pop(slot, None)
        return True

    async def answer_challenges(self, pages: Mapping[str, str]) -> None:
        await self._begin()
        self.challenges = dict(pages)

    async def show_public(self, pages: Mapping[str, str]) -> None:
        await self._begin()
        self.public = dict(pages)

    async def rest(self) -> bool:
        await self._begin()
        self.table, self.wants, self.resting = slots.routeless(self.table), {}, True
        return True

    async def set_pods(
        self, slot: int, pods: Iterable[PodAddress], draining: Iterable[PodAddress] = ()
    ) -> None:
        await self._begin()
        if slot not in self.wants:
            raise Refused(f"nothing is published in slot {slot}", rule="unpublished")
        self.wants[slot] = replace(self.wants[slot], pods=tuple(pods), draining=tuple(draining))

    async def drain(self, slot: int) -> int:
        await self._begin()
        want = self.wants.get(slot)
        if want is not None:
            self.wants[slot] = replace(want, pods=(), draining=(*want.pods, *want.draining))
        return self.current[slot]

    def tcp_ways(self, wanted: Iterable[int]) -> dict[str, str]:
        return dict.fromkeys(map(str, wanted), "in HAProxy")

    async def sessions(self) -> list[Session]:
        await self._begin()
        return list(self.in_flight)

    async def shut(self, session: Session) -> None:
        await self._begin()
        self.in_flight.remove(session)

    async def stats(self, wanted: Iterable[int] | None = None) -> dict[int, SlotStats]:
        await self._begin()
        if wanted is None:
            wanted = [slot for slot, want in self.wants.items() if want.pods or want.draining]
        return {slot: self._stats(slot) for slot in wanted}

    @property
    def _boot(self) -> str:
        return f"{self.boots}.1"

    async def _begin(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.failure is not None:
            raise self.failure

    def _stats(self, slot: int) -> SlotStats:
        total, bytes_in, bytes_out = self.traffic.get(slot, (0, 0, 0))
        want = self.wants.get(slot, ServiceSpec("", ()))
        pods = [PodTraffic(pod.name, 0, serving=True) for pod in want.pods]
        pods += [PodTraffic(pod.name, 0, serving=False) for pod in want.draining]
        current, held = self.current[slot], self.held[slot]
        return SlotStats(self._boot, current, total, bytes_in, bytes_out, held, tuple(pods))

# SPDX-License-Identifier: Apache-2.0
"""Accepting bundles: who may command a pod, which generation counts, and whether there is room."""

from dataclasses import replace

from trustedpods.contracts.records import meter_tag
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import (
    Address,
    ChannelId,
    address_bytes,
    address_from_bytes,
    host_label,
    namespace_name,
)
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages import AdmitBody, Capacity
from trustedpods.protocol.sealing.requests import OpenedRequest
from trustedpods.provider.admission.gate import Gate
from trustedpods.provider.admission.slot_reservations import SlotReservations
from trustedpods.provider.admission.tenancy import TenancyGuard
from trustedpods.provider.core import admission
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import ENDED, WORKING, Phase, PodRecord
from trustedpods.provider.dns import publisher_proof
from trustedpods.provider.doors import Doors
from trustedpods.provider.lifecycle.workers import PodWorkers
from trustedpods.provider.pods.bundles import Bundles, OpenBundle, check_bundle
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.serving.autoscaler import Autoscaler

_NEW = Phase.RECEIVED
_UNPAID = (Phase.RECEIVED, Phase.WAITING_CHANNEL)

MAX_WAITING = 64
"""Pods that wait for their channel to appear, each for three minutes at most."""

MAX_WAITING_BYTES = 8 * MIB
"""Of their bundles, which are held several times over; most have a few kilobytes."""


class Admission:
    """Admission and the acceptance of bundles."""

    def __init__(
        self,
        doors: Doors,
        pods: Pods,
        bundles: Bundles,
        autoscaler: Autoscaler,
        workers: PodWorkers,
        tenancy: TenancyGuard,
        gate: Gate,
    ) -> None:
        self._doors = doors
        self._reservations = SlotReservations(doors, pods, bundles)
        self._tenancy = tenancy
        self._gate = gate
        self._pods = pods
        self._bundles = bundles
        self._autoscaler = autoscaler
        self._workers = workers

    def commanded(self, request: OpenedRequest) -> PodRecord:
        """The pod that the request is about; Refused unless its signer may command it."""
        record = self._pods.get(request.ref.channel)
        if record is None:
            raise Refused("no such pod here", rule="unknown-pod")
        _check_commander(record, request.signer)
        return record

    async def admit(self, ask: AdmitBody, channel: ChannelId, but: PodRecord | None) -> Capacity:
        """What is left when the pod came; Refused where it does not fit. *but* makes room for itself."""
        self._gate.check(None if but is None else but.ref.publisher)
        left = admission.check_size(ask, await self._free(but))
        return left.model_copy(update={"slots": self._reservations.check(ask, channel)})

    async def _free(self, but: PodRecord | None) -> Capacity:
        found = (await self._doors.cluster.capacity()).free
        free = Capacity(
            cpu_milli=found.cpu_milli,
            memory_mib=found.memory_mib,
            storage_mib=found.storage_mib,
            slots=0,  # counted by `SlotReservations`, by kind
        )
        asleep = []
        for record in self._pods.standing:
            running, _ = self._autoscaler.replicas_of(record)
            if but is not None and record.channel == but.channel:
                free = _with_room(free, record, running)
            elif running == 0 and record.phase is not Phase.REMOVING:
                asleep.append(record.size.replica)
        return admission.sellable(free, asleep, self._doors.config.cluster.overcommit)

    async def accept(
        self, stored: bytes, request: OpenedRequest, opened: OpenBundle
    ) -> tuple[PodRecord, bool]:
        """Take a bundle: the record, and whether the pod serves exactly this already.

        Everything that can be refused is refused before anything is stored.
        """
        check_bundle(opened, self._doors.offer, request)
        self.check_newest(request)
        self._gate.check(request.ref.publisher)
        self._tenancy.check(request.ref.publisher, self._pods.standing)
        record = self._pods.get(request.ref.channel)
        if record is None or record.phase in ENDED:
            await self._check_waiting(request, stored)
        if record is not None:
            self._check_follows(record, request)
            if self._unchanged(record, opened):
                record = await self._pods.change(
                    record.channel, generation=request.generation, request=stored
                )
                return record, record.phase is Phase.SERVING
        await self._check_control(request, opened)
        await self.admit(opened.ask, request.ref.channel, record)
        with self._reservations.hold(opened.ask, request.ref.channel):
            if record is not None and record.phase is Phase.AWAITING_KEY:
                await self._make_ready(record)
            await self._workers.stop(request.ref.channel)
            await self._pods.put(self._next_record(record, stored, request, opened))
            return await self._pods.step(request.ref.channel, LifecycleEvent.BUNDLE), False

    async def _check_control(self, request: OpenedRequest, opened: OpenBundle) -> None:
        """Hosts of the publisher's own, and certificates for them; Refused without proof."""
        label = host_label(request.ref.channel)
        proofs = [label, publisher_proof(address_bytes(request.ref.publisher))]
        for part in opened.exposures(label, self._doors.config):
            opened.certificate(part, self._doors.now())
            for host in admission.hosts_to_prove(part.own_hosts, label, self._doors.config.identity.domain):
                await self._doors.resolver.check_control(host, proofs)

    def check_newest(self, request: OpenedRequest) -> None:
        """A pod's generations only grow, also when the store was set back; Refused otherwise."""
        newest = self._doors.generations.newest(request.ref.channel)
        if request.generation <= newest:
            raise Refused(
                f"generation {request.generation} came after {newest}",
                rule="generation",
                hint="a newer deploy won, or this machine's clock is behind",
            )

    async def _check_waiting(self, request: OpenedRequest, stored: bytes) -> None:
        """Publishers' keys are free: bundles that nobody has paid for have a place of their own size."""
        waiting = [pod for pod in self._pods.standing if pod.chain is None and pod.phase in _UNPAID]
        held = sum(len(pod.request) for pod in waiting) + len(stored)
        if len(waiting) < MAX_WAITING and held <= MAX_WAITING_BYTES:
            return
        (channel,) = await self._doors.chain.channels(self._doors.owner, [request.ref.channel])
        if channel is None:
            raise Refused(
                f"{len(waiting)} pods wait for their first payment, and there is no room for one more",
                rule="waiting",
                hint="try again in some minutes; a pod whose channel is open is let in at once",
            )

    def _check_follows(self, record: PodRecord, request: OpenedRequest) -> None:
        _check_commander(record, request.signer)
        if record.phase is Phase.REMOVING:
            raise Refused(
                f"the pod is being removed: {record.reason}",
                rule="removing",
                hint="deploy again when it is gone",
            )

    async def _make_ready(self, record: PodRecord) -> None:
        """A pod that waits for its key is taken only on a channel that this boot's meter can claim."""
        (channel,) = await self._doors.chain.channels(self._doors.owner, [record.channel])
        if channel is not None and channel.meter_tag != meter_tag(self._doors.meter):
            raise Refused(
                "the machine was restarted, and the channel still names its old meter",
                rule="awaiting-key",
                hint="`trustedpods watch` or a deploy by a current client hands in a rotation first",
            )
        await self._autoscaler.clear(record)

    def _unchanged(self, record: PodRecord, opened: OpenBundle) -> bool:
        """The same bundle again, while it serves or is on its way there."""
        coming = record.phase in WORKING and record.phase is not Phase.REMOVING
        if not (coming or record.phase is Phase.SERVING) or not self._bundles.held(record):
            return False
        return self._bundles.open(record).bundle == opened.bundle

    def _next_record(
        self, record: PodRecord | None, stored: bytes, request: OpenedRequest, opened: OpenBundle
    ) -> PodRecord:
        """An update keeps the pod's life; a pod that is new, or has ended, begins one."""
        if record is None or record.phase in ENDED:
            return self._new_life(_NEW if record is None else record.phase, stored, request, opened)
        return replace(
            record,
            generation=request.generation,
            boot_id=self._doors.keys.boot_id,
            meter=self._doors.meter,
            request=stored,
            previous=record.request if record.live else record.previous,
            size=opened.size,
            scaling=opened.scaling(self._doors.config.terms.idle_after_s),
            changed_at=self._doors.now(),
        )

    def _new_life(self, phase: Phase, stored: bytes, request: OpenedRequest, opened: OpenBundle) -> PodRecord:
        """Before its first step, which leaves *phase*. Only this bundle's keys may command it from now on."""
        return PodRecord(
            ref=request.ref,
            commanders=tuple(address_from_bytes(raw) for raw in opened.bundle.commanders),
            generation=request.generation,
            boot_id=self._doors.keys.boot_id,
            request=stored,
            previous=None,
            namespace=namespace_name(request.ref.channel, request.generation),
            slot=None,
            phase=phase,
            reason="",
            live=False,
            size=opened.size,
            scaling=opened.scaling(self._doors.config.terms.idle_after_s),
            meter=self._doors.meter,
            terms=None,
            chain=None,
            statement=None,
            changed_at=self._doors.now(),
            stopped_at=None,
            warned=False,
            failing=False,
        )


def _check_commander(record: PodRecord, signer: Address) -> None:
    """The keys that may command a pod were pinned by its first bundle."""
    if signer not in record.commanders:
        raise Refused(f"{signer} may not command this pod", rule="commander")


def _with_room(free: Capacity, record: PodRecord, running: int) -> Capacity:
    """A newer bundle takes the place of the one that runs."""
    return free.model_copy(
        update={
            "cpu_milli": free.cpu_milli + running * record.size.cpu_milli,
            "memory_mib": free.memory_mib + running * record.size.memory_mib,
            "storage_mib": free.storage_mib + record.size.volume_mib + record.size.image_mib,
        }
    )

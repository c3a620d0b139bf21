# SPDX-License-Identifier: Apache-2.0
"""Accepting bundles: everything that can be refused is asked in order, before anything is stored."""

from dataclasses import dataclass

import trio

from trustedpods.contracts.records import meter_tag
from trustedpods.protocol.errors import Refused, StoreFailure
from trustedpods.protocol.ids import (
    Address,
    ChannelId,
    PodRef,
    address_bytes,
    host_label,
)
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.protocol.messages.pod import RestartPlan
from trustedpods.protocol.messages.provider import Capacity
from trustedpods.protocol.sealing.requests import OpenedRequest
from trustedpods.protocol.sealing.subjects import NetworkRef
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.admission.arrivals import AdmissionLimits, Arrivals
from trustedpods.provider.admission.called_nodes import CalledNodes
from trustedpods.provider.admission.capacity import CapacityCheck
from trustedpods.provider.admission.gate import Gate
from trustedpods.provider.admission.ingress_hosts import IngressHosts
from trustedpods.provider.admission.network_questions import NetworkQuestions
from trustedpods.provider.admission.new_records import next_record
from trustedpods.provider.admission.rights import CommandRights
from trustedpods.provider.admission.slot_reservations import SlotReservations
from trustedpods.provider.admission.tenancy import TenancyGuard
from trustedpods.provider.core import admission
from trustedpods.provider.core.lifecycle import LifecycleCommand, LifecycleEvent
from trustedpods.provider.core.pod import ENDED, LEAVING, WORKING, Phase, PodRecord
from trustedpods.provider.core.quotas.publisher_quota import PublisherQuota
from trustedpods.provider.core.volumes.classes import check_classes
from trustedpods.provider.dns.control import publisher_proof
from trustedpods.provider.doors import Doors
from trustedpods.provider.exposure.ingress_classes import check_ingresses
from trustedpods.provider.lifecycle.channels.arrival import CHANNEL_WITHIN_S
from trustedpods.provider.lifecycle.user_shares import UserShares
from trustedpods.provider.lifecycle.workers import PodWorkers
from trustedpods.provider.pods.bundles import Bundles, OpenBundle, check_bundle
from trustedpods.provider.pods.publisher_shares import PublisherShares
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.pods.volumes import PodVolumes
from trustedpods.provider.serving.autoscaler import Autoscaler

LET_GO_WITHIN_S = 10.0
"""For both writes that end a pod which ran on, whoever asked; a store that is silent must not hold a stop."""

_UNPAID = (Phase.RECEIVED, Phase.WAITING_CHANNEL, Phase.REMOVING)
_LATER = "try again in some minutes; a pod whose channel is open is let in at once"


@dataclass(frozen=True, slots=True)
class Permissions:
    """Who may come in, and who may command what."""

    rights: CommandRights
    tenancy: TenancyGuard
    gate: Gate


class Admission:
    """Admission and the acceptance of bundles."""

    def __init__(
        self,
        doors: Doors,
        permissions: Permissions,
        pods: Pods,
        bundles: Bundles,
        autoscaler: Autoscaler,
        workers: PodWorkers,
        users: UserShares,
        limits: AdmissionLimits,
    ) -> None:
        self._limits = limits
        self._users = users
        self._volumes = PodVolumes(doors, bundles)
        self._doors = doors
        self._rights = permissions.rights
        self._reservations = SlotReservations(doors.facade, pods, bundles, doors.config.room)
        self._capacity = CapacityCheck(
            doors.cluster,
            doors.config.cluster.overcommit,
            doors.config.cluster.node_labels,
            pods,
            autoscaler,
            self._reservations,
        )
        self._called = CalledNodes(doors.cluster, pods, bundles, limits.called_nodes)
        self._shares = PublisherShares(pods, doors.config.publishers.quota)
        self._hosts = IngressHosts(doors.cluster, pods, bundles)
        self._tenancy = permissions.tenancy
        self._new_pods, self._questions = Arrivals(limits.new_pods), Arrivals(limits.questions)
        self._networks = NetworkQuestions(permissions.gate, limits.of_networks)
        self._unknown, self._updates = Arrivals(limits.bundles), Arrivals(limits.updates)
        self._unpaid_from: dict[ChannelId, tuple[str, UnixSeconds]] = {}
        """Whence pods came that are not paid for yet, and when first: an update is no new beginning."""
        self._gate = permissions.gate
        self._pods = pods
        self._bundles = bundles
        self._autoscaler = autoscaler
        self._workers = workers

    def check_first(self, request: OpenedRequest, address: str) -> None:
        """What memory alone can refuse of a request from *address*, before anything is written for it.

        Refused for who may not command the pod, for an older generation, and (rule `rate`) for who comes
        too often.
        """
        if isinstance(request.subject, NetworkRef):
            self._networks.check(request.subject, request.signer, address)
            return
        self._rights.check(request)
        record = self._pods.get(request.ref.channel)
        if request.verb in ("admit", "render") and not self._questions.take(address):
            raise Refused("too many questions from this address", rule="rate", hint=_LATER)
        if request.verb != "provision":
            return
        if record is None or not record.known_to_pay:
            if not self._unknown.take(address):
                raise Refused("too many bundles from this address", rule="rate", hint=_LATER)
        else:
            self._check_pace(record)

    def _check_pace(self, record: PodRecord) -> None:
        if not self._updates.take(record.label):
            raise Refused(
                "too many updates of this pod",
                rule="rate",
                hint=f"one more each {self._limits.updates.every_s:g} s is taken",
            )

    def room(self, publisher: Address) -> PublisherQuota | None:
        """What the publisher's pods may still take; None where the operator bounds nobody."""
        return self._shares.room(publisher)

    async def admit(self, ask: AdmitBody, ref: PodRef, replaced: PodRecord | None) -> Capacity:
        """What is left when the pod came; Refused where nobody may come, or where it does not fit."""
        self._gate.check(None if replaced is None else replaced.ref.publisher)
        self._doors.store.disk.check()
        self._shares.check(ask, ref.publisher, ref.channel)
        admission.check_image_size(ask.image_mib, self._doors.offer)
        check_classes(ask.volumes, self._doors.offer.storage_classes)
        admission.check_csi_drivers(ask.csi_drivers, self._doors.offer)
        check_ingresses(ask.ingresses, self._doors.config.ingress.classes)
        admission.check_names(ask.names, self._doors.offer)
        admission.check_smtp(ask.smtp, self._doors.offer)
        admission.check_own_sleep(ask.own_sleep, self._doors.offer)
        admission.check_user_namespaces(ask.user_namespaces, self._doors.offer)
        self._tenancy.check_users(asked=ask.user_namespaces and (replaced is None or replaced.phase in ENDED))
        if replaced is not None:
            await self._volumes.check_update(replaced, ask)
        await self._hosts.check(ask, ref.channel)
        await self._users.check(ref.channel, ask.users, ask.max_replicas)
        await self._called.check(ask, ref.publisher, ref.channel)
        return await self._capacity.check(ask, ref.channel, replaced)

    def would_be(self, request: OpenedRequest, opened: OpenBundle) -> PodRecord:
        """The record that the bundle would make. Nothing is kept, and whether there is room is not asked.

        Refused where no such pod is served here.
        """
        offer = self._doors.offer
        check_bundle(opened, offer, request, self._doors.now())
        self._gate.check(request.ref.publisher)
        check_classes(opened.ask.volumes, offer.storage_classes)
        admission.check_csi_drivers(opened.ask.csi_drivers, offer)
        check_ingresses(opened.ask.ingresses, self._doors.config.ingress.classes)
        return next_record(self._doors, self._pods.get(request.ref.channel), b"", request, opened)

    async def accept(
        self, stored: bytes, request: OpenedRequest, opened: OpenBundle, address: str
    ) -> tuple[PodRecord, bool]:
        """Take a bundle from *address*: the record, and whether the pod serves exactly this already.

        Everything that can be refused is refused before anything is stored.
        """
        check_bundle(opened, self._doors.offer, request, self._doors.now())
        self._rights.check_newest(request)
        self._gate.check(request.ref.publisher)
        self._tenancy.check(request.ref.publisher, self._pods.standing)
        record = self._pods.get(request.ref.channel)
        if record is None or record.phase in ENDED or not record.known_to_pay:
            await self._check_waiting(request, stored, address)
        if record is not None:
            self._check_follows(record, request)
            if self._unchanged(record, opened):
                record = await self._pods.change(
                    record.channel, generation=request.generation, request=stored
                )
                return record, record.phase is Phase.SERVING
        await self._check_control(request, opened)
        await self._hosts.check(opened.manifest, request.ref.channel)
        return await self._take(record, stored, request, opened), False

    async def restart(self, request: OpenedRequest) -> PodRecord:
        """Let the bundle that serves be the pod's next version; a restart that is under way is met.

        Refused for an older generation, and (rules `not-serving`, `parked`) where nothing serves.
        """
        self._rights.check_newest(request)
        record = self._rights.commanded_pod(request)
        self._check_pace(record)
        if _restarts(record):
            return await self._pods.change(record.channel, generation=request.generation)
        opened = self._restarted(record)
        self._gate.check(request.ref.publisher)
        return await self._take(record, None, request, opened)

    def restart_plan(self, request: OpenedRequest) -> RestartPlan | None:
        """What a restart would do now; None where one is under way. Refused as by `restart`."""
        record = self._rights.commanded_pod(request)
        if _restarts(record):
            return None
        replicas, _ = self._autoscaler.replicas_of(record)
        return RestartPlan(replicas=replicas, stops=self._restarted(record).manifest.stops_for_update)

    def _restarted(self, record: PodRecord) -> OpenBundle:
        """What a restart starts anew; Refused (rules `not-serving`, `parked`) where nothing serves."""
        if record.phase is not Phase.SERVING:
            raise Refused(
                f"the pod is {record.phase}, and only what serves is started anew", rule="not-serving"
            )
        if record.parked:
            raise Refused(
                "the pod's publisher has stopped it, and only what serves is started anew", rule="parked"
            )
        return self._bundles.open(record)

    async def _take(
        self, record: PodRecord | None, stored: bytes | None, request: OpenedRequest, opened: OpenBundle
    ) -> PodRecord:
        """Keep the bundle as the pod's next version; Refused where it does not fit.

        Without a *stored* request it is the bundle that serves, whichever that is by then.
        """
        await self.admit(opened.ask, request.ref, record)
        with (
            self._reservations.hold(opened.ask, request.ref.channel),
            self._called.hold(opened.ask, request.ref.publisher, request.ref.channel),
            self._shares.hold(opened.ask, request.ref.publisher, request.ref.channel),
        ):
            if record is not None and record.phase in (Phase.AWAITING_KEY, Phase.RETAINED):
                record = await self._make_ready(record)
            await self._workers.stop(request.ref.channel)
            try:  # another request may have come while this one was looked at
                self._rights.check_newest(request)
                record = self._pods.get(request.ref.channel)
                if record is not None and stored is None:
                    opened = self._restarted(record)
            except Refused:
                self._workers.ensure(request.ref.channel)
                raise
            kept = stored if stored is not None or record is None else record.request
            await self._pods.put(next_record(self._doors, record, kept or b"", request, opened))
            return await self._pods.step(request.ref.channel, LifecycleEvent.BUNDLE)

    async def _check_control(self, request: OpenedRequest, opened: OpenBundle) -> None:
        """Hosts of the publisher's own, and certificates for them; Refused without proof."""
        label = host_label(request.ref.channel)
        proofs = [label, publisher_proof(address_bytes(request.ref.publisher))]
        parts = opened.with_hosts(label, self._doors.config)
        for part in parts:
            opened.certificate(part, self._doors.now())
        own = dict.fromkeys(host for part in parts for host in part.own_hosts)
        for host in admission.hosts_to_prove(own, label, self._doors.config.identity.domain):
            await self._doors.resolver.check_control(host, proofs)
            self._autoscaler.hosts.looked(request.ref.channel, host, found=True)

    async def _check_waiting(self, request: OpenedRequest, stored: bytes, address: str) -> None:
        """Publishers' keys are free: what nobody has paid for has a place and a pace of its own."""
        key, now = request.ref.channel, self._doors.now()
        waiting = [pod for pod in self._pods.standing if not pod.known_to_pay and pod.phase in _UNPAID]
        others = [pod for pod in waiting if pod.channel != key]
        held = sum(len(pod.request) for pod in others) + len(stored)
        room = len(others) < self._limits.waiting and held <= self._limits.waiting_bytes
        self._count_paid()
        _, since = self._unpaid_from.get(key, (address, now))
        in_time = now <= since + CHANNEL_WITHIN_S
        if room and in_time and self._new_pods.take(address):
            self._unpaid_from.setdefault(key, (address, now))
            return
        if await self._doors.chain.channel(self._doors.owner, key) is not None:
            return
        if not in_time:
            raise Refused(f"no payment channel came within {CHANNEL_WITHIN_S} s", rule="channel-missing")
        if room:
            raise Refused("too many new pods from this address, none of them paid", rule="rate", hint=_LATER)
        raise Refused(
            f"{len(waiting)} pods wait for their first payment, and there is no room for one more",
            rule="waiting",
            hint=_LATER,
        )

    def _count_paid(self) -> None:
        """Whoever pays for what was let in has its pace back: a fleet comes as fast as its channels open."""
        for channel, (address, _) in list(self._unpaid_from.items()):
            record = self._pods.get(channel)
            if record is not None and not record.known_to_pay:
                continue
            del self._unpaid_from[channel]
            if record is not None:
                self._new_pods.give_back(address)

    def _check_follows(self, record: PodRecord, request: OpenedRequest) -> None:
        self._rights.check_commander(record, request)
        if record.phase in LEAVING:
            raise Refused(
                f"the pod is being removed: {record.reason}",
                rule="removing",
                hint="deploy again when it is gone",
            )

    async def _make_ready(self, record: PodRecord) -> PodRecord:
        """What an earlier boot may have left is taken only on a channel that this boot's meter can claim."""
        channel = await self._doors.chain.channel(self._doors.owner, record.channel)
        if channel is not None and channel.meter_tag != meter_tag(self._doors.meter):
            raise Refused(
                "the machine was restarted, and the channel still names its old meter",
                rule="awaiting-key",
                hint="`trustedpods watch` or a deploy by a current client hands in a rotation first",
            )
        if record.runs_on:  # it ends here, whoever kills the rest: nobody takes it for one that runs
            now = self._doors.now()
            end = trio.current_time() + LET_GO_WITHIN_S
            with trio.CancelScope(deadline=end, shield=True) as limit:  # no caller's end comes between
                record = await self._pods.change(record.channel, live=False, exposures={}, changed_at=now)
                await self._pods.run(record, LifecycleCommand.LET_GO)
            if limit.cancelled_caught:
                raise StoreFailure("the books did not answer", hint="ask again; nothing was begun")
        await self._autoscaler.clear(record)
        return record

    def _unchanged(self, record: PodRecord, opened: OpenBundle) -> bool:
        """The same bundle again, while it serves or is on its way there."""
        coming = record.phase in WORKING - LEAVING
        if not (coming or record.phase is Phase.SERVING) or not self._bundles.held(record):
            return False
        return self._bundles.open(record).bundle == opened.bundle


def _restarts(record: PodRecord) -> bool:
    """Whether a restart is under way: the version before is the same bundle."""
    return record.phase in WORKING - LEAVING and record.previous == record.request

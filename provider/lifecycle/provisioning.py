# SPDX-License-Identifier: Apache-2.0
"""The work of each phase on the way to serving; each ends with the event that leads on."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import trio

from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import namespace_name
from trustedpods.protocol.limits import BLOB_CHUNK
from trustedpods.protocol.messages.bundle import BlobNeed, BlobRef
from trustedpods.protocol.messages.pod import SignedStatement
from trustedpods.protocol.networks.book import NetworkBook
from trustedpods.protocol.sealing.blobs import chunk_count
from trustedpods.protocol.sealing.replies import sign_statement
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.cluster.objects.named_egress import OPENED
from trustedpods.provider.cluster.objects.pod_objects import PodLife, objects, services
from trustedpods.provider.core.admission import blobs_late
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.exposure.addresses import ADDRESS_LOOK_S, ADDRESS_WITHIN_S, ADDRESSED, no_address
from trustedpods.provider.facade.activator.wake import WakeAddress
from trustedpods.provider.lifecycle import additions
from trustedpods.provider.lifecycle.channels.arrival import ChannelArrival
from trustedpods.provider.lifecycle.images import ImageImport, pull_references
from trustedpods.provider.lifecycle.pod_variables import pod_variables, sleep_place, statement_of
from trustedpods.provider.lifecycle.user_shares import UserShares
from trustedpods.provider.pods.bundles import Bundles, OpenBundle
from trustedpods.provider.pods.progress import ProgressFeeds
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.pods.turns import PodTurns
from trustedpods.provider.pods.updates import KEPT, data_before, keeps_running, proven_beside, serves_all
from trustedpods.provider.pods.volumes import PodVolumes
from trustedpods.provider.serving.autoscaler import Autoscaler
from trustedpods.provider.serving.slots import exposures_of

BLOBS_WITHIN_S = 24 * 3600
"""How long an accepted pod may take to send its images, at the slowest pace that is waited for."""

CHANNEL_LOOK_S = 10.0
"""How often the channel is looked for while chunks are still coming."""


class ProvisioningSteps:
    """Does the work of the phases before serving."""

    def __init__(
        self,
        doors: Doors,
        pods: Pods,
        progress: ProgressFeeds,
        bundles: Bundles,
        autoscaler: Autoscaler,
        meter: Meter,
    ) -> None:
        self._doors = doors
        self._pods = pods
        self._progress = progress
        self._bundles = bundles
        self._autoscaler = autoscaler
        self._meter = meter
        self._images = ImageImport(doors.registry, doors.spool, progress)
        self.users = UserShares(doors, pods, bundles, self._images)
        self.volumes = PodVolumes(doors, bundles)
        self.turns = PodTurns()
        self.channels = ChannelArrival(doors, pods, progress)
        self._arrived = trio.Event()

    def blob_arrived(self) -> None:
        """Some blob is complete: whoever waits for one looks again."""
        self._arrived.set()
        self._arrived = trio.Event()

    async def needs(self, record: PodRecord) -> list[BlobNeed]:
        """The blobs that are still missing, with the chunks that are there."""
        return [
            BlobNeed(blob_id=blob.blob_id, chunks=self._doors.spool.chunks(record.ref.publisher, blob))
            for blob in await self._missing(record)
        ]

    async def _missing(self, record: PodRecord) -> list[BlobRef]:
        """Blobs that are not in the spool, of images that are not in the pod's own repository."""
        store, publisher = self._doors.spool, record.ref.publisher
        found: dict[bytes, BlobRef] = {}
        for image in self._bundles.open(record).bundle.images:
            short = [blob for blob in image.blobs if store.chunks(publisher, blob) < chunk_count(blob.size)]
            if short and not await self._doors.registry.has_manifest(record.label, image.blobs[0].digest):
                found |= {blob.blob_id: blob for blob in short}
        return list(found.values())

    async def receive(self, record: PodRecord) -> LifecycleEvent:
        """Wait until every blob of the bundle is in the spool."""
        if record.previous is not None:
            record = await self.discard_other(record)  # of a version that this one overtook
        while missing := await self._missing(record):
            left = record.changed_at + BLOBS_WITHIN_S - self._doors.now()
            if left <= 0 or blobs_late(self._received(record), self._doors.now() - record.changed_at):
                raise Refused(f"{len(missing)} blobs did not come in time", rule="blobs-missing")
            with trio.move_on_after(min(left, CHANNEL_LOOK_S)):
                await self._arrived.wait()
            await self.channels.require(record)
        self._progress.tell(record.channel, "blobs", "all blobs are here")
        return LifecycleEvent.BLOBS_COMPLETE

    def _received(self, record: PodRecord) -> int:
        """Bytes of the bundle's blobs that are in the spool."""
        spool, publisher = self._doors.spool, record.ref.publisher
        blobs = self._bundles.open(record).blobs.values()
        return sum(min(blob.size, spool.chunks(publisher, blob) * BLOB_CHUNK) for blob in blobs)

    async def await_channel(self, record: PodRecord) -> LifecycleEvent:
        """Wait until the channel is on chain and pays for the pod; meanwhile bring in small images."""
        opened = self._bundles.open(record)
        await self.channels.wait(record, partial(self._images.run_early, record, opened))
        return LifecycleEvent.CHANNEL_GOOD

    async def import_images(self, record: PodRecord) -> LifecycleEvent:
        """Bring the images into the registry. The bundle's sizes count from here, also after going back."""
        record, opened = await self.measure(record)
        await self.users.hold(record, await self._images.run(record, opened))
        return LifecycleEvent.IMPORTED

    async def measure(self, record: PodRecord) -> tuple[PodRecord, OpenBundle]:
        """Let size and scaling be those of the record's bundle, which may be an earlier one."""
        opened = self._bundles.open(record)
        scaling = opened.scaling(self._doors.config.terms.idle_after_s)
        size = await self.volumes.size(record, opened)
        return await self._pods.change(record.channel, size=size, scaling=scaling), opened

    async def start(self, record: PodRecord) -> LifecycleEvent:
        """Apply the objects, run one replica to prove that it works, and sign what is confirmed."""
        opened = self._bundles.open(record)
        if record.live and record.previous is None and record.other is not None:
            return await self._finish_switch(record, opened)  # proven, and killed before its end
        if await self._keeps(record, opened):
            self._progress.tell(record.channel, "kept", KEPT)
            return await self._started(await self._noted(record, opened), opened)
        scaler = self._autoscaler.pod_scaler(record.channel)
        if scaler is not None and proven_beside(self._bundles, record, opened):
            return await self._start_beside(record, opened)
        record = await self.discard_other(record)
        if record.previous is not None or scaler is not None:
            grace_s = None if scaler is None else scaler.published.grace_s
            self._progress.finishing(record.channel, record.version, grace_s)
            record = await self._pods.change(record.channel, applied=True)
            await self._autoscaler.quiesce(record)
        await self._apply(record, opened, record.namespace)
        await self._meter.hold(record)
        try:
            await self._prove(record, opened)
        except Refused:
            if record.previous is None and not record.retained:  # what ran before serves, and writes
                kept = await self.volumes.prove(record, opened)
                if record.served:  # and what it writes outlives it as it says
                    await self._pods.change(record.channel, outliving=kept)
            raise
        await self.volumes.prove(record, opened)
        record, _ = await self.measure(record)
        await self._meter.hold(record)
        return await self._started(record, opened)

    async def _prove(self, record: PodRecord, opened: OpenBundle) -> None:
        """Until the pod runs, and its volumes are as large as it wants them."""
        await self.volumes.until_grown(record, opened, self._progress, before_start=True)
        pod_scaler = await self._autoscaler.publish(record, opened)
        record = await self._note_services(record, opened)
        self._progress.tell(record.channel, "start", "starting one replica to prove that it runs")
        with pod_scaler.kept_awake():  # a node does its part of a volume's growth for a replica alone
            answer = await pod_scaler.wake()
            if not isinstance(answer, WakeAddress):
                raise Refused(answer.error if answer else "the pod was changed meanwhile", rule="start")
            await self._autoscaler.until_all_ready(record, opened)
            await self.volumes.until_grown(record, opened, self._progress, before_start=False)

    async def _started(self, record: PodRecord, opened: OpenBundle) -> LifecycleEvent:
        """Sign for the newest request: the same bundle may have come again while the pod started."""
        identity = await additions.identity_of(self._doors, record, opened.manifest)
        statement = self._state(self._pods.get(record.channel) or record, opened, identity)
        outliving = await self.volumes.outliving(record, opened)
        await self._pods.change(record.channel, statement=encode(statement), outliving=outliving)
        self._progress.tell(record.channel, "serving", "the pod runs and is published")
        return LifecycleEvent.STARTED

    async def _keeps(self, record: PodRecord, opened: OpenBundle) -> bool:
        """Whether what serves goes on as it is; a switch that was killed may have left services behind."""
        known = self._autoscaler.pod_scaler(record.channel)
        published = known is not None and known.published.namespace == record.namespace
        if not (published and keeps_running(self._bundles, record, opened)):
            return False
        wanted = services(self.life(record, opened, record.namespace))
        return await serves_all(self._doors.cluster, record.namespace, wanted)

    async def _start_beside(self, record: PodRecord, opened: OpenBundle) -> LifecycleEvent:
        """Prove the newer version in a namespace of its own, and only then send requests there.

        Killed before the record changes its namespace, the version before serves on and all of this is
        done again; killed after, the newer one is what serves.
        """
        namespace = record.other or namespace_name(record.channel, record.generation)
        record = await self._pods.change(record.channel, other=namespace)
        await self._apply(record, opened, namespace, beside=True)
        text = "starting one replica beside the version that serves, to prove that it runs"
        self._progress.tell(record.channel, "start", text)
        try:
            await self._autoscaler.prove(record, opened, namespace)
            await self._autoscaler.take_over(record, opened, namespace)
        except Refused:
            await self.discard_other(record)
            raise
        await self._meter.hold(record)
        record = await self._pods.change(
            record.channel,
            exposures=exposures_of(self._doors, record, opened, withheld=self._lost(record)),
            namespace=namespace,
            other=record.namespace,
            previous=None,
            version=record.version + 1,
        )
        return await self._finish_switch(record, opened)

    async def _finish_switch(self, record: PodRecord, opened: OpenBundle) -> LifecycleEvent:
        """Let the version before finish its requests, and take it away."""
        assert record.other is not None
        if self._autoscaler.pod_scaler(record.channel) is None:
            await self._autoscaler.publish(record, opened)
        record = await self._take_services(record, opened, record.other)
        assert record.other is not None
        self._progress.finishing(record.channel, record.version - 1, opened.grace_s)
        await self._autoscaler.let_finish(record, record.other)
        return await self._started(await self.discard_other(record), opened)

    async def _take_services(self, record: PodRecord, opened: OpenBundle, source: str) -> PodRecord:
        """Lead the services' addresses to the version that serves now: they were made in *source*.

        There is no way back: an address that nobody writes again is told of, and the one before stays known.
        """
        async with self.turns.of(record.channel):
            made = services(self.life(record, opened, record.namespace))
            await self._doors.cluster.move_services(source, made)
        return await self._noted(record, opened)

    async def _noted(self, record: PodRecord, opened: OpenBundle) -> PodRecord:
        """As `_note_services` of what serves already: it goes on where others give a service no address."""
        try:
            return await self._note_services(record, opened)
        except Refused as error:
            await self._pods.note(record.channel, "no-address", str(error))
            return record

    async def _note_services(self, record: PodRecord, opened: OpenBundle) -> PodRecord:
        """Keep what the cluster gave the services; Refused where others give one no address in time."""
        wanted = {one.name: one for one in opened.manifest.spec.services if one.expose in ADDRESSED}
        waiting = set(wanted)
        with trio.move_on_after(ADDRESS_WITHIN_S):
            while True:
                made = await self._doors.cluster.services(record.namespace)
                waiting = set(wanted) - {view.name for view in made if view.addresses}
                waiting -= self._withheld(record, opened)
                if not waiting:
                    given = exposures_of(self._doors, record, opened, made, self._lost(record))
                    return await self._pods.change(record.channel, exposures=given)
                self._progress.tell(record.channel, "start", f"waiting for an address of {min(waiting)!r}")
                await trio.sleep(ADDRESS_LOOK_S)
        raise no_address(wanted[min(waiting)])

    def _lost(self, record: PodRecord) -> frozenset[str]:
        return self._autoscaler.hosts.withheld(record.channel)

    def _withheld(self, record: PodRecord, opened: OpenBundle) -> set[str]:
        """Services under no host any more, for which no controller has anything to serve."""
        lost = self._lost(record)
        parts = opened.manifest.spec.services
        return {one.name for one in parts if one.ingress is not None and lost.issuperset(one.hosts)}

    async def discard_other(self, record: PodRecord) -> PodRecord:
        """Take away what is left of a version that is not the pod's any more, or never came to be."""
        if record.other is None:
            return record
        await self._autoscaler.discard(record, record.other)
        return await self._pods.change(record.channel, other=None)

    async def _apply(
        self, record: PodRecord, opened: OpenBundle, namespace: str, *, beside: bool = False
    ) -> None:
        """Make the pod's objects; *beside* a version that has the services' addresses, all but those."""
        self._progress.tell(record.channel, "apply", "creating the pod's objects in the cluster")
        async with self.turns.of(record.channel):
            made = objects(await self.complete(record, opened, namespace), beside=beside)
            kept = {(part["kind"], part["metadata"]["name"]) for part in made}
            kept |= data_before(self._bundles, record)
            if namespace == record.namespace:
                earlier = await additions.keep_earlier_values(self._doors, record)
                kept |= {("Secret", name) for name in earlier}
            kept |= {("PersistentVolumeClaim", name) for name in opened.volumes}
            if opened.manifest.spec.network.by_name:
                kept.add(("NetworkPolicy", OPENED))  # what the version before asked for ends with its time
            await self._doors.cluster.prune(namespace, kept)  # first: what is left over takes of the quota
            await self._doors.cluster.apply(made)

    async def complete(
        self, record: PodRecord, opened: OpenBundle, namespace: str, book: NetworkBook | None = None
    ) -> PodLife:
        """The `life` with all that only this provider can give it, and *book*; see `with_additions`."""
        life = self.life(record, opened, namespace)
        if opened.volumes:
            life = replace(life, volumes=await self.volumes.stored(namespace))
        return await additions.with_additions(self._doors, record, opened, life, book)

    async def shown(self, record: PodRecord, life: PodLife, users: Mapping[str, str]) -> PodLife:
        """The *life* of a pod that is only asked about, as it would be complete."""
        return await additions.shown_additions(self._doors.registry, record, life, users)

    def life(self, record: PodRecord, opened: OpenBundle, namespace: str) -> PodLife:
        """What the cluster's objects are made from, for a version in *namespace*."""
        return PodLife(
            namespace=namespace,
            label=record.label,
            publisher=record.ref.publisher,
            manifest=opened.manifest,
            secrets=opened.secrets,
            seeds=opened.seeds,
            images=pull_references(self._doors.registry, record, opened),
            ingress_from=tuple(self._doors.config.cluster.ingress_from),
            closed_networks=self._doors.config.cluster.closed_networks,
            smtp=self._doors.config.egress.smtp,
            user_namespaces=self._doors.config.cluster.user_namespaces,
            callers=tuple(self._doors.config.exposure.callers),
            kept=record.exposures,
            told=pod_variables(record, opened, self._doors.config),
            pull=self._doors.registry.pull_login(record.label),
            resolver=self._doors.config.resolver_place,
            book=opened.bundle.book,
            sleep_place=sleep_place(self._doors.config),
            classes=self._doors.config.ingress.classes,
            withheld=self._lost(record),
        )

    async def restate(self, record: PodRecord) -> SignedStatement:
        """A statement for the record's present generation."""
        opened = self._bundles.open(record)
        identity = await additions.identity_of(self._doors, record, opened.manifest)
        signed = self._state(record, opened, identity)
        await self._pods.change(record.channel, statement=encode(signed))
        return signed

    def _state(self, record: PodRecord, opened: OpenBundle, identity: bytes) -> SignedStatement:
        exposed = exposures_of(self._doors, record, opened)
        said = statement_of(record, opened, self._doors.config, exposed, self._doors.now(), identity)
        return sign_statement(self._doors.keys.reply, said)

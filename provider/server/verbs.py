# SPDX-License-Identifier: Apache-2.0
"""`status`, `usage` and `delete`."""

from collections.abc import Callable

import trio

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused, StoreFailure, TrustedPodsError
from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import (
    DeleteBody,
    PodFailure,
    PodStatus,
    PublisherRoom,
    StartBody,
    StatusBody,
    StopBody,
)
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.protocol.units import UnixSeconds, Usage
from trustedpods.provider.admission.gate import Gate
from trustedpods.provider.admission.rights import CommandRights
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.books.tunnels import Tunnels
from trustedpods.provider.cluster.diagnosis import LOG_LINES, readable
from trustedpods.provider.core import metering
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import ENDED, LEAVING, Phase, PodRecord
from trustedpods.provider.core.quotas.publisher_quota import PublisherQuota
from trustedpods.provider.doors import Doors
from trustedpods.provider.lifecycle.reconciler import Reconciler
from trustedpods.provider.lifecycle.workers import PodWorkers, decode_statement
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.progress import ProgressFeeds
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.server.conversations import Request
from trustedpods.provider.serving.autoscaler import Autoscaler
from trustedpods.provider.serving.connections import awake_by
from trustedpods.provider.serving.failures import FAILING
from trustedpods.provider.serving.host_watch import withheld_told
from trustedpods.provider.serving.limits import PARKED as PARKED_TOLD
from trustedpods.provider.store import claims, history, last_logs, ledger

PARKED = "parked"
"""The word for the phase of a pod that its publisher stopped, and that would serve else."""

_NOTHING_RUNS = LEAVING | ENDED | {Phase.RETAINED, Phase.AWAITING_KEY}
"""Phases in which there is nothing that its publisher could stop or start."""

BOOKS_LOOK_S = 5.0
"""How often a delete that waits looks whether the provider can still write down what it does."""


class Verbs:
    """The short verbs on a pod that exists."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a status is made of
        self,
        doors: Doors,
        pods: Pods,
        bundles: Bundles,
        rights: CommandRights,
        autoscaler: Autoscaler,
        reconciler: Reconciler,
        workers: PodWorkers,
        progress: ProgressFeeds,
        tunnels: Tunnels,
        meter: Meter,
        gate: Gate,
        room: Callable[[Address], PublisherQuota | None],
    ) -> None:
        self._doors = doors
        self._pods = pods
        self._bundles = bundles
        self._rights = rights
        self._autoscaler = autoscaler
        self._reconciler = reconciler
        self._workers = workers
        self._progress = progress
        self._tunnels = tunnels
        self._meter = meter
        self._gate = gate
        self._room = room

    async def status(self, request: Request) -> None:
        """Phase, replicas, money and history."""
        decode(request.opened.body, StatusBody)
        record = self._rights.commanded_pod(request.opened)
        await request.replies.send(await self._status(record), final=True)

    async def _status(self, record: PodRecord) -> PodStatus:
        replicas, ready = self._autoscaler.replicas_of(record)
        fact = record.chain
        ended = record.phase in ENDED
        claimed = await self._doors.store.read(claims.paid_in_life, record.channel, record.life)
        left = 0 if fact is None or ended else fact.left
        accrued, runway = 0, None
        if fact is not None and record.terms is not None and not ended:
            money = await self._reconciler.count(record, fact, replicas)
            accrued, runway = money.accrued, money.runway_s
        failure = await self._failure(record)
        return PodStatus(
            phase=_phase(record, failure),
            reason=(record.reason or await self._circumstances(record))[:8000],
            failure=failure,
            version=record.version,
            generation=record.generation,
            replicas=replicas,
            ready=ready,
            statement=decode_statement(record.statement) if record.statement and not ended else None,
            deposit=left + claimed,
            claimed=claimed,
            accrued=accrued,
            runway_s=runway,
            services={name: one.expose for name, one in record.exposures.items()},
            up_to=0 if fact is None else fact.up_to,
            unlock_at=0 if fact is None else fact.unlock_at,
            events=await self._doors.store.read(history.events, record.channel),
            outliving={} if ended else dict(record.outliving),
            cpu_milli=0 if ended else record.size.cpu_milli,
            memory_mib=0 if ended else record.size.memory_mib,
            parked_at=record.parked_at,
            least_replicas=0 if ended else record.scaling.min_replicas,
            room=self._publisher_room(record),
            drain_at=None if ended else self._gate.rules.drain_at,
            last_request_at=self._meter.last_request(record.channel),
            name="" if ended or not self._bundles.held(record) else self._name(record),
        )

    def _publisher_room(self, record: PodRecord) -> PublisherRoom | None:
        room = self._room(record.ref.publisher)
        if room is None:
            return None
        return PublisherRoom(pods=room.pods, cpu_milli=room.cpu_milli, memory_mib=room.memory_mib)

    def _name(self, record: PodRecord) -> str:
        """What its publisher calls it; nothing where the bundle does not open."""
        try:
            return self._bundles.open(record).manifest.metadata.name
        except TrustedPodsError:
            return ""

    async def _failure(self, record: PodRecord) -> PodFailure | None:
        """Why it does not start; where the reason has no lines of the container, those that were kept."""
        failure = self._autoscaler.failure_of(record)
        if failure is None or failure.lines:
            return failure
        kept = await self._doors.store.read(last_logs.runs_of, record.channel)
        lines = kept[-1].data.splitlines()[-LOG_LINES:] if kept else []
        return failure.model_copy(update={"lines": readable(b"\n".join(lines).decode(errors="replace"))})

    async def _circumstances(self, record: PodRecord) -> str:
        """What holds a pod back, and what keeps it awake, in words."""
        awake = await awake_by(self._doors.facade, self._autoscaler, record)
        scaler = self._autoscaler
        told = (
            scaler.unpublished_told(record) if record.phase is Phase.SERVING else "",
            PARKED_TOLD if record.parked else scaler.start_told(record),
            scaler.cap_told(record),
            withheld_told(scaler.hosts.withheld(record.channel)),
            self._tunnels.told(record),
            self._meter.refused.told(record.namespace, self._doors.now()),
            awake,
        )
        return "; ".join(filter(None, told))

    async def stop(self, request: Request) -> None:
        """No replica until `start`; Refused (rule `not-serving`) where nothing of it could run."""
        decode(request.opened.body, StopBody)
        record = self._stoppable(request)
        if record.parked_at is None:
            record = await self._pods.change(record.channel, parked_at=self._doors.now())
            await self._pods.note(record.channel, "parked", "stopped by its publisher")
        self._autoscaler.limits_changed(record)  # also the second time: the first may have been killed
        if record.parked and self._autoscaler.pod_scaler(record.channel) is None:
            await self._autoscaler.park(record, PARKED_TOLD)
        await request.replies.send(await self._status(record), final=True)

    async def start(self, request: Request) -> None:
        """Let it run again; Refused (rule `not-serving`) where nothing of it could run."""
        decode(request.opened.body, StartBody)
        record = self._stoppable(request)
        if record.parked_at is not None:
            record = await self._pods.change(record.channel, parked_at=None)
            await self._pods.note(record.channel, "unparked", "started by its publisher")
        self._autoscaler.limits_changed(record)
        await request.replies.send(await self._status(record), final=True)

    def _stoppable(self, request: Request) -> PodRecord:
        """A request from before the newest deploy is refused: it may be about another version."""
        record = self._rights.commanded_pod(request.opened)
        self._rights.check_newest(request.opened)
        if record.phase in _NOTHING_RUNS:
            raise Refused(f"the pod is {record.phase}: nothing of it runs", rule="not-serving")
        return record

    async def usage(self, request: Request) -> None:
        """Leaves of what was claimed or is being claimed, and what accrued since."""
        body = decode(request.opened.body, UsageBody)
        record = self._rights.commanded_pod(request.opened)
        since = UnixSeconds(min(body.since, 1 << 40))
        found = await self._doors.store.read(claims.leaves, record.channel, record.life, since)
        behind = UnixSeconds(found[-1].up_to) if found else since  # what is asked behind is counted already
        open_usage = await self._open_usage(record, behind)
        await request.replies.send(
            UsageReport(leaves=found, open_usage=list(open_usage.quantities)), final=True
        )

    async def _open_usage(self, record: PodRecord, behind: UnixSeconds) -> Usage:
        if record.chain is None or record.phase in ENDED:
            return Usage()
        from_ = max(record.chain.up_to, behind)
        book = await self._doors.store.read(ledger.load_ledger, record.channel, from_)
        return metering.usage(book, from_, max(from_, self._doors.now()))

    async def delete(self, request: Request) -> None:
        """Settle, release, remove; answers when all of it has happened.

        Volumes that outlive the pod stay unless they are purged: then the answer is what is left.
        """
        body = decode(request.opened.body, DeleteBody)
        record = self._rights.commanded_pod(request.opened)
        if record.phase in ENDED:
            await request.replies.send(await self._done(record), final=True)
            return
        self._rights.check_newest(request.opened)
        keeps = bool(record.outliving) and not body.purge
        if record.phase not in (LEAVING | {Phase.RETAINED} if keeps else {Phase.REMOVING}):
            event = LifecycleEvent.DELETED_BUT_VOLUMES if keeps else LifecycleEvent.DELETED
            text = "deleted by its publisher; its volumes are kept" if keeps else "deleted by its publisher"
            await self._workers.stop(record.channel)
            await self._pods.learn(record.channel, generation=request.opened.generation)
            await self._pods.step(record.channel, event, text)
        await request.replies.send(await self._wait_ended(record.channel), final=True)

    async def _wait_ended(self, channel: ChannelId) -> Done | PodStatus:
        while True:
            record = self._pods.get(channel)
            if record is None or not record.known_to_pay:
                return Done(text="removed; a channel that still comes for it is released unused")
            if record.phase in ENDED:
                return await self._done(record)
            if record.phase is Phase.RETAINED:
                return await self._status(record)
            self._workers.ensure(channel)
            with trio.move_on_after(BOOKS_LOOK_S):
                await self._pods.changed()
            if (failure := self._doors.store.disk.failure) is not None:
                raise StoreFailure(
                    f"the pod is stopped, and its end waits for the provider's books: {failure.what}",
                    rule=failure.rule,
                    hint="ask again later; the channel is settled when the provider has room again",
                )

    async def _done(self, record: PodRecord) -> Done:
        transaction = await self._doors.store.read(claims.released_in_life, record.channel, record.life)
        return Done(text="removed; the channel is settled and released", transaction=transaction)


def _phase(record: PodRecord, failure: PodFailure | None) -> str:
    """The word that its publisher reads."""
    if record.parked and record.phase is Phase.SERVING:
        return PARKED
    return FAILING if failure else str(record.phase)

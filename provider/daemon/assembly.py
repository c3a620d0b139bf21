# SPDX-License-Identifier: Apache-2.0
"""The parts of the daemon, put together: who knows whom, and who carries out or answers what."""

import logging
from dataclasses import dataclass
from functools import partial

from trustedpods.protocol.errors import StoreFailure
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages.verbs import Verb
from trustedpods.provider.admin.eviction import Eviction
from trustedpods.provider.admission.admission import Admission, Permissions
from trustedpods.provider.admission.arrivals import AdmissionLimits
from trustedpods.provider.admission.gate import Gate
from trustedpods.provider.admission.rights import CommandRights
from trustedpods.provider.admission.tenancy import TenancyGuard
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.billing.settlement import Settlement
from trustedpods.provider.books.books import Books
from trustedpods.provider.books.tunnels import Tunnels
from trustedpods.provider.core.lifecycle import LifecycleCommand
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.lifecycle.additions import drop_earlier_values
from trustedpods.provider.lifecycle.provisioning import ProvisioningSteps
from trustedpods.provider.lifecycle.reconciler import Reconciler
from trustedpods.provider.lifecycle.recovery import Recovery
from trustedpods.provider.lifecycle.removal import PodRemoval
from trustedpods.provider.lifecycle.workers import PodWorkers, Work
from trustedpods.provider.networks.networks import Networks
from trustedpods.provider.pods.blobs_ahead import AheadBounds, BlobsAhead
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.progress import ProgressFeeds
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.server.blobs import Uploads
from trustedpods.provider.server.conversations import VerbHandler
from trustedpods.provider.server.exec import PodCommands
from trustedpods.provider.server.following.follows import LogFollowers
from trustedpods.provider.server.forwarding.forwards import PortForwards
from trustedpods.provider.server.networks import NetworkRequests, NodeBooks
from trustedpods.provider.server.pod_logs import PodLogs
from trustedpods.provider.server.provision import Provisioning
from trustedpods.provider.server.rotate import Rotations
from trustedpods.provider.server.verbs import Verbs
from trustedpods.provider.serving.autoscaler import Autoscaler
from trustedpods.provider.serving.connections import thawed
from trustedpods.provider.serving.slots import exposures_of
from trustedpods.provider.store import last_logs
from trustedpods.provider.webhooks.delivery import Warnings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """Everything that runs, put together."""

    doors: Doors
    pods: Pods
    progress: ProgressFeeds
    bundles: Bundles
    meter: Meter
    autoscaler: Autoscaler
    settlement: Settlement
    provisioning_steps: ProvisioningSteps
    workers: PodWorkers
    reconciler: Reconciler
    rights: CommandRights
    admission: Admission
    recovery: Recovery
    eviction: Eviction
    warnings: Warnings
    tenancy: TenancyGuard
    networks: Networks
    gate: Gate
    books: Books
    tunnels: Tunnels


def assemble(doors: Doors, gate: Gate, limits: AdmissionLimits | None = None) -> Parts:
    """Make the parts and let them know each other; nothing runs yet. *limits* are admission's paces."""
    pods, progress, bundles = Pods(doors), ProgressFeeds(), Bundles(doors)
    meter = Meter(doors, pods)
    autoscaler = Autoscaler(doors, pods, bundles, meter)
    settlement = Settlement(doors, pods, meter)
    provisioning_steps = ProvisioningSteps(doors, pods, progress, bundles, autoscaler, meter)
    removal = PodRemoval(doors, pods, progress, bundles, autoscaler, meter, settlement)
    workers = PodWorkers(doors, pods, progress, _work(provisioning_steps, removal))
    recovery = Recovery(doors.store, pods, bundles, meter)
    reconciler = Reconciler(doors, pods, bundles, autoscaler, workers, recovery)
    tenancy = TenancyGuard()
    rights = CommandRights(pods, doors.generations)
    permissions = Permissions(rights, tenancy, gate)
    limits, users = limits or AdmissionLimits(), provisioning_steps.users
    admission = Admission(doors, permissions, pods, bundles, autoscaler, workers, users, limits)
    parts = Parts(
        doors,
        pods,
        progress,
        bundles,
        meter,
        autoscaler,
        settlement,
        provisioning_steps,
        workers,
        reconciler,
        rights,
        admission,
        recovery,
        Eviction(doors, pods, bundles, autoscaler, workers, settlement, gate),
        Warnings(doors, pods, bundles),
        tenancy,
        Networks(doors),
        gate,
        Books(doors, pods, bundles, provisioning_steps),
        Tunnels(doors, pods, bundles),
    )
    pods.run, pods.told = Runner(parts).run, parts.warnings.told
    return parts


def _work(provisioning_steps: ProvisioningSteps, removal: PodRemoval) -> dict[Phase, Work]:
    """What is done in each phase in which there is work."""
    return {
        Phase.RECEIVED: provisioning_steps.receive,
        Phase.WAITING_CHANNEL: provisioning_steps.await_channel,
        Phase.IMPORTING: provisioning_steps.import_images,
        Phase.STARTING: provisioning_steps.start,
        Phase.CLEARING: removal.clear,
        Phase.REMOVING: removal.remove,
    }


class Runner:
    """Carries out the commands of the pods' life."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self, record: PodRecord, command: LifecycleCommand) -> None:
        """One command; it may be repeated, and may fail with our errors."""
        parts = self._parts
        match command:
            case LifecycleCommand.WORK:
                parts.workers.ensure(record.channel)
            case LifecycleCommand.PUBLISH:
                record, opened = await parts.provisioning_steps.measure(record)
                await parts.autoscaler.publish(record, opened)
                withheld = parts.autoscaler.hosts.withheld(record.channel)
                exposures = exposures_of(parts.doors, record, opened, withheld=withheld)
                await parts.pods.change(record.channel, exposures=exposures)
            case LifecycleCommand.PARK:
                await parts.autoscaler.park(record, record.reason or "this pod is stopped")
            case LifecycleCommand.LET_GO:
                await parts.meter.let_go(record)
            case LifecycleCommand.SETTLE:
                parts.settlement.hurry(record.channel)
            case LifecycleCommand.DROP_EARLIER:
                await drop_earlier_values(parts.doors, record)
            case LifecycleCommand.FORGET:
                parts.bundles.forget(record.request)
                await self._forget_logs(record)
                await parts.pods.forget(record.channel)

    async def _forget_logs(self, record: PodRecord) -> None:
        """Nothing is kept of a pod that was removed, and of all that failed no more than a bound."""
        store = self._parts.doors.store
        try:
            if record.phase is Phase.GONE:
                await store.write(last_logs.forget, record.channel)
            else:
                await store.write(last_logs.trim_ended)
        except StoreFailure as error:
            _log.warning("%s: its last logs stay until another pod ends: %s", record.label, error)


def handlers(parts: Parts) -> dict[Verb, VerbHandler]:
    """Who answers which verb of the wire."""
    provisioning = Provisioning(
        parts.admission,
        parts.pods,
        parts.progress,
        parts.workers,
        parts.provisioning_steps,
        parts.doors.config.identity.domain,
    )
    spool, quota = parts.doors.spool, parts.doors.config.store.spool_quota_mib * MIB
    uploads = Uploads(
        parts.rights,
        parts.bundles,
        spool,
        parts.provisioning_steps,
        parts.doors.store.disk,
        BlobsAhead(parts.pods, parts.bundles, spool, AheadBounds.of_spool(quota)),
    )
    verbs = Verbs(
        parts.doors,
        parts.pods,
        parts.bundles,
        parts.rights,
        parts.autoscaler,
        parts.reconciler,
        parts.workers,
        parts.progress,
        parts.tunnels,
        parts.meter,
        parts.gate,
        parts.admission.room,
    )
    commands = PodCommands(
        parts.doors, parts.rights, parts.bundles, parts.meter, partial(thawed, parts.autoscaler)
    )
    return {
        "admit": provisioning.admit,
        "render": provisioning.render,
        "provision": provisioning.provision,
        "restart": provisioning.restart,
        "stop": verbs.stop,
        "start": verbs.start,
        "blob": uploads.blob,
        "status": verbs.status,
        "logs": PodLogs(parts.doors, parts.rights, parts.bundles).logs,
        "follow": LogFollowers(
            parts.doors, parts.rights, parts.bundles, parts.autoscaler.replicas, commands.booking
        ).follow,
        "exec": commands.exec,
        "terminal": commands.terminal,
        "forward": PortForwards(parts.doors, parts.rights, parts.bundles, commands).forward,
        "usage": verbs.usage,
        "delete": verbs.delete,
        "network": NetworkRequests(parts.networks).network,
        "book": NodeBooks(parts.rights, parts.books).book,
        "rotate": Rotations(parts.doors, parts.pods, parts.rights, parts.settlement).rotate,
    }

# SPDX-License-Identifier: Apache-2.0
"""The parts of the daemon, put together: who knows whom, and who carries out or answers what."""

from dataclasses import dataclass

from trustedpods.protocol.messages.verbs import Verb
from trustedpods.provider.admin.eviction import Evictor
from trustedpods.provider.admission.admission import Acceptance
from trustedpods.provider.admission.gate import Gate
from trustedpods.provider.admission.tenancy import Isolation
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.billing.settlement import Settlement
from trustedpods.provider.core.lifecycle import Command
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.lifecycle.provisioning import Phases
from trustedpods.provider.lifecycle.reconciler import Reconciler
from trustedpods.provider.lifecycle.recovery import Recovery
from trustedpods.provider.lifecycle.removal import Remover
from trustedpods.provider.lifecycle.workers import Keeper, Work
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.pods.progress import Board
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.server.blobs import Uploads
from trustedpods.provider.server.conversations import VerbHandler
from trustedpods.provider.server.provision import Provisioning
from trustedpods.provider.server.rotate import Rotations
from trustedpods.provider.server.verbs import Verbs
from trustedpods.provider.serving.autoscaler import Fleet
from trustedpods.provider.webhooks.delivery import Warnings


@dataclass(frozen=True)
class Parts:
    """Everything that runs, put together."""

    doors: Doors
    pods: Pods
    board: Board
    bundles: Bundles
    meter: Meter
    fleet: Fleet
    settlement: Settlement
    phases: Phases
    keeper: Keeper
    reconciler: Reconciler
    acceptance: Acceptance
    recovery: Recovery
    evictor: Evictor
    warnings: Warnings
    isolation: Isolation


def assemble(doors: Doors, gate: Gate) -> Parts:
    """Make the parts and let them know each other; nothing runs yet."""
    pods, board, bundles = Pods(doors), Board(), Bundles(doors)
    meter = Meter(doors, pods)
    fleet = Fleet(doors, bundles, meter)
    settlement = Settlement(doors, pods, meter)
    phases = Phases(doors, pods, board, bundles, fleet, meter)
    remover = Remover(doors, pods, board, bundles, fleet, meter, settlement)
    keeper = Keeper(doors, pods, board, _work(phases, remover))
    recovery = Recovery(doors, pods, bundles)
    reconciler = Reconciler(doors, pods, bundles, fleet, keeper, recovery)
    isolation = Isolation()
    acceptance = Acceptance(doors, pods, bundles, fleet, keeper, isolation, gate)
    parts = Parts(
        doors,
        pods,
        board,
        bundles,
        meter,
        fleet,
        settlement,
        phases,
        keeper,
        reconciler,
        acceptance,
        recovery,
        Evictor(doors, pods, bundles, fleet, keeper, settlement, gate),
        Warnings(doors, pods, bundles),
        isolation,
    )
    pods.run, pods.told = Runner(parts).run, parts.warnings.told
    return parts


def _work(phases: Phases, remover: Remover) -> dict[Phase, Work]:
    """What is done in each phase in which there is work."""
    return {
        Phase.RECEIVED: phases.receive,
        Phase.WAITING_CHANNEL: phases.await_channel,
        Phase.IMPORTING: phases.import_images,
        Phase.STARTING: phases.start,
        Phase.REMOVING: remover.remove,
    }


class Runner:
    """Carries out the commands of the pods' life."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self, record: PodRecord, command: Command) -> None:
        """One command; it may be repeated, and may fail with our errors."""
        parts = self._parts
        match command:
            case Command.WORK:
                parts.keeper.ensure(record.channel)
            case Command.PUBLISH:
                machine = await parts.fleet.publish(record, parts.bundles.open(record))
                await parts.pods.change(record.channel, slot=machine.published.slot)
            case Command.PARK:
                await parts.fleet.park(record, record.reason or "this pod is stopped")
            case Command.SETTLE:
                parts.settlement.hurry(record.channel)
            case Command.FORGET:
                parts.bundles.forget(record.request)


def handlers(parts: Parts) -> dict[Verb, VerbHandler]:
    """Who answers which verb of the wire."""
    provisioning = Provisioning(
        parts.acceptance,
        parts.pods,
        parts.board,
        parts.keeper,
        parts.phases,
        parts.doors.config.identity.domain,
    )
    uploads = Uploads(parts.acceptance, parts.bundles, parts.doors.blobs, parts.phases)
    verbs = Verbs(
        parts.doors,
        parts.pods,
        parts.acceptance,
        parts.bundles,
        parts.fleet,
        parts.reconciler,
        parts.keeper,
        parts.board,
    )
    return {
        "admit": provisioning.admit,
        "provision": provisioning.provision,
        "blob": uploads.blob,
        "status": verbs.status,
        "logs": verbs.logs,
        "usage": verbs.usage,
        "delete": verbs.delete,
        "rotate": Rotations(parts.doors, parts.pods, parts.acceptance, parts.settlement).rotate,
    }

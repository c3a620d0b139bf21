# SPDX-License-Identifier: Apache-2.0
"""The daemon: opens the doors, puts the parts together, and keeps them running until a signal."""

import logging
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from trustedpods.contracts.client import Chain
from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import Locked, TrustedPodsError
from trustedpods.protocol.evidence import KeyBinding
from trustedpods.protocol.ids import Address
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages import Verb
from trustedpods.protocol.net.host import Host, open_host
from trustedpods.provider import tee
from trustedpods.provider.app import desk
from trustedpods.provider.app.accepting import Acceptance
from trustedpods.provider.app.board import Board
from trustedpods.provider.app.bundles import Bundles
from trustedpods.provider.app.connections import keep_young
from trustedpods.provider.app.doors import Doors, binding_of, profile_of
from trustedpods.provider.app.evicting import Evictor
from trustedpods.provider.app.fleet import Fleet
from trustedpods.provider.app.isolating import Isolation
from trustedpods.provider.app.keeper import Keeper
from trustedpods.provider.app.meter import Meter
from trustedpods.provider.app.operator import serve_operator
from trustedpods.provider.app.phases import Phases
from trustedpods.provider.app.pods import Pods
from trustedpods.provider.app.presence import keep_row
from trustedpods.provider.app.reconciler import Reconciler
from trustedpods.provider.app.recovery import Recovery
from trustedpods.provider.app.removing import Remover
from trustedpods.provider.app.settlement import Settlement
from trustedpods.provider.app.steady import steadily
from trustedpods.provider.app.waiting import wait_for_doors
from trustedpods.provider.app.warning import Warnings
from trustedpods.provider.blobstore import BlobStore
from trustedpods.provider.cluster.client import open_cluster
from trustedpods.provider.cluster.registry import open_registry
from trustedpods.provider.cluster.traffic import traffic_source
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.life import Command
from trustedpods.provider.core.record import Phase, PodRecord
from trustedpods.provider.facade.facade import Facade
from trustedpods.provider.facade.runtime import Runtime
from trustedpods.provider.facade.wake import serve_wakes
from trustedpods.provider.gate import Gate
from trustedpods.provider.keyfile import read_key
from trustedpods.provider.keys import BootKeys
from trustedpods.provider.marks import Marks
from trustedpods.provider.metrics import Snapshot, serve_metrics
from trustedpods.provider.resolver import Resolver
from trustedpods.provider.server.blobs import Uploads
from trustedpods.provider.server.conversations import Conversations, Handler
from trustedpods.provider.server.provision import Provisioning
from trustedpods.provider.server.rotate import Rotations
from trustedpods.provider.server.verbs import Verbs
from trustedpods.provider.store import Vault, open_store

if TYPE_CHECKING:
    from trio_typing import TaskStatus

_log = logging.getLogger(__name__)

OBSERVE_EVERY_S = 15.0
LEASE_NAME = "trustedpods-daemon"
LEASE_S = 30
COLLECT_EVERY_S = 600.0
BLOB_KEPT_S = 3600.0
"""How long a blob that no pod needs stays: a second deploy soon after sends nothing."""


@asynccontextmanager
async def open_doors(config: ProviderConfig) -> AsyncIterator[Doors]:
    """Open everything that the daemon uses; Locked when another one runs."""
    keys = BootKeys.load_or_create(Path(config.identity.keys_dir))
    market = Market(
        chain_id=config.market.chain_id,
        payments=Address(config.market.payments),
        registry=Address(config.market.registry),
        token=Address(config.market.token),
        finality_blocks=config.market.finality_blocks,
    )
    journal = Path(config.store.path).parent / "transactions"
    async with AsyncExitStack() as stack:
        yield Doors(
            config=config,
            keys=keys,
            operator_key=read_key(Path(config.identity.operator_key_file)),
            collector=tee.from_setting(config.identity.tee, config.identity.trust, config.identity.tee_files),
            store=await stack.enter_async_context(
                open_store(Path(config.store.path), Vault(keys.hpke.to_bytes()))
            ),
            blobs=BlobStore(Path(config.store.spool), config.store.spool_quota_mib),
            chain=await stack.enter_async_context(Chain(config.market.rpc, market, journal=journal)),
            cluster=await stack.enter_async_context(open_cluster(Path(config.cluster.kubeconfig))),
            registry=await stack.enter_async_context(open_registry(f"http://{config.cluster.registry}")),
            resolver=Resolver(config.facade.resolvers),
            facade=Facade(
                Runtime(Path(config.facade.runtime_socket)),
                map_file=Path(config.facade.map_file),
                pools=config.facade.pools,
                tls_dir=config.facade.tls_dir(config.identity.keys_dir) if config.facade.tls_binds else None,
            ),
            marks=Marks(Path(config.identity.keys_dir)),
            gate=Gate(Path(config.store.path).parent),
            traffic=traffic_source(config.cluster.traffic_socket),
        )


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


def assemble(doors: Doors) -> Parts:
    """Make the parts and let them know each other; nothing runs yet."""
    pods, board, bundles = Pods(doors), Board(), Bundles(doors)
    meter = Meter(doors, pods)
    fleet = Fleet(doors, bundles, meter)
    settlement = Settlement(doors, pods, meter)
    phases = Phases(doors, pods, board, bundles, fleet, meter)
    remover = Remover(doors, pods, board, bundles, fleet, meter, settlement)
    keeper = Keeper(
        doors,
        pods,
        board,
        {
            Phase.RECEIVED: phases.receive,
            Phase.WAITING_CHANNEL: phases.await_channel,
            Phase.IMPORTING: phases.import_images,
            Phase.STARTING: phases.start,
            Phase.REMOVING: remover.remove,
        },
    )
    recovery = Recovery(doors, pods, bundles)
    reconciler = Reconciler(doors, pods, bundles, fleet, keeper, recovery)
    isolation = Isolation()
    acceptance = Acceptance(doors, pods, bundles, fleet, keeper, isolation)
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
        Evictor(doors, pods, bundles, fleet, keeper, settlement),
        Warnings(doors, pods, bundles),
        isolation,
    )
    pods.run, pods.told = Runner(parts).run, parts.warnings.told
    return parts


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


async def serve(config: ProviderConfig) -> None:
    """Run the daemon until SIGTERM or SIGINT."""
    async with open_doors(config) as doors:
        await wait_for_doors(doors)
        parts = assemble(doors)
        await parts.pods.load()
        parts.isolation.begin(doors)
        async with (
            open_host(doors.keys.libp2p_seed, config.net.listen) as host,
            trio.open_nursery() as nursery,
        ):
            proving = partial(parts.isolation.keep_proving, doors)
            nursery.start_soon(steadily, "proving isolation", proving)
            await run_parts(parts, host)
            nursery.cancel_scope.cancel()


async def run_parts(
    parts: Parts, host: Host, *, task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED
) -> None:
    """Every task of the daemon, until it is cancelled or told to stop by a signal."""
    doors, config = parts.doors, parts.doors.config
    binding, profile = _presentation(doors, host)
    conversations = Conversations(doors, binding, profile, _handlers(parts))
    host.serve(conversations.handle)  # at once: who comes early waits until everything runs
    async with trio.open_nursery() as nursery:
        await _hold_lease(doors)
        nursery.start_soon(_stop_on_signal, nursery.cancel_scope)
        nursery.start_soon(_keep_lease, doors)
        await parts.recovery.after_start()
        await nursery.start(parts.fleet.run)
        await nursery.start(parts.keeper.run)
        await _restore(parts)
        await nursery.start(serve_wakes, Path(config.facade.wake_socket), parts.fleet.answer_wake)
        for name, task in (
            ("reconciling", parts.reconciler.run),
            ("settlement", parts.settlement.run),
            ("warning", parts.warnings.run),
            ("observing", partial(parts.meter.keep_observing, OBSERVE_EVERY_S)),
            ("closing old connections", partial(keep_young, doors, parts.pods, parts.bundles, parts.fleet)),
            ("collecting blobs", partial(_collect_blobs, parts)),
        ):
            nursery.start_soon(steadily, name, task)
        endpoint = (config.net.announce or host.addresses)[0]
        nursery.start_soon(steadily, "keeping the row", partial(keep_row, doors, profile, endpoint))
        verbs = desk.operator_verbs(parts, profile, endpoint, lambda: conversations.running)
        await nursery.start(serve_operator, config.operator_socket, verbs)
        if config.metrics is not None:
            nursery.start_soon(_metrics, parts, conversations)
        conversations.begin()
        _log.info("serving at %s", endpoint)
        _notify_ready()
        task_status.started()
    _log.info("stopped; pods go on as they are")


def _presentation(doors: Doors, host: Host) -> tuple[KeyBinding, bytes]:
    """What attestation binds, and the profile whose digest is in the registry."""
    config = doors.config
    addresses = config.net.announce or host.addresses
    profile = profile_of(config, simulated=doors.collector.simulated, addresses=addresses[:8])
    return binding_of(config, doors.keys, host.peer_id), profile


def _handlers(parts: Parts) -> dict[Verb, Handler]:
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


async def _restore(parts: Parts) -> None:
    """Put the machines of published pods back, and the facade in step with them."""
    published = [
        record
        for record in parts.pods.standing
        if parts.bundles.held(record) and (record.live or record.phase is Phase.STOPPED)
    ]
    await parts.fleet.restore(published)
    await parts.fleet.take_over_facade()
    for record in parts.pods.standing:
        parts.keeper.ensure(record.channel)


async def _hold_lease(doors: Doors) -> None:
    """One daemon per cluster: the file lock sees this machine, the lease the whole cluster."""
    await doors.cluster.hold_lease(LEASE_NAME, _lease_holder(doors), LEASE_S)
    doors.metrics.answered("cluster")


async def _keep_lease(doors: Doors) -> None:
    """Renew it. Locked ends the daemon: another has taken the cluster over, and two must not act."""
    while True:
        await trio.sleep(LEASE_S / 3)
        try:
            await _hold_lease(doors)
        except Locked:
            raise
        except TrustedPodsError as error:
            _log.warning("the lease cannot be renewed: %s", error)


def _lease_holder(doors: Doors) -> str:
    """The store's path names the holder: a restarted daemon of the same store takes the lease at once."""
    return f"{socket.gethostname()}:{doors.config.store.path}"


async def _stop_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for received in signals:
            _log.info("%s: stopping", signal.Signals(received).name)
            scope.cancel()
            return


async def _collect_blobs(parts: Parts) -> None:
    """Blobs that no pod needs go after a while."""
    while True:
        await trio.sleep(COLLECT_EVERY_S)
        needed: set[bytes] = set()
        waiting = {record.ref.publisher for record in parts.pods.standing if not parts.bundles.held(record)}
        for record in parts.pods.standing:
            if parts.bundles.held(record):
                needed |= parts.bundles.open(record).blobs.keys()
        freed = await trio.to_thread.run_sync(parts.doors.blobs.collect, needed, BLOB_KEPT_S, waiting)
        if freed:
            _log.info("%d MiB of blobs that nobody needs were removed", freed // MIB)


async def _metrics(parts: Parts, conversations: Conversations) -> None:
    """Numbers for Prometheus; a snapshot is taken in this thread and read by the server's."""
    assert parts.doors.config.metrics is not None
    latest = await desk.snapshot(parts, conversations.running)

    def read() -> Snapshot:
        return latest

    counting = parts.doors.metrics.count_log()
    logging.getLogger().addHandler(counting)
    stop = serve_metrics(parts.doors.config.metrics.listen, parts.doors.metrics, read)
    try:
        while True:
            await trio.sleep(5)
            latest = await desk.snapshot(parts, conversations.running)
    finally:
        logging.getLogger().removeHandler(counting)
        stop()


def _notify_ready() -> None:
    """Tell systemd (Type=notify) that the daemon serves."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect("\0" + address[1:] if address.startswith("@") else address)
        notify.sendall(b"READY=1")

# SPDX-License-Identifier: Apache-2.0
"""The daemon: its tasks, from the opening of the doors until a signal.

`startup` opens the doors, `assembly` makes the parts that run here.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from trustedpods.protocol.evidence import KeyBinding
from trustedpods.protocol.ids import Address
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.net import Host, open_host
from trustedpods.protocol.protocol_ids import OPERATOR, PROVIDER
from trustedpods.provider.admin.api import AdminApi, snapshot
from trustedpods.provider.admin.remote.door import MAX_LISTENING, OperatorDoor
from trustedpods.provider.admin.socket import serve_admin
from trustedpods.provider.admission.gate import Gate
from trustedpods.provider.billing.fees import keep_fees
from trustedpods.provider.billing.former_keys import FormerKeys
from trustedpods.provider.billing.meter import run_of
from trustedpods.provider.billing.pruning import keep_pruned
from trustedpods.provider.billing.refused_egress import keep_egress_limits
from trustedpods.provider.books.local_nodes import LocalNodes
from trustedpods.provider.books.renewal import CertificateRenewal
from trustedpods.provider.cluster.pod_counters import TrafficDoor
from trustedpods.provider.config import NamesSection, ProviderConfig
from trustedpods.provider.core.placement.offered import capabilities
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.daemon.assembly import Parts, assemble, handlers
from trustedpods.provider.daemon.leader import hold_lease, keep_asking, keep_lease
from trustedpods.provider.daemon.own_sleep import OwnSleep, serve_own_sleep
from trustedpods.provider.daemon.process import give_back_large_buffers, notify_ready, stop_on_signal
from trustedpods.provider.daemon.registry_row import keep_registry_row
from trustedpods.provider.daemon.startup import open_doors, wait_for_doors
from trustedpods.provider.dns.upstream import Upstream
from trustedpods.provider.doors import Doors, binding_of, profile_of
from trustedpods.provider.facade.activator.wake import serve_wakes
from trustedpods.provider.lifecycle.pod_variables import sleep_place
from trustedpods.provider.metrics import Snapshot, serve_metrics
from trustedpods.provider.names.openings import Openings, nobody_says
from trustedpods.provider.names.own_pods import OwnPods
from trustedpods.provider.names.resolver import PodResolver
from trustedpods.provider.names.sockets import serve_names
from trustedpods.provider.pods.bundles import OpenBundle
from trustedpods.provider.public.counting import ServiceCount
from trustedpods.provider.server.conversation_limits import ConversationLimits
from trustedpods.provider.server.conversations import Conversations
from trustedpods.provider.serving.certificates import keep_renewed
from trustedpods.provider.serving.connections import keep_young
from trustedpods.provider.serving.host_watch import HostWatch
from trustedpods.provider.serving.pod_scaler import PodScaler
from trustedpods.provider.serving.running_on.follower import RunningOn
from trustedpods.provider.serving.slots import exposures_of
from trustedpods.provider.supervise import supervise

if TYPE_CHECKING:
    from trio_typing import TaskStatus

_log = logging.getLogger(__name__)

OBSERVE_EVERY_S = 15.0
"""The watch tells of most runs at once; this finds those that it missed."""

COLLECT_EVERY_S = 600.0
BLOB_KEPT_S = 3600.0
"""How long a blob that no pod needs stays: a second deploy soon after sends nothing."""


async def serve(config: ProviderConfig) -> None:
    """Run the daemon until SIGTERM or SIGINT, which end it while it stands by or opens its doors as well."""
    give_back_large_buffers()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_on_signal, nursery.cancel_scope)
        await _serve(config)
        nursery.cancel_scope.cancel()


async def _serve(config: ProviderConfig) -> None:
    async with open_doors(config) as doors:
        await wait_for_doors(doors)
        parts = assemble(doors, await Gate.open(doors.store))
        await parts.pods.load()
        parts.tenancy.begin(doors)
        async with (
            open_host(doors.keys.libp2p_seed, config.net.listen) as host,
            trio.open_nursery() as nursery,
        ):
            proving = partial(parts.tenancy.keep_proving, doors)
            nursery.start_soon(supervise, "proving isolation", proving)
            await run_parts(parts, host)
            nursery.cancel_scope.cancel()


async def run_parts(
    parts: Parts, host: Host, *, task_status: "TaskStatus[None]" = trio.TASK_STATUS_IGNORED
) -> None:
    """Every task of the daemon, until it is cancelled or told to stop by a signal."""
    doors, config = parts.doors, parts.doors.config
    binding, profile = await _presentation(doors, host)
    service = ServiceCount(doors, profile)
    conversations = Conversations(
        doors,
        binding,
        profile,
        handlers(parts),
        parts.admission.check_first,
        parts.pods.recall,
        lambda: service.signed,
    )
    host.serve(PROVIDER, conversations.handle)  # at once: who comes early waits until everything runs
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_on_signal, nursery.cancel_scope)
        if doors.shared_books:  # their lease is kept since before they were opened
            nursery.start_soon(supervise, "asking the cluster", partial(keep_asking, doors))
        else:
            await hold_lease(doors)
            nursery.start_soon(keep_lease, doors)
        nursery.start_soon(doors.store.until_lost)
        former_keys = FormerKeys(doors)
        await former_keys.begin()
        await parts.recovery.after_start(await _running_on(doors))
        await nursery.start(parts.autoscaler.run)
        await nursery.start(parts.workers.run)
        running_on = RunningOn(doors, parts.pods, parts.meter, parts.autoscaler)
        await _restore(parts, running_on)
        if config.names is not None:
            await _answer_names(parts, config.names, nursery)
        await _hear_own_sleep(parts, nursery)
        await nursery.start(serve_wakes, Path(config.facade.wake_socket), running_on.answer_wake)
        for name, task in (
            ("reconciling", parts.reconciler.run),
            ("following pods that run on", running_on.run),
            ("settling former operator's keys", former_keys.run),
            ("settlement", parts.settlement.run),
            ("warning", parts.warnings.run),
            ("sending pods away in time", parts.eviction.keep_deadline),
            ("observing", partial(parts.meter.keep_observing, OBSERVE_EVERY_S)),
            (
                "closing old connections",
                partial(keep_young, doors.facade, parts.pods, parts.bundles, parts.autoscaler),
            ),
            ("telling of networks' leases", parts.networks.keep_telling),
            ("leading nodes to each other", LocalNodes(doors, parts.pods).run),
            ("keeping tunnels", parts.tunnels.run),
            ("renewing certificates", CertificateRenewal(parts.pods, parts.bundles, parts.books).run),
            (
                "proving hosts",
                HostWatch(
                    doors, parts.pods, parts.bundles, parts.autoscaler, parts.provisioning_steps.turns
                ).run,
            ),
            ("collecting blobs", partial(_collect_blobs, parts)),
            ("looking at the disk", doors.store.keep_looking),
            ("limiting egress", partial(keep_egress_limits, doors)),
            ("pruning the books", partial(keep_pruned, doors)),
            ("reading fees", partial(keep_fees, doors)),
            ("counting the service", service.run),
        ):
            nursery.start_soon(supervise, name, task)
        if (acme := config.tls.acme) is not None:
            nursery.start_soon(supervise, "renewing the certificate", partial(keep_renewed, doors, acme))
        endpoint = host.reached_at(config.net.announce)[0]
        nursery.start_soon(supervise, "keeping the row", partial(keep_registry_row, doors, profile, endpoint))
        operator = AdminApi(parts, profile, endpoint, lambda: conversations.running)
        await _answer_operator(doors, host, operator, nursery)
        if config.metrics is not None:
            nursery.start_soon(_metrics, parts, conversations)
        conversations.begin()
        _log.info("serving at %s", endpoint)
        notify_ready()
        task_status.started()
    _log.info("stopped; pods go on as they are")


async def _answer_operator(doors: Doors, host: Host, operator: AdminApi, nursery: trio.Nursery) -> None:
    """On the machine, and from another one where the settings let it."""
    await nursery.start(serve_admin, doors.config.admin_socket, operator.verbs())
    if doors.config.net.operator:
        door = OperatorDoor(doors, host.peer_id, operator.verbs(), ConversationLimits(MAX_LISTENING))
        host.serve(OPERATOR, door.handle)


async def _running_on(doors: Doors) -> set[str]:
    """Namespaces whose replicas go on whoever leads; with books in a file they ended with this machine."""
    if doors.config.store.database is None:
        return set()
    return {view.namespace for view in await doors.cluster.pods() if not view.over and run_of(view)}


async def _answer_names(parts: Parts, section: NamesSection, nursery: trio.Nursery) -> None:
    """The pods' resolver: it listens before anything is served."""
    upstream = Upstream(section.upstream)
    replicas = parts.autoscaler.replicas
    agent = parts.doors.config.cluster.traffic_socket
    seen = nobody_says if agent is None else TrafficDoor(Path(agent)).policies_seen
    openings = Openings(parts.doors, upstream, section.least_ttl_s, replicas.running, seen)
    await openings.load()
    place, own_pods = section.place, OwnPods(parts.doors.cluster)
    await nursery.start(
        serve_names, PodResolver(openings, own_pods, replicas.known), place.listens, place.port
    )
    nursery.start_soon(supervise, "tending names", openings.run)


async def _hear_own_sleep(parts: Parts, nursery: trio.Nursery) -> None:
    """Where pods ask for their own sleep, if anywhere."""
    place = sleep_place(parts.doors.config)
    if place is None:
        return

    def scaler_of(label: str) -> PodScaler | None:
        record = parts.pods.of_label(label)
        return None if record is None else parts.autoscaler.pod_scaler(record.channel)

    def publisher_of(label: str) -> Address | None:
        record = parts.pods.of_label(label)
        return None if record is None else record.ref.publisher

    own_sleep = OwnSleep(parts.autoscaler.replicas.at, scaler_of, publisher_of)
    await nursery.start(serve_own_sleep, own_sleep, place)


async def _presentation(doors: Doors, host: Host) -> tuple[KeyBinding, bytes]:
    """What attestation binds, and the profile whose digest is in the registry."""
    config = doors.config
    addresses = host.reached_at(config.net.announce)
    offered = capabilities(await doors.cluster.features(), config.allowed)
    profile = profile_of(config, offered, simulated=doors.collector.simulated, addresses=addresses[:8])
    return binding_of(config, doors.keys, host.peer_id), profile


async def _restore(parts: Parts, running_on: RunningOn) -> None:
    """Put the machines of published pods back, and the facade in step with them."""
    published = [
        record
        for record in parts.pods.standing
        if parts.bundles.held(record) and (record.live or record.phase is Phase.STOPPED)
    ]
    await running_on.forget_others(published)
    restored = await parts.autoscaler.restore(published)
    await running_on.take_over()
    await _note_exposures(parts, restored)
    for record in parts.pods.standing:
        parts.workers.ensure(record.channel)


async def _note_exposures(parts: Parts, restored: Iterable[tuple[PodRecord, OpenBundle]]) -> None:
    """A facade that lost its books gives other ports than before; a cluster keeps what it gave."""
    made = defaultdict(list)
    for view in await parts.doors.cluster.services():
        made[view.namespace].append(view)
    for record, opened in restored:
        withheld = parts.autoscaler.hosts.withheld(record.channel)
        found = exposures_of(parts.doors, record, opened, made[record.namespace], withheld)
        await parts.pods.change(record.channel, exposures=found)


async def _collect_blobs(parts: Parts) -> None:
    """Blobs that no pod needs go after a while, and records of ended pods from memory."""
    while True:
        await trio.sleep(COLLECT_EVERY_S)
        parts.pods.put_away()
        needed: set[bytes] = set()
        waiting = {record.ref.publisher for record in parts.pods.standing if not parts.bundles.held(record)}
        for record in parts.pods.standing:
            if parts.bundles.held(record):
                needed |= parts.bundles.open(record).blobs.keys()
        freed = await trio.to_thread.run_sync(parts.doors.spool.collect, needed, BLOB_KEPT_S, waiting)
        if freed:
            _log.info("%d MiB of blobs that nobody needs were removed", freed // MIB)


async def _metrics(parts: Parts, conversations: Conversations) -> None:
    """Numbers for Prometheus; a snapshot is taken in this thread and read by the server's."""
    assert parts.doors.config.metrics is not None
    latest = await snapshot(parts, conversations.running)

    def read() -> Snapshot:
        return latest

    counting = parts.doors.metrics.count_log()
    logging.getLogger().addHandler(counting)
    stop = serve_metrics(parts.doors.config.metrics.listen, parts.doors.metrics, read)
    try:
        while True:
            await trio.sleep(5)
            latest = await snapshot(parts, conversations.running)
    finally:
        logging.getLogger().removeHandler(counting)
        stop()

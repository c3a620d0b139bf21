# SPDX-License-Identifier: Apache-2.0
"""How the daemon fares, from what it knows: only the operator's gas and the nodes are asked for."""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from trustedpods.protocol.attestation.report_data import REPORT_DATA_BYTES
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.units import Resources
from trustedpods.provider.admin.reports.health_views import (
    CapacityView,
    ChainNodeView,
    Health,
    OwnEvidence,
    RoomView,
    SlowStarts,
    TrafficView,
    WakeFailure,
)
from trustedpods.provider.admin.reports.operator_key import change_under_way
from trustedpods.provider.admin.views import GasTodayView
from trustedpods.provider.cluster.objects.sizes import total
from trustedpods.provider.core.admission import kept_for
from trustedpods.provider.core.pod import Phase, PodRecord
from trustedpods.provider.core.scaler.types import ScaleState
from trustedpods.provider.doors import Doors
from trustedpods.provider.metrics import Snapshot
from trustedpods.provider.serving.failures import is_failing
from trustedpods.provider.tee.validity import good_until

MOST_FAILURES = 50
"""Pods that do not start and are told at once: more have one cause, and are in `pods` with it."""


@dataclass(frozen=True, slots=True)
class PodStanding:
    """A pod that stands: its record, its scaler's state (None: not published), and its replicas.

    `lent_milli` is CPU that those of them have lent that are frozen.
    """

    record: PodRecord
    state: ScaleState | None
    replicas: int
    lent_milli: int = 0


def needs_a_look(standing: PodStanding) -> tuple[bool, bool, str]:
    """Orders pods: those that do not start or serve come first, then by label."""
    state, record = standing.state, standing.record
    failing = record.failing or (state is not None and is_failing(state))
    return not failing, record.phase is Phase.SERVING, record.label


def gas_view(found: Snapshot) -> GasTodayView:
    """What of the numbers is of today's gas."""
    spent, cap = found.gas_spent_today_wei, found.gas_cap_wei
    return GasTodayView(
        spent=None if spent is None else str(spent),
        cap=None if cap is None else str(cap),
        waiting=dict(found.gas_deferred),
    )


async def read_health(
    doors: Doors, standing: Sequence[PodStanding], found: Snapshot, isolation_doubt: str | None
) -> Health:
    """The answer; *found* are the numbers of the metrics, which are read already."""
    counts = doors.metrics.counts()
    capacity, trouble = await _capacity(doors, standing)
    failing = [one for one in standing if one.state is not None and is_failing(one.state)]
    return Health(
        now=doors.now(),
        since=int(counts.since),
        trust=doors.config.identity.trust,
        pods=len(standing),
        pods_by_phase=dict(found.pods_by_phase),
        pods_by_scale=dict(found.pods_by_scale),
        replicas=found.replicas,
        ready=found.ready,
        conversations=found.conversations,
        free_slots=found.free_slots,
        spool_bytes=found.spool_bytes,
        spool_quota_bytes=found.spool_quota_bytes,
        gas_wei=found.gas_wei,
        gas_today=gas_view(found),
        answered=dict(counts.answered),
        chain_nodes=[
            ChainNodeView(place=one.place, state=one.state, told=one.told) for one in doors.chain.nodes()
        ],
        disk_state=doors.store.disk.state,
        disk_free_mib=found.disk_free_bytes // MIB,
        store_failures=sum(found.store_failures.values()),
        claims_by_state=dict(found.claims_by_state),
        last_claim=found.last_claim,
        oldest_claim=found.oldest_claim,
        items_paid=counts.items.get("paid", 0),
        items_cut=counts.items.get("cut", 0),
        shortest_runway_s=found.shortest_runway_s,
        certificate_days=None if found.certificate_days is None else math.floor(found.certificate_days),
        certificate_failures=found.certificate_failures,
        certificate_overdue=found.certificate_overdue,
        isolation_tried=doors.config.cluster.traffic_socket is None,
        isolation_doubt=isolation_doubt,
        waiting=found.waking,
        wakes_served=counts.wakes.get("address", 0),
        wakes_refused=counts.wakes.get("refused", 0),
        cold_starts=SlowStarts(
            count=counts.cold_starts[-1][1] if counts.cold_starts else 0,
            seconds=counts.cold_start_seconds,
            at_most=[one for one in counts.cold_starts if math.isfinite(one[0])],
        ),
        wakes_failing=len(failing),
        wake_failures=_told(failing),
        traffic=_traffic(standing),
        capacity=capacity,
        trouble=trouble,
        egress_limited=found.egress_limited,
        key_change=await trio.to_thread.run_sync(change_under_way, doors),
        errors_logged=counts.messages.get("error", 0) + counts.messages.get("critical", 0),
        warnings_logged=counts.messages.get("warning", 0),
    )


def _told(failing: Sequence[PodStanding]) -> list[WakeFailure]:
    """Those that failed most often first."""
    found = [
        WakeFailure(label=one.record.label, failures=one.state.failures, why=one.state.reason)
        for one in failing
        if one.state is not None
    ]
    return heapq.nsmallest(MOST_FAILURES, found, key=lambda one: (-one.failures, one.label))


def _traffic(standing: Sequence[PodStanding]) -> TrafficView:
    states = [one.state for one in standing if one.state is not None]
    counters = [state.counters for state in states if state.counters is not None]
    return TrafficView(
        in_flight=sum(state.load.samples[-1][1] for state in states if state.load.samples),
        requests=sum(requests for _, requests, _ in counters),
        kib=sum(passed for _, _, passed in counters) // 1024,
    )


async def _capacity(doors: Doors, standing: Sequence[PodStanding]) -> tuple[CapacityView | None, str | None]:
    """From the nodes alone: a list of all pods would cost the daemon more than the answer is worth."""
    try:
        nodes = (await doors.cluster.features()).nodes
    except TrustedPodsError as error:
        return None, error.what
    offered = total(place.size for place in nodes.values())
    running = total(_running(one) for one in standing if one.replicas)
    asleep = [
        one.record.size.replica
        for one in standing
        if not one.replicas and one.record.phase is not Phase.REMOVING
    ]
    asleep += [Resources(one.lent_milli, 0, 0) for one in standing if one.lent_milli]
    overcommit = doors.config.cluster.overcommit
    view = CapacityView(
        nodes=len(nodes),
        offered=_room(offered),
        running=_room(running),
        asleep=_room(total(asleep)),
        kept=_room(kept_for(asleep, overcommit)),
        overcommit=overcommit,
    )
    return view, None


def _running(one: PodStanding) -> Resources:
    size, count = one.record.size.replica, one.replicas
    cpu = max(0, size.cpu_milli * count - one.lent_milli)
    return Resources(cpu, size.memory_mib * count, size.storage_mib * count)


def _room(size: Resources) -> RoomView:
    return RoomView(cpu_milli=size.cpu_milli, memory_mib=size.memory_mib, storage_mib=size.storage_mib)


async def read_evidence(doors: Doors) -> OwnEvidence:
    """Evidence that binds nothing and goes nowhere; raises as the collector does where it cannot be made."""
    evidence = await trio.to_thread.run_sync(doors.collector.collect, bytes(REPORT_DATA_BYTES))
    return OwnEvidence(
        kind=evidence.kind,
        simulated=doors.collector.simulated,
        trust=doors.config.identity.trust,
        report_bytes=len(evidence.report),
        good_until=good_until(evidence),
        boot=doors.keys.boot_id.hex(),
    )

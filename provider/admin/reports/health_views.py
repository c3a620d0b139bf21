# SPDX-License-Identifier: Apache-2.0
"""Questions and answers of the admin socket on how the daemon fares: its parts, room, wakes and proof.

Numbers and reasons only: no field names what a tenant chose, but the label that a pod has for everybody.
"""

from typing import Literal

from trustedpods.provider.admin.views import AdminRequest, GasTodayView, View
from trustedpods.provider.core.disk import DiskState


class HealthRequest(AdminRequest):
    """How does the daemon fare?"""

    verb: Literal["health"] = "health"


class RoomView(View):
    """CPU in thousandths of a core, memory and disk in MiB."""

    cpu_milli: int
    memory_mib: int
    storage_mib: int


class CapacityView(View):
    """What the nodes offer, and what pods of this provider have of it.

    `running` is what replicas hold that are there, `asleep` what one replica of each sleeping pod would
    take, of which `kept` stays free: `asleep` over `overcommit`. CPU that frozen replicas have lent is in
    `asleep`. Images and volumes are in neither.
    """

    nodes: int
    offered: RoomView
    running: RoomView
    asleep: RoomView
    kept: RoomView
    overcommit: float


class WakeFailure(View):
    """A pod that does not start: how often in a row, and why."""

    label: str
    failures: int
    why: str


class SlowStarts(View):
    """Cold starts since the daemon began: `at_most` has (seconds, how many took no longer), ascending."""

    count: int
    seconds: float
    at_most: list[tuple[float, int]]


class TrafficView(View):
    """What the facade counted, since its proxy began, on the slots that pods have now."""

    in_flight: int
    requests: int
    kib: int


class ChainNodeView(View):
    """One of several nodes of the chain: `state` is ok, silent, behind or differs, `told` in what."""

    place: str
    state: Literal["ok", "silent", "behind", "differs"]
    told: str


class Health(View):
    """The daemon at one moment; times are Unix seconds of its clock, money is in text.

    `since` is when it began: counts of wakes, claims, log lines and failures are from then on. `gas_wei` is
    -1 when the chain did not say. `answered` has when chain, cluster and facade last answered well,
    `chain_nodes` the chain's nodes where it has several.
    `capacity` is None where the cluster did not answer; `trouble` says why. `isolation_doubt` is None where
    tenants are apart: by the network agent, or `isolation_tried` with live pods. `certificate_days` and what
    follows are None where there is no such certificate. At most some `wake_failures` are told, of
    `wakes_failing`. `egress_limited` pods sent more than they may in the last ten minutes. `draining` says
    why nobody is taken in, `drain_at` until when pods run. `key_change`: how far a change of the operator's
    key is.
    """

    now: int
    since: int
    trust: str
    pods: int
    pods_by_phase: dict[str, int]
    pods_by_scale: dict[str, int]
    replicas: int
    ready: int
    conversations: int
    free_slots: int
    spool_bytes: int
    spool_quota_bytes: int
    gas_wei: int
    gas_today: GasTodayView
    answered: dict[str, float]
    chain_nodes: list[ChainNodeView]
    disk_state: DiskState
    disk_free_mib: int
    store_failures: int
    claims_by_state: dict[str, int]
    last_claim: int | None
    oldest_claim: int | None
    items_paid: int
    items_cut: int
    shortest_runway_s: int | None
    certificate_days: int | None
    certificate_failures: int | None
    certificate_overdue: bool | None
    isolation_tried: bool
    isolation_doubt: str | None
    waiting: int
    wakes_served: int
    wakes_refused: int
    cold_starts: SlowStarts
    wakes_failing: int
    wake_failures: list[WakeFailure]
    traffic: TrafficView
    capacity: CapacityView | None
    trouble: str | None
    errors_logged: int
    warnings_logged: int
    egress_limited: int = 0
    draining: str | None = None
    drain_at: int | None = None
    key_change: Literal["made", "switched"] | None = None


class EvidenceRequest(AdminRequest):
    """What does the machine prove of itself now? It is made anew, and binds nothing."""

    verb: Literal["evidence"] = "evidence"


class OwnEvidence(View):
    """That evidence could be made: its kind, its size in bytes, and until when it is good.

    `good_until` is in Unix seconds; None where nothing beside the report has an end that is read here.
    """

    kind: str
    simulated: bool
    trust: str
    report_bytes: int
    good_until: int | None
    boot: str

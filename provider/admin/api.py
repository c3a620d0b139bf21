# SPDX-License-Identifier: Apache-2.0
"""What the operator may ask of the running daemon: pods, claims, its row; and numbers for metrics."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import StoreFailure, TrustedPodsError
from trustedpods.protocol.ids import ChannelId, channel_hex
from trustedpods.protocol.limits import MIB
from trustedpods.provider.acme.files import seen_state
from trustedpods.provider.admin.eviction import Eviction
from trustedpods.provider.admin.reports.disclosure import read_disclosure
from trustedpods.provider.admin.reports.disclosure_views import DiscloseRequest, Disclosure
from trustedpods.provider.admin.reports.earnings import read_earnings
from trustedpods.provider.admin.reports.health import (
    PodStanding,
    gas_view,
    needs_a_look,
    read_evidence,
    read_health,
)
from trustedpods.provider.admin.reports.health_views import (
    EvidenceRequest,
    Health,
    HealthRequest,
    OwnEvidence,
)
from trustedpods.provider.admin.reports.offers import read_offers
from trustedpods.provider.admin.reports.operator_key import (
    OperatorKeyRequest,
    OperatorKeyView,
    change_under_way,
    read_operator_key,
)
from trustedpods.provider.admin.reports.views import Earnings, EarningsRequest, Offers, OffersRequest
from trustedpods.provider.admin.socket import AdminVerb, verb_for
from trustedpods.provider.admin.views import (
    BusyPod,
    Claimed,
    ClaimRequest,
    DaemonIdentity,
    DrainRequest,
    Evicted,
    EvictRequest,
    IdentityRequest,
    Overview,
    OverviewRequest,
    PodList,
    PodRow,
    PodSizeView,
    PodsRequest,
    StoreRequest,
    StoreView,
)
from trustedpods.provider.admission.tenancy import TenancyGuard
from trustedpods.provider.billing.gas import gas_today
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.billing.settlement import Settlement
from trustedpods.provider.core.certificates.outlook import ALARMS, DAY_S, outlook
from trustedpods.provider.core.certificates.types import RenewalState
from trustedpods.provider.core.pod import PodRecord, ServiceExposure
from trustedpods.provider.doors import Doors
from trustedpods.provider.lifecycle.reconciler import Reconciler
from trustedpods.provider.metrics import Snapshot
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.serving.autoscaler import Autoscaler
from trustedpods.provider.serving.certificates import shown_end
from trustedpods.provider.store import claims
from trustedpods.provider.tee.chip import own_chip


class RunningParts(Protocol):
    """What of the running daemon is asked here."""

    @property
    def doors(self) -> Doors:
        """Doors, keys and configuration."""
        ...

    @property
    def pods(self) -> Pods:
        """Records of all pods."""
        ...

    @property
    def autoscaler(self) -> Autoscaler:
        """Who scales which pod."""
        ...

    @property
    def meter(self) -> Meter:
        """Who counts what pods use, and what limits of egress refuse."""
        ...

    @property
    def settlement(self) -> Settlement:
        """Who cuts claims."""
        ...

    @property
    def reconciler(self) -> Reconciler:
        """Who knows what each pod can still pay."""
        ...

    @property
    def eviction(self) -> Eviction:
        """Who sends pods away."""
        ...

    @property
    def tenancy(self) -> TenancyGuard:
        """Who knows whether tenants are apart."""
        ...


@dataclass(frozen=True)
class AdminApi:
    """The verbs of the admin socket.

    `profile` and `endpoint` are those of the registry row, `conversations` counts those that go on.
    """

    parts: RunningParts
    profile: bytes
    endpoint: str
    conversations: Callable[[], int]

    def verbs(self) -> dict[str, AdminVerb]:
        """Each verb by its name."""
        return {
            "identity": verb_for(IdentityRequest, self.identity),
            "pods": verb_for(PodsRequest, self.pods),
            "claim": verb_for(ClaimRequest, self.claim),
            "evict": verb_for(EvictRequest, self.evict),
            "drain": verb_for(DrainRequest, self.drain),
            "overview": verb_for(OverviewRequest, self.overview),
            "earnings": verb_for(EarningsRequest, self.earnings),
            "offers": verb_for(OffersRequest, self.offers),
            "store": verb_for(StoreRequest, self.store),
            "health": verb_for(HealthRequest, self.health),
            "evidence": verb_for(EvidenceRequest, self.evidence),
            "operator-key": verb_for(OperatorKeyRequest, self.operator_key),
            "disclose": verb_for(DiscloseRequest, self.disclose),
        }

    async def identity(self, _request: IdentityRequest) -> DaemonIdentity:
        """What `register` writes into the registry row."""
        return DaemonIdentity(
            profile=self.profile,
            endpoint=self.endpoint,
            meter=self.parts.doors.meter,
            tee=self.parts.doors.collector.kind,
            chip=await own_chip(self.parts.doors.collector),
        )

    async def pods(self, request: PodsRequest) -> PodList:
        """Every pod, in numbers; nothing of what is in it."""
        records = await self.parts.pods.every() if request.all else self.parts.pods.standing
        paid = await _paid(self.parts, records)
        return PodList(pods=[_row(self.parts, record, paid) for record in records])

    async def claim(self, request: ClaimRequest) -> Claimed:
        """Cut and send a claim, or only prepare it."""
        report = await self.parts.settlement.claim(prepare=request.prepare, withdraw=request.withdraw)
        return Claimed(
            items=report.items,
            root=report.root,
            transaction=None if report.transaction is None else "0x" + report.transaction.hex(),
            withdrawn=str(report.withdrawn),
        )

    async def evict(self, request: EvictRequest) -> Evicted:
        """Send one pod away."""
        found = await self.parts.eviction.evict(request.target, request.reason, deny=request.deny)
        return Evicted(pods=found)

    async def drain(self, request: DrainRequest) -> Evicted:
        """Take nobody in and send everybody away, at once or at a time; or take pods in again."""
        if request.undo:
            await self.parts.eviction.undrain()
            return Evicted(pods=[])
        if request.hours is not None:
            return Evicted(pods=await self.parts.eviction.announce(request.reason, request.hours))
        return Evicted(pods=await self.parts.eviction.drain(request.reason))

    async def earnings(self, request: EarningsRequest) -> Earnings:
        """What was earned, what is claimed, and what can be withdrawn."""
        standing = self.parts.pods.standing
        accrued = None if request.exact else _accrued(self.parts, standing)
        return await read_earnings(self.parts.doors, standing, request, accrued=accrued)

    async def offers(self, _request: OffersRequest) -> Offers:
        """What is advertised, and why."""
        return await read_offers(self.parts.doors, self.profile)

    async def store(self, _request: StoreRequest) -> StoreView:
        """How the books fare."""
        disk = self.parts.doors.store.disk
        failure = None if disk.failure is None else str(disk.failure)
        return StoreView(state=disk.state, free_mib=disk.free // MIB, failure=failure)

    async def health(self, _request: HealthRequest) -> Health:
        """How every part fares, without a list of pods."""
        now = await snapshot(self.parts, self.conversations())
        found = await read_health(self.parts.doors, _standing(self.parts), now, self.parts.tenancy.doubt)
        rules = self.parts.eviction.rules
        return found.model_copy(update={"draining": rules.draining, "drain_at": rules.drain_at})

    async def evidence(self, _request: EvidenceRequest) -> OwnEvidence:
        """What the machine proves of itself now."""
        return await read_evidence(self.parts.doors)

    async def operator_key(self, _request: OperatorKeyRequest) -> OperatorKeyView:
        """How the key that pays gas stands."""
        return await read_operator_key(self.parts.doors)

    async def disclose(self, request: DiscloseRequest) -> Disclosure:
        """What the books have of one pod."""
        parts = self.parts
        return await read_disclosure(parts.doors, parts.pods, parts.eviction, request.target)

    async def overview(self, request: OverviewRequest) -> Overview:
        """Everything that `top` shows."""
        now = await snapshot(self.parts, self.conversations())
        standing = sorted(_standing(self.parts), key=needs_a_look)
        end = None if request.most is None else request.skip + request.most
        records = [one.record for one in standing[request.skip : end]]
        paid = await _paid(self.parts, records)
        return Overview(
            pods=[_busy_row(self.parts, record, paid) for record in records],
            replicas=now.replicas,
            conversations=now.conversations,
            free_slots=now.free_slots,
            spool_bytes=now.spool_bytes,
            spool_quota_bytes=now.spool_quota_bytes,
            gas_wei=now.gas_wei,
            gas_today=gas_view(now),
            certificate_days=None if now.certificate_days is None else math.floor(now.certificate_days),
            total=len(standing),
        )


def _standing(parts: RunningParts) -> list[PodStanding]:
    found = [(record, parts.autoscaler.pod_scaler(record.channel)) for record in parts.pods.standing]
    seen = parts.autoscaler.replicas
    return [
        PodStanding(
            record,
            scaler.state if scaler else None,
            seen.running_of(record.label),
            seen.lent_of(record.label),
        )
        for record, scaler in found
    ]


async def _paid(parts: RunningParts, records: list[PodRecord]) -> dict[ChannelId, int]:
    """Base units that each pod's present life has brought."""
    lives = {record.channel: record.life for record in records}
    return await parts.doors.store.read(claims.paid_in_lives, lives)


def _row(parts: RunningParts, record: PodRecord, paid: dict[ChannelId, int]) -> PodRow:
    replicas, ready = parts.autoscaler.replicas_of(record)
    money = parts.reconciler.money(record.channel)
    pod_scaler = parts.autoscaler.pod_scaler(record.channel)
    state = pod_scaler.state if pod_scaler else None
    return PodRow(
        label=record.label,
        channel=channel_hex(record.channel),
        namespace=record.namespace,
        phase=record.phase,
        scale=str(state.phase) if state else None,
        replicas=replicas,
        ready=ready,
        services={name: _exposed(one) for name, one in record.exposures.items()},
        left=None if record.chain is None else str(record.chain.left),
        claimed=str(paid[record.channel]),
        runway_seconds=money.runway_s if money else None,
        why=(state.reason if state and state.failures else "")
        or record.reason
        or parts.autoscaler.cap_told(record)
        or parts.meter.refused.told(record.namespace, parts.doors.now())
        or None,
    )


def _exposed(one: ServiceExposure) -> str:
    ports = [one.port] if one.port is not None else [given.node_port for given in one.node_ports]
    return " ".join([one.expose, *map(str, ports)])


def _runways(parts: RunningParts, records: list[PodRecord]) -> list[int]:
    found = [parts.reconciler.money(record.channel) for record in records]
    return [money.runway_s for money in found if money is not None and money.runway_s is not None]


def _accrued(parts: RunningParts, records: list[PodRecord]) -> int:
    """What pods used since the chain last paid for them, as it was last computed of each."""
    found = [parts.reconciler.money(record.channel) for record in records]
    return sum(money.accrued for money in found if money is not None)


def _busy_row(parts: RunningParts, record: PodRecord, paid: dict[ChannelId, int]) -> BusyPod:
    pod_scaler = parts.autoscaler.pod_scaler(record.channel)
    state = pod_scaler.state if pod_scaler else None
    boot, total, _ = (state.counters if state else None) or (None, None, None)
    return BusyPod(
        **dict(_row(parts, record, paid)),
        in_flight=state.load.samples[-1][1] if state and state.load.samples else 0,
        requests=total,
        proxy=boot,
        size=PodSizeView(
            cpu_milli=record.size.cpu_milli,
            memory_mib=record.size.memory_mib,
            scratch_mib=record.size.scratch_mib,
            volume_mib=record.size.volume_mib,
        ),
        tcp=parts.doors.facade.tcp_ways(pod_scaler.published.services) if pod_scaler else {},
    )


async def snapshot(parts: RunningParts, conversations: int) -> Snapshot:
    """Numbers for the metrics; the chain is asked only for the operator's gas."""
    try:
        gas = await parts.doors.chain.gas_balance(address_of(parts.doors.operator_key))
        parts.doors.metrics.answered("chain")
    except TrustedPodsError:
        gas = -1
    by_state, last_claim = await _claims(parts)
    spent = await _gas_spent(parts.doors)
    disk, standing = parts.doors.store.disk, parts.pods.standing
    end, ordered = await trio.to_thread.run_sync(_certificate, parts.doors)
    pod_scalers = [
        m for m in map(parts.autoscaler.pod_scaler, (r.channel for r in standing)) if m is not None
    ]
    counts = [parts.autoscaler.replicas_of(record) for record in standing]
    return Snapshot(
        pods_by_phase=dict(Counter(str(record.phase) for record in standing)),
        pods_by_scale=dict(Counter(str(pod_scaler.state.phase) for pod_scaler in pod_scalers)),
        replicas=sum(replicas for replicas, _ in counts),
        ready=sum(ready for _, ready in counts),
        waking=sum(pod_scaler.state.waiting is not None for pod_scaler in pod_scalers),
        conversations=conversations,
        spool_bytes=parts.doors.spool.used_bytes,
        spool_quota_bytes=parts.doors.config.store.spool_quota_mib * MIB,
        free_slots=parts.doors.facade.free_slots,
        egress_limited=parts.meter.refused.limited(parts.doors.now()),
        egress_refused=parts.meter.refused.total,
        key_change=await trio.to_thread.run_sync(change_under_way, parts.doors),
        claims_by_state=by_state,
        last_claim=last_claim,
        oldest_claim=min((record.chain.up_to for record in standing if record.chain), default=None),
        shortest_runway_s=min(_runways(parts, standing), default=None),
        gas_wei=gas,
        gas_spent_today_wei=spent,
        gas_cap_wei=parts.doors.config.gas.most_wei_per_day,
        drain_at=parts.eviction.rules.drain_at,
        gas_deferred=dict(parts.doors.gas.waiting),
        disk_state=str(disk.state),
        disk_free_bytes=disk.free,
        store_failures=disk.failures,
        certificate_days=None if end is None else (end - parts.doors.clock()) / DAY_S,
        certificate_failures=None if ordered is None else ordered.failures,
        chain_nodes=dict(Counter(one.state for one in parts.doors.chain.nodes())),
        certificate_overdue=None if ordered is None else outlook(ordered, int(parts.doors.clock())) in ALARMS,
    )


def _certificate(doors: Doors) -> tuple[int | None, RenewalState | None]:
    """Until when the provider's certificate is good, and how [tls] acme fares; None without them."""
    ordered = None if doors.config.tls.acme is None else seen_state(doors.config.acme_dir)
    if ordered is not None and ordered.held is not None:
        return ordered.held.not_after, ordered
    return shown_end(doors), ordered


async def _gas_spent(doors: Doors) -> int | None:
    try:
        return (await gas_today(doors)).spent
    except StoreFailure:
        return None


async def _claims(parts: RunningParts) -> tuple[dict[str, int], int | None]:
    """Claims by state, and when the last one was signed; nothing while the books cannot be read."""
    try:
        return (
            await parts.doors.store.read(claims.count_by_state),
            await parts.doors.store.read(claims.last_claim_at),
        )
    except StoreFailure:
        return {}, None

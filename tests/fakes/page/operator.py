# SPDX-License-Identifier: Apache-2.0
"""What the operator's page asks its daemon for, without one: answers that a test sets, and what was asked."""

from dataclasses import dataclass, field

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.admin.reports.health_views import (
    CapacityView,
    Health,
    OwnEvidence,
    RoomView,
    SlowStarts,
    TrafficView,
    WakeFailure,
)
from trustedpods.provider.admin.reports.views import EarnedView, Earnings, Offers, OfferView
from trustedpods.provider.admin.views import BusyPod, GasTodayView, Overview, PodSizeView
from trustedpods.provider.core.disk import DiskState
from trustedpods.provider.core.earnings.sums import GroupedBy
from trustedpods.provider.core.placement.explained import OfferState
from trustedpods.provider.core.pod import Phase

NOW = 1_796_000_000
"""2026-11-30, in the middle of the day UTC."""

AWAY = NoContext(
    "the daemon does not answer",
    where="/run/operator.sock",
    hint="is `trustedpods-provider serve` running?",
)


def room(cpu_milli, memory_mib, storage_mib=0):
    return RoomView(cpu_milli=cpu_milli, memory_mib=memory_mib, storage_mib=storage_mib)


def health(**changes):
    """A daemon of whom nothing is wrong."""
    made = Health(
        now=NOW,
        since=NOW - 90_000,
        trust="sealed",
        pods=3,
        pods_by_phase={"serving": 3},
        pods_by_scale={"awake": 1, "asleep": 2},
        replicas=2,
        ready=2,
        conversations=1,
        free_slots=120,
        spool_bytes=10,
        spool_quota_bytes=100,
        gas_wei=2 * 10**18,
        gas_today=GasTodayView(spent=str(10**15), cap=None, waiting={}),
        answered={"chain": NOW - 2.0, "cluster": NOW - 5.0, "facade": NOW - 1.0},
        chain_nodes=[],
        disk_state=DiskState.GOOD,
        disk_free_mib=20_000,
        store_failures=0,
        claims_by_state={"final": 12, "sent": 1},
        last_claim=NOW - 600,
        oldest_claim=NOW - 3600,
        items_paid=40,
        items_cut=0,
        shortest_runway_s=86_400,
        certificate_days=60,
        certificate_failures=0,
        certificate_overdue=False,
        isolation_tried=True,
        isolation_doubt=None,
        waiting=0,
        wakes_served=40,
        wakes_refused=1,
        cold_starts=SlowStarts(count=40, seconds=24.0, at_most=[(0.5, 20), (1.0, 38), (5.0, 39), (60.0, 40)]),
        wakes_failing=1,
        wake_failures=[WakeFailure(label="p2", failures=3, why="the image has no such command")],
        traffic=TrafficView(in_flight=4, requests=1234, kib=5 * 1024 * 1024),
        capacity=CapacityView(
            nodes=2,
            offered=room(16_000, 65_536, 500_000),
            running=room(4_000, 8_192, 1_000),
            asleep=room(8_000, 16_384, 2_000),
            kept=room(4_000, 8_192, 1_000),
            overcommit=2.0,
        ),
        trouble=None,
        errors_logged=0,
        warnings_logged=7,
    )
    return made.model_copy(update=changes)


def evidence(**changes):
    made = OwnEvidence(
        kind="sev-snp",
        simulated=False,
        trust="sealed",
        report_bytes=1184,
        good_until=NOW + 300 * 86_400,
        boot="ab" * 32,
    )
    return made.model_copy(update=changes)


def earnings(days=("2026-11-28", "2026-11-29", "2026-11-30"), **changes):
    rows = [
        EarnedView(key=day, paid=str(1_000_000 * (place + 1)), items=3, gas_wei=str(10**15))
        for place, day in enumerate(days)
    ]
    made = Earnings(
        token="TPT",
        decimals=6,
        by=GroupedBy.DAY,
        rows=rows,
        paid="6000000",
        items=9,
        gas_wei=str(3 * 10**15),
        fees_unknown=0,
        out="250000",
        claims_out=1,
        unclaimed="125000",
        withdrawable="7000000",
        chain=None,
        trouble=None,
    )
    return made.model_copy(update=changes)


def pod(number, **changes):
    made = BusyPod(
        label=f"p{number}",
        channel=f"0x{number:064x}",
        namespace=f"tp-{number}",
        phase=Phase.SERVING,
        scale="asleep",
        replicas=0,
        ready=0,
        services={"secret-name": "https", "other-name": "tcp 30001"},
        left="1000",
        claimed="10",
        runway_seconds=7200,
        why=None,
        in_flight=0,
        requests=12,
        proxy="1",
        size=PodSizeView(cpu_milli=500, memory_mib=256, scratch_mib=64, volume_mib=2048),
    )
    return made.model_copy(update=changes)


def overview(pods, total=None):
    return Overview(
        pods=list(pods),
        replicas=1,
        conversations=0,
        free_slots=10,
        spool_bytes=0,
        spool_quota_bytes=10,
        gas_wei=1,
        certificate_days=None,
        total=len(pods) if total is None else total,
    )


def offers():
    one = OfferView(
        kind="storage class", name="fast", state=OfferState.ADVERTISED, why="the settings allow it"
    )
    return Offers(offers=[one], row_current=True, row="the registry's row names this profile")


@dataclass
class FakeOperator:
    """Answers as set; `error` is raised in place of each. `asked` keeps what was asked, in order."""

    told: Health = field(default_factory=health)
    proof: OwnEvidence = field(default_factory=evidence)
    earned: Earnings = field(default_factory=earnings)
    every: list[BusyPod] = field(default_factory=lambda: [pod(number) for number in range(3)])
    offered: Offers = field(default_factory=offers)
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def _answer(self, asked, value):
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return value

    async def health(self):
        return self._answer("health", self.told)

    async def evidence(self):
        return self._answer("evidence", self.proof)

    async def earnings(self, since):
        return self._answer(f"earnings {since}", self.earned)

    async def pods(self, skip, most):
        return self._answer(f"pods {skip} {most}", overview(self.every[skip : skip + most], len(self.every)))

    async def offers(self):
        return self._answer("offers", self.offered)

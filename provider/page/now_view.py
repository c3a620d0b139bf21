# SPDX-License-Identifier: Apache-2.0
"""The daemon at this moment, as the page's first view: alerts, and how every part fares. Pure."""

from dataclasses import dataclass

from trustedpods.protocol.local_page.readings import KeptReading
from trustedpods.protocol.local_page.texts import clean, when
from trustedpods.protocol.units import duration_text
from trustedpods.provider.admin.reports.health_views import Health, OwnEvidence
from trustedpods.provider.admin.views import GasTodayView
from trustedpods.provider.page.alerts import SOON_S, AlertLine, alerts_of, proof_alerts
from trustedpods.provider.page.texts import ShownFact, coin, mib, share


@dataclass(frozen=True, slots=True)
class NowView:
    """Alerts, and facts of each part."""

    phase: str
    warns: bool
    alerts: tuple[AlertLine, ...]
    pods: tuple[ShownFact, ...]
    parts: tuple[ShownFact, ...]
    proof: tuple[ShownFact, ...]


def now_view(health: Health, evidence: KeptReading[OwnEvidence]) -> NowView:
    """Texts of *health*, and of what the machine proved last."""
    trouble = None if evidence.error is None else str(evidence.error)
    found = (*proof_alerts(evidence.value, trouble, health.now), *alerts_of(health))
    alerts = tuple(sorted(found, key=lambda one: one.level != "critical"))
    critical = sum(one.level == "critical" for one in alerts)
    return NowView(
        phase=_phase(len(alerts), critical),
        warns=bool(alerts),
        alerts=alerts,
        pods=_pods(health),
        parts=_parts(health),
        proof=(_isolation(health), *_proof(health, evidence)),
    )


def _phase(alerts: int, critical: int) -> str:
    if not alerts:
        return "Nothing needs you"
    kind = f", {critical} of them critical" if critical else ""
    return f"{alerts} alert{'s' if alerts > 1 else ''}{kind}"


def _pods(health: Health) -> tuple[ShownFact, ...]:
    runway = health.shortest_runway_s
    return (
        ShownFact("Pods", str(health.pods)),
        ShownFact("By state", _counts(health.pods_by_phase)),
        ShownFact("Awake and asleep", _counts(health.pods_by_scale)),
        *_drained(health),
        ShownFact("Replicas", f"{health.ready} ready of {health.replicas}"),
        ShownFact("Conversations with publishers", str(health.conversations)),
        ShownFact("The first pod's money lasts", "-" if runway is None else duration_text(runway)),
    )


def _drained(health: Health) -> tuple[ShownFact, ...]:
    """Nothing where pods are taken in."""
    if health.draining is None:
        return ()
    until = "" if health.drain_at is None else f"; pods run until {when(health.drain_at)}"
    return (ShownFact("Takes no pods", f"{clean(health.draining)}{until}", True),)


def _today(gas: GasTodayView) -> str:
    spent = "the books do not say" if gas.spent is None else coin(int(gas.spent))
    most = "" if gas.cap is None else f" of at most {coin(int(gas.cap))}"
    waiting = ", ".join(f"{clean(kind)} {count}" for kind, count in sorted(gas.waiting.items()) if count)
    return f"{spent}{most}" + (f"; until midnight wait: {waiting}" if waiting else "")


def _parts(health: Health) -> tuple[ShownFact, ...]:
    gas = "the chain does not say" if health.gas_wei < 0 else coin(health.gas_wei)
    certificate = health.certificate_days
    return (
        *(_answered(name, health) for name in ("chain", "cluster", "facade")),
        ShownFact("The operator's key holds, in coin", gas, health.gas_wei < 0),
        ShownFact(
            "Gas today (UTC), in coin", _today(health.gas_today), any(health.gas_today.waiting.values())
        ),
        ShownFact("Claims", _counts(health.claims_by_state)),
        ShownFact("Last claim signed", when(health.last_claim)),
        ShownFact(
            "Disk of the books",
            f"{health.disk_state}, {mib(health.disk_free_mib)} free, "
            f"{health.store_failures} reads and writes failed",
            health.disk_state != "good",
        ),
        ShownFact(
            "Spool of sealed images", f"{share(health.spool_bytes, health.spool_quota_bytes)} of its quota"
        ),
        ShownFact("Certificate of https", "none" if certificate is None else f"{certificate} days left"),
        ShownFact("Log", f"{health.errors_logged} errors, {health.warnings_logged} warnings"),
        ShownFact("Began", when(health.since)),
    )


def _answered(name: str, health: Health) -> ShownFact:
    at = health.answered.get(name)
    if at is None:
        return ShownFact(name.capitalize(), "not asked since the daemon began")
    return ShownFact(name.capitalize(), f"answered {duration_text(max(0, int(health.now - at)))} ago")


def _isolation(health: Health) -> ShownFact:
    if health.isolation_doubt is not None:
        return ShownFact("Isolation", clean(health.isolation_doubt), warns=True)
    how = "two live pods have shown it" if health.isolation_tried else "the network agent parts them"
    return ShownFact("Isolation", f"tenants are apart: {how}")


def _proof(health: Health, evidence: KeptReading[OwnEvidence]) -> tuple[ShownFact, ...]:
    if evidence.error is not None:
        return (ShownFact("Attestation", f"cannot be made: {clean(str(evidence.error))}", warns=True),)
    found = evidence.value
    if found is None:
        return (ShownFact("Attestation", "is being asked for"),)
    if found.kind == "none":
        return (ShownFact("Attestation", "none: class open, the operator can read the pods"),)
    kind = f"SIMULATED {found.kind}" if found.simulated else found.kind
    end = found.good_until
    until = "no end that is read here" if end is None else f"good until {when(end)}"
    return (
        ShownFact("Attestation", f"{clean(kind)}, {found.report_bytes} bytes, made now", found.simulated),
        ShownFact("Attestation valid", until, end is not None and end - health.now < SOON_S),
        ShownFact("Boot", clean(found.boot)),
    )


def _counts(counts: dict[str, int]) -> str:
    told = [f"{count} {clean(name)}" for name, count in sorted(counts.items()) if count]
    return ", ".join(told) or "none"

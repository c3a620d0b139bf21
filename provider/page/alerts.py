# SPDX-License-Identifier: Apache-2.0
"""What an operator must see to, and what to type: the alert rules of deploy/grafana over one answer. Pure.

Each has its rule's name there. A rule over a stretch of time is told here over the daemon's life.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from trustedpods.protocol.local_page.texts import clean, when
from trustedpods.protocol.units import duration_text
from trustedpods.provider.admin.reports.health_views import Health, OwnEvidence
from trustedpods.provider.core.disk import DiskState
from trustedpods.provider.core.operator_key.rotation import CHANGE_WORDS

SILENT_S = 120
OLD_CLAIM_S = 36 * 3600
LOW_GAS_WEI = 5 * 10**15
FEW_SLOTS = 8
FULL_SPOOL = 0.9
SLOW_START_S = 5
SLOW_SHARE = 0.1
SOON_S = 7 * 86_400
"""Evidence that ends within a week is told: the vendor's lists are fetched by hand."""

LEAST_STARTS = 10
"""Of fewer cold starts or wakes no share is told."""

DOCTOR = "trustedpods-provider doctor"
PODS = "trustedpods-provider pods"
LOG = "journalctl -u trustedpods-provider -p err"


@dataclass(frozen=True, slots=True)
class AlertLine:
    """One alert: how bad, what is so, what it costs and helps, and the command to type."""

    name: str
    level: Literal["critical", "warning"]
    what: str
    advice: str
    command: str


def alerts_of(health: Health) -> tuple[AlertLine, ...]:
    """All of them, the critical ones first."""
    found = [
        *_money(health),
        *_key(health),
        *_held_back(health),
        *_parts(health),
        *_room(health),
        *_wakes(health),
        *_log(health),
    ]
    return tuple(sorted(found, key=lambda one: (one.level != "critical", one.name)))


def proof_alerts(proof: OwnEvidence | None, trouble: str | None, now: int) -> tuple[AlertLine, ...]:
    """That the machine cannot prove itself (*trouble* says why), or soon cannot."""
    if trouble is not None:
        return (AlertLine(
            "NoEvidence", "critical", f"The machine does not prove itself: {clean(trouble)}",
            "Publishers who attest are refused, and send nothing.", DOCTOR,
        ),)  # fmt: skip
    if proof is None or proof.good_until is None or proof.good_until - now >= SOON_S:
        return ()
    return (AlertLine(
        "EvidenceEnds", "warning",
        f"What the machine proves itself with is good until {when(proof.good_until)}",
        "Fetch the vendor's certificate or revocation list anew, into identity.tee_files.", DOCTOR,
    ),)  # fmt: skip


def _money(health: Health) -> Iterator[AlertLine]:
    if health.oldest_claim is not None and health.now - health.oldest_claim > OLD_CLAIM_S:
        age = duration_text(health.now - health.oldest_claim)
        yield AlertLine(
            "ClaimOld", "critical", f"A pod's usage has not been claimed for {age}",
            "Unused allowance is lost after 24 hours and publishers are alarmed at 48. Look at the chain's "
            "node and at the operator key's gas, then claim.",
            "trustedpods-provider claim",
        )  # fmt: skip
    if health.items_cut:
        yield AlertLine(
            "PaidLess", "warning", f"The chain paid less than was due for {health.items_cut} items",
            "A deposit, a cap or the clock cut them; the log has the flags.", f"{PODS} -o json",
        )  # fmt: skip
    if 0 <= health.gas_wei < LOW_GAS_WEI:
        yield AlertLine(
            "OperatorOutOfGas", "warning", f"The operator key holds {health.gas_wei} wei",
            "Claims stop when it is empty. Send the chain's coin to the operator's address.", DOCTOR,
        )  # fmt: skip


def _key(health: Health) -> Iterator[AlertLine]:
    if health.key_change is not None:
        yield AlertLine(
            "OperatorKeyChange", "warning",
            f"The operator's key is being changed: {CHANGE_WORDS[health.key_change]}",
            "The old key keeps rights and coin until the change is done. The command says what is next.",
            "trustedpods-provider operator-key",
        )  # fmt: skip


def _held_back(health: Health) -> Iterator[AlertLine]:
    waiting = sum(health.gas_today.waiting.values())
    if waiting:
        yield AlertLine(
            "GasCapReached", "warning",
            f"Claims and updates wait for midnight UTC, {waiting} in all: the day's gas is spent",
            "Nothing is lost by it. If it comes every day raise gas.most_wei_per_day, or claim less often.",
            "trustedpods-provider earnings",
        )  # fmt: skip


def _parts(health: Health) -> Iterator[AlertLine]:
    for fact, at in sorted(health.answered.items()):
        if health.now - at > SILENT_S:
            age = duration_text(int(health.now - at))
            yield AlertLine(
                "FactSilent", "critical", f"The {clean(fact)} has not answered for {age}",
                "Nothing is closed for that; pods run to their last known runway.", DOCTOR,
            )  # fmt: skip
    for node in health.chain_nodes:
        if node.state != "ok":
            yield AlertLine(
                "ChainNodeDiffers", "warning", f"The chain's node {clean(node.place)} {clean(node.told)}",
                "The others are believed meanwhile. Mend it, or name another in other_rpcs.", DOCTOR,
            )  # fmt: skip
    if health.trouble is not None:
        yield AlertLine(
            "ClusterUnread", "critical", f"The cluster does not tell its nodes: {clean(health.trouble)}",
            "No pod is started or taken meanwhile.", "kubectl get nodes",
        )  # fmt: skip
    if health.isolation_doubt is not None:
        yield AlertLine(
            "IsolationDoubt", "critical", f"Only one publisher is served: {clean(health.isolation_doubt)}",
            "Others are refused until two live pods have shown that the network parts them.", DOCTOR,
        )  # fmt: skip
    if health.certificate_days is not None and health.certificate_overdue:
        yield AlertLine(
            "CertificateEnds", "critical",
            f"The certificate of https ends in {health.certificate_days} days and is not renewed",
            "After that no client trusts a pod's https.", DOCTOR,
        )  # fmt: skip
    if health.certificate_days is not None and health.certificate_days < 1:
        yield AlertLine(
            "CertificateEnded", "critical", "The certificate of https has ended, or does today",
            "Clients refuse https of all pods without a certificate of their own.", DOCTOR,
        )  # fmt: skip


def _room(health: Health) -> Iterator[AlertLine]:
    if health.disk_state in (DiskState.SPENT, DiskState.FAILING):
        yield AlertLine(
            "DiskFull", "critical", f"The disk of the books is {health.disk_state}",
            "No pod is taken; claims go out while the reserve lasts. Make room on that disk.", DOCTOR,
        )  # fmt: skip
    if health.disk_state is DiskState.LOW:
        yield AlertLine(
            "DiskLow", "warning",
            f"The disk of the books takes no new pods: {health.disk_free_mib} MiB are free",
            "Make room, or move spool and registry to a disk of their own.", DOCTOR,
        )  # fmt: skip
    if health.free_slots < FEW_SLOTS:
        yield AlertLine(
            "SlotsShort", "warning", f"The facade has room for {health.free_slots} more pods",
            "Raise facade.slots, write the facade's files anew and restart HAProxy.",
            "trustedpods-provider facade-files",
        )  # fmt: skip
    if health.egress_limited:
        yield AlertLine(
            "EgressLimited", "warning",
            f"Pods that send more than [egress] of the settings allows: {health.egress_limited}",
            "What is over it is refused, others lose nothing; their publishers are told. A flood ends"
            " with `evict LABEL --reason TEXT --deny`; else raise pod_mbit or pod_connections.", PODS,
        )  # fmt: skip
    if health.spool_bytes > FULL_SPOOL * health.spool_quota_bytes:
        yield AlertLine(
            "SpoolFull", "warning", "The spool of sealed images is nearly full",
            "New deploys will be refused. Raise store.spool_quota_mib or the disk.", DOCTOR,
        )  # fmt: skip


def _wakes(health: Health) -> Iterator[AlertLine]:
    starts = health.cold_starts
    soon = max((count for bound, count in starts.at_most if bound <= SLOW_START_S), default=0)
    if starts.count >= LEAST_STARTS and starts.count - soon > SLOW_SHARE * starts.count:
        yield AlertLine(
            "ColdStartsSlow", "warning",
            f"{starts.count - soon} of {starts.count} first requests waited for more than {SLOW_START_S} s",
            "Look at the node's load, its disk and the kubelet's log.", "kubectl top nodes",
        )  # fmt: skip
    asked = health.wakes_served + health.wakes_refused
    if asked >= LEAST_STARTS and health.wakes_refused > asked / 2:
        yield AlertLine(
            "WakesRefused", "warning",
            f"{health.wakes_refused} of {asked} requests that met a sleeping pod were refused",
            "The pods that fail to start have their reasons below; their publishers see them too.", PODS,
        )  # fmt: skip


def _log(health: Health) -> Iterator[AlertLine]:
    if health.errors_logged:
        yield AlertLine(
            "Errors", "warning", f"The daemon failed inside {health.errors_logged} times since it began",
            "The log has the traces; please report them.", LOG,
        )  # fmt: skip

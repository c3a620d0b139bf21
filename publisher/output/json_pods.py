# SPDX-License-Identifier: Apache-2.0
"""JSON of the verbs on pods."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from trustedpods.protocol.ids import channel_hex
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.output.json_error import error_json, known
from trustedpods.publisher.output.json_of import JsonObject, json_of
from trustedpods.publisher.output.json_parts import (
    attested_json,
    channel_json,
    confirmed_json,
    hex_of,
    left_json,
    machine_json,
    outcome_json,
    provider_json,
    schedule_json,
    sent_json,
)
from trustedpods.publisher.results.deployed import (
    AfterUpdate,
    ChosenProvider,
    DeployPlanResult,
    DeployProgress,
    DeployResult,
    PushResult,
    RestartPlanResult,
    RestartResult,
    VersionsResult,
)
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.pods import (
    AuditResult,
    BillResult,
    DeleteProgress,
    DeleteResult,
    EventsResult,
    ExecResult,
    ListedPod,
    ListResult,
    LogsResult,
    OutlivingVolumes,
    StatusResult,
    StoppedPod,
    TopPod,
    TopResult,
    UsageResult,
    VisitedPod,
    VisitProgress,
    VolumeRestoreResult,
)
from trustedpods.publisher.results.watched import OverviewResult

if TYPE_CHECKING:
    from trustedpods.publisher.core.bill import Bill, Line
    from trustedpods.publisher.core.cost import Cost


@json_of.register(DeployResult)
def _deployed(result: DeployResult) -> JsonObject:
    return {
        "pod": result.pod,
        "publisher": result.publisher,
        **_chosen(result.chosen, result.token),
        "sent": sent_json(result.sent),
        **known(update=result.update, parked=result.parked or None, left_behind=left_json(result)),
        **confirmed_json(result.confirmed),
    }


@json_of.register(RestartPlanResult)
def _would_restart(plan: RestartPlanResult) -> JsonObject:
    return {"pod": plan.pod, "replicas": plan.replicas, "update": plan.update}


@json_of.register(RestartResult)
def _restarted(result: RestartResult) -> JsonObject:
    return {**_visited(result.pod), **known(update=result.update), **confirmed_json(result.confirmed)}


@json_of.register(StoppedPod)
def _turned(result: StoppedPod) -> JsonObject:
    state = {"phase": result.phase, "parked_at": result.since, "runway_s": result.runway_s}
    return {**_visited(result.pod), **state, "replicas": result.replicas, "ready": result.ready}


@json_of.register(PushResult)
def _pushed(result: PushResult) -> JsonObject:
    return {**_visited(result.pod), "sent": sent_json(result.sent)}


@json_of.register(DeployPlanResult)
def _would(plan: DeployPlanResult) -> JsonObject:
    changes: list[JsonObject] = [asdict(change) for change in plan.changes]
    return {
        "pod": plan.pod,
        "publisher": plan.publisher,
        "provider": provider_json(plan.provider),
        "effect": plan.effect,
        "changes": changes,
        "stops": plan.stops,
        "terms": list(plan.terms),
        "known": plan.known,
        **known(parked=plan.parked or None),
        "price": _price(plan.cost, plan.token),
        "price_before": None if plan.cost_before is None else _price(plan.cost_before, plan.token),
        "deposit": None if plan.deposit is None else plan.token.number(plan.deposit),
    }


@json_of.register(VersionsResult)
def _versions(result: VersionsResult) -> JsonObject:
    kept: list[JsonObject] = [
        {"generation": one.generation, "images": dict(one.images), "serves": one.serves}
        for one in result.versions
    ]
    return {"pod": result.pod, "versions": kept}


@json_of.register(DeployProgress)
def _deploying(progress: DeployProgress) -> JsonObject:
    tree = known(pod=progress.pod, publisher=progress.publisher, update=progress.update)
    if progress.serves is not None:
        tree["serves"] = _serves(progress.serves)
    if progress.token is None:
        return tree
    if progress.chosen is not None:
        tree |= _chosen(progress.chosen, progress.token)
    if progress.sent is not None:
        tree["sent"] = sent_json(progress.sent)
    if progress.money is not None:
        tree["money"] = outcome_json(progress.money, progress.token)
    return tree | known(left_behind=left_json(progress)) | confirmed_json(progress.confirmed)


def _serves(after: AfterUpdate) -> JsonObject:
    return {
        "version": after.version,
        "phase": after.phase,
        "changed": after.changed,
        "text": after.text,
    }


def _chosen(chosen: ChosenProvider, token: Token) -> JsonObject:
    return {
        "provider": provider_json(chosen.provider),
        "trust": machine_json(chosen.machine),
        "channel": channel_hex(chosen.channel),
        "price": _price(chosen.cost, token),
    }


def _price(cost: "Cost", token: Token) -> JsonObject:
    return {
        "token": token.symbol,
        "awake_hour": token.number(cost.awake_hour),
        "asleep_hour": token.number(cost.asleep_hour),
        "peak_day": token.number(cost.peak_day),
    }


@json_of.register(VisitedPod)
def _visited(pod: VisitedPod) -> JsonObject:
    others = [channel_json(other, pod.token) for other in pod.others]
    return {
        "pod": pod.name,
        "publisher": pod.publisher,
        **channel_json(pod.channel, pod.token),
        **({"other_channels": others} if others else {}),
        "trust": machine_json(pod.machine),
        "attested": attested_json(pod.attested),
    }


@json_of.register(VisitProgress)
def _visiting(progress: VisitProgress) -> JsonObject:
    tree = known(pod=progress.name, publisher=progress.publisher)
    token = progress.token
    if token is not None and progress.channel is not None:
        tree |= channel_json(progress.channel, token)
    if token is not None and progress.others:
        tree["other_channels"] = [channel_json(other, token) for other in progress.others]
    if progress.machine is not None:
        tree["trust"] = machine_json(progress.machine)
    if progress.attested is not None:
        tree["attested"] = attested_json(progress.attested)
    return tree


@json_of.register(DeleteProgress)
def _deleting(progress: DeleteProgress) -> JsonObject:
    tree = _visiting(progress)
    if progress.token is not None and progress.money is not None:
        tree["money"] = outcome_json(progress.money, progress.token)
    return tree


@json_of.register(StatusResult)
def _status(result: StatusResult) -> JsonObject:
    token = result.pod.token
    return {
        **json_of(result.pod),
        "phase": result.phase,
        "reason": result.reason,
        "version": result.version,
        "failure": None if result.failure is None else result.failure.model_dump(),
        "replicas": result.replicas,
        "ready": result.ready,
        "runway_s": result.runway_s,
        "deposit": token.number(result.deposit),
        "claimed": token.number(result.claimed),
        "accrued": token.number(result.accrued),
        "services": [
            {"name": one.name, "expose": one.expose, "urls": list(one.urls)} for one in result.services
        ],
        "outliving": None if result.outliving is None else _outliving(result.outliving, token),
        "pod_events": [event.model_dump() for event in result.events],
        **confirmed_json(result.confirmed),
        **known(backups=schedule_json(result.backups), parked_at=result.parked_at),
    }


@json_of.register(LogsResult)
def _logs(result: LogsResult) -> JsonObject:
    pieces = [
        {
            "container": piece.container,
            "replica": piece.replica,
            "ended_at": piece.ended_at,
            "text": piece.data.decode("utf-8", "replace"),
        }
        for piece in result.pieces
    ]
    return json_of(result.pod) | {"logs": pieces}


@json_of.register(ExecResult)
def _executed(result: ExecResult) -> JsonObject:
    """What a command printed, as text: bytes that are none show as such."""
    return json_of(result.pod) | {
        "container": result.container,
        "replica": result.replica,
        "exit_code": result.exit_code,
        "stdout": result.stdout.decode(errors="backslashreplace"),
        "stderr": result.stderr.decode(errors="backslashreplace"),
    }


@json_of.register(VolumeRestoreResult)
def _restored(result: VolumeRestoreResult) -> JsonObject:
    return json_of(result.pod) | {
        "backup": result.name,
        "volumes": [asdict(one) for one in result.volumes],
    }


@json_of.register(DeleteResult)
def _deleted(result: DeleteResult) -> JsonObject:
    token = result.pod.token
    kept = None if result.retained is None else _outliving(result.retained, token)
    money = None if result.money is None else outcome_json(result.money, token)
    return json_of(result.pod) | {"money": money, "retained": kept}


def _outliving(volumes: OutlivingVolumes, token: Token) -> JsonObject:
    return {
        "claims": [{"name": name, "mib": mib} for name, mib in volumes.claims.items()],
        "day": token.number(volumes.day),
        "lasts_s": volumes.lasts_s,
    }


@json_of.register(BillResult)
def _billed(result: BillResult) -> JsonObject:
    token = result.pod.token
    return {
        **json_of(result.pod),
        **_bill(result.bill, token),
        "claimed": None if result.claimed is None else token.number(result.claimed),
        "claimed_units": None if result.claimed is None else str(result.claimed),
        "problems": list(result.problems),
    }


def _bill(bill: "Bill", token: Token) -> JsonObject:
    return {
        "lines": [_line(line, token) for line in bill.lines],
        "total": token.number(bill.total),
        "total_units": str(bill.total),
        "open_usage": asdict(bill.open_usage),
        "open": token.number(bill.open_amount),
        "open_units": str(bill.open_amount),
    }


def _line(line: "Line", token: Token) -> JsonObject:
    return {
        "from": line.from_,
        "up_to": line.up_to,
        **asdict(line.usage),
        "amount": token.number(line.amount),
        "amount_units": str(line.amount),
        "cut": line.cut,
        "root": line.root.hex(),
        "tx": hex_of(line.transaction),
    }


@json_of.register(EventsResult)
def _history(result: EventsResult) -> JsonObject:
    return {"pod": result.pod.name, "pod_events": [event.model_dump() for event in result.events]}


@json_of.register(UsageResult)
def _used(result: UsageResult) -> JsonObject:
    number = result.pod.token.number
    days: list[JsonObject] = [
        {"begins": day.begins, "usage": asdict(day.usage), "amount": number(day.amount)}
        for day in result.days
    ]
    return {
        "pod": result.pod.name,
        "days": days,
        "total": number(result.total),
        "open": number(result.open_amount),
        "month": None if result.month is None else number(result.month),
        "problems": list(result.problems),
    }


@json_of.register(OverviewResult)
def _overview(result: OverviewResult) -> JsonObject:
    log = result.log
    bill = error_json(result.bill) if isinstance(result.bill, ErrorReport) else json_of(result.bill)
    told = (
        [piece.data.decode(errors="replace") for piece in log] if isinstance(log, tuple) else error_json(log)
    )
    return {**json_of(result.status), "log": told, "bill": bill}


@json_of.register(AuditResult)
def _audited(result: AuditResult) -> JsonObject:
    token = result.pod.token
    return {
        **json_of(result.pod),
        "leaves": result.leaves,
        "total": token.number(result.total),
        "total_units": str(result.total),
        "checks": [asdict(finding) for finding in result.findings],
        "holds": result.holds,
    }


@json_of.register(ListResult)
def _listed(result: ListResult) -> JsonObject:
    token = result.token
    return {"token": token.symbol, "pods": [_listed_pod(pod, token) for pod in result.pods]}


def _listed_pod(pod: ListedPod, token: Token) -> JsonObject:
    return {
        "name": pod.name,
        "channel": channel_hex(pod.channel),
        "provider": pod.provider,
        "phase": pod.phase,
        "reason": pod.reason,
        "replicas": pod.replicas,
        "ready": pod.ready,
        "urls": list(pod.urls),
        "left": None if pod.left is None else token.number(pod.left),
        "day": None if pod.day is None else token.number(pod.day),
        "runway_s": pod.runway_s,
        "unlock_at": pod.unlock_at,
        "error": None if pod.error is None else error_json(pod.error),
        **known(parked_at=pod.parked_at),
    }


@json_of.register(TopResult)
def _topped(result: TopResult) -> JsonObject:
    return {"token": result.token.symbol, "pods": [_top_pod(pod, result.token) for pod in result.pods]}


def _top_pod(pod: TopPod, token: Token) -> JsonObject:
    return {
        "name": pod.name,
        "phase": pod.phase,
        "replicas": pod.replicas,
        "ready": pod.ready,
        "cpu_milli": pod.cpu_milli,
        "memory_mib": pod.memory_mib,
        "left": None if pod.left is None else token.number(pod.left),
        "day": None if pod.day is None else token.number(pod.day),
        "runway_s": pod.runway_s,
        "error": None if pod.error is None else error_json(pod.error),
    }

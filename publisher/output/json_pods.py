# SPDX-License-Identifier: Apache-2.0
"""JSON of the verbs on pods."""

from typing import TYPE_CHECKING

from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.messages.pod import PodEvent, PodFailure
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.output.json_error import error_json
from trustedpods.publisher.output.json_of import Answer, json_of
from trustedpods.publisher.output.json_parts import (
    attested_json,
    channel_json,
    confirmed_json,
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
from trustedpods.publisher.results.pods import (
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
    VisitedPod,
    VisitProgress,
)

if TYPE_CHECKING:
    from trustedpods.publisher.core.cost import Cost
    from trustedpods.publisher.output.answers import parts, pods


@json_of.register(DeployResult)
def _deployed(result: DeployResult) -> "pods.DeployJson":
    told: pods.DeployPart = {}
    if result.update is not None:
        told["update"] = result.update
    if result.parked:
        told["parked"] = True
    if result.left:
        told["left_behind"] = left_json(result, result.token)
    return {
        "pod": result.pod,
        "publisher": result.publisher,
        **_chosen(result.chosen, result.token),
        "sent": sent_json(result.sent),
        **told,
        **confirmed_json(result.confirmed),
    }


@json_of.register(RestartPlanResult)
def _would_restart(plan: RestartPlanResult) -> "pods.RestartPlanJson":
    return {"pod": plan.pod, "replicas": plan.replicas, "update": plan.update}


@json_of.register(RestartResult)
def _restarted(result: RestartResult) -> "pods.RestartJson":
    told: pods.UpdatePart = {} if result.update is None else {"update": result.update}
    return {**visited_json(result.pod), **told, **confirmed_json(result.confirmed)}


@json_of.register(StoppedPod)
def _turned(result: StoppedPod) -> "pods.StoppedJson":
    return {
        **visited_json(result.pod),
        "phase": result.phase,
        "parked_at": result.since,
        "runway_s": result.runway_s,
        "replicas": result.replicas,
        "ready": result.ready,
    }


@json_of.register(PushResult)
def _pushed(result: PushResult) -> "pods.PushJson":
    return {**visited_json(result.pod), "sent": sent_json(result.sent)}


@json_of.register(DeployPlanResult)
def _would(plan: DeployPlanResult) -> "pods.DeployPlanJson":
    tree: pods.DeployPlanJson = {
        "pod": plan.pod,
        "publisher": plan.publisher,
        "provider": provider_json(plan.provider),
        "effect": plan.effect,
        "changes": [{"what": one.what, "before": one.before, "after": one.after} for one in plan.changes],
        "stops": plan.stops,
        "terms": list(plan.terms),
        "known": plan.known,
        "price": _price(plan.cost, plan.token),
        "price_before": None if plan.cost_before is None else _price(plan.cost_before, plan.token),
        "deposit": None if plan.deposit is None else plan.token.number(plan.deposit),
    }
    if plan.parked:
        tree["parked"] = True
    return tree


@json_of.register(VersionsResult)
def _versions(result: VersionsResult) -> "pods.VersionsJson":
    return {
        "pod": result.pod,
        "versions": [
            {"generation": one.generation, "images": dict(one.images), "serves": one.serves}
            for one in result.versions
        ],
    }


@json_of.register(DeployProgress)
def _deploying(progress: DeployProgress) -> "pods.DeployingJson":
    tree: pods.DeployingJson = {}
    if progress.pod is not None:
        tree["pod"] = progress.pod
    if progress.publisher is not None:
        tree["publisher"] = progress.publisher
    if progress.update is not None:
        tree["update"] = progress.update
    if progress.serves is not None:
        tree["serves"] = _serves(progress.serves)
    if progress.token is None:
        return tree
    done = _deployed_so_far(progress, progress.token)
    return {**tree, **done, **confirmed_json(progress.confirmed)}


def _deployed_so_far(progress: DeployProgress, token: Token) -> "pods.DeployingJson":
    tree: pods.DeployingJson = {}
    if progress.chosen is not None:
        tree = {**tree, **_chosen(progress.chosen, token)}
    if progress.sent is not None:
        tree["sent"] = sent_json(progress.sent)
    if progress.money is not None:
        tree["money"] = outcome_json(progress.money, token)
    if progress.left:
        tree["left_behind"] = left_json(progress, token)
    return tree


def _serves(after: AfterUpdate) -> "pods.AfterUpdateJson":
    return {
        "version": after.version,
        "phase": after.phase,
        "changed": after.changed,
        "text": after.text,
    }


def _chosen(chosen: ChosenProvider, token: Token) -> "pods.ChosenJson":
    return {
        "provider": provider_json(chosen.provider),
        "trust": machine_json(chosen.machine),
        "channel": channel_hex(chosen.channel),
        "price": _price(chosen.cost, token),
    }


def _price(cost: "Cost", token: Token) -> "parts.PriceJson":
    return {
        "token": token.symbol,
        "awake_hour": token.number(cost.awake_hour),
        "asleep_hour": token.number(cost.asleep_hour),
        "peak_day": token.number(cost.peak_day),
    }


@json_of.register(VisitedPod)
def visited_json(pod: VisitedPod) -> "pods.VisitedJson":
    """A pod whose provider verified."""
    others: pods.OthersPart = {}
    if pod.others:
        others["other_channels"] = [channel_json(other, pod.token) for other in pod.others]
    return {
        "pod": pod.name,
        "publisher": pod.publisher,
        **channel_json(pod.channel, pod.token),
        **others,
        "trust": machine_json(pod.machine),
        "attested": attested_json(pod.attested),
    }


@json_of.register(VisitProgress)
def _visiting(progress: VisitProgress) -> "pods.VisitingJson":
    tree: pods.VisitingJson = {}
    if progress.name is not None:
        tree["pod"] = progress.name
    if progress.publisher is not None:
        tree["publisher"] = progress.publisher
    token = progress.token
    if token is not None and progress.channel is not None:
        tree = {**tree, **channel_json(progress.channel, token)}
    if token is not None and progress.others:
        tree["other_channels"] = [channel_json(other, token) for other in progress.others]
    if progress.machine is not None:
        tree["trust"] = machine_json(progress.machine)
    if progress.attested is not None:
        tree["attested"] = attested_json(progress.attested)
    return tree


@json_of.register(DeleteProgress)
def _deleting(progress: DeleteProgress) -> "pods.DeletingJson":
    told: pods.DeletingJson = {}
    if progress.token is not None and progress.money is not None:
        told["money"] = outcome_json(progress.money, progress.token)
    return {**_visiting(progress), **told}


@json_of.register(StatusResult)
def status_json(result: StatusResult) -> "pods.StatusJson":
    """What a pod does."""
    token = result.pod.token
    told: pods.StatusPart = {}
    if result.backups is not None:
        told["backups"] = schedule_json(result.backups)
    if result.parked_at is not None:
        told["parked_at"] = result.parked_at
    if result.last_request_at is not None:
        told["last_request_at"] = result.last_request_at
    if result.drain_at is not None:
        told["drain_at"] = result.drain_at
    if (room := result.room) is not None:
        told["room"] = {
            "pods": room.pods,
            "cpu_milli": room.cpu_milli,
            "memory_mib": room.memory_mib,
        }
    return {
        **visited_json(result.pod),
        "phase": result.phase,
        "reason": result.reason,
        "version": result.version,
        "failure": None if result.failure is None else _failure(result.failure),
        "replicas": result.replicas,
        "ready": result.ready,
        "runway_s": result.runway_s,
        "day": None if result.day is None else token.number(result.day),
        "deposit": token.number(result.deposit),
        "claimed": token.number(result.claimed),
        "accrued": token.number(result.accrued),
        "services": [
            {"name": one.name, "expose": one.expose, "urls": list(one.urls)} for one in result.services
        ],
        "outliving": None if result.outliving is None else _outliving(result.outliving, token),
        "pod_events": [_event(event) for event in result.events],
        **confirmed_json(result.confirmed),
        **told,
    }


def _failure(failure: PodFailure) -> "pods.PodFailureJson":
    return {
        "reason": failure.reason,
        "container": failure.container,
        "exit_code": failure.exit_code,
        "ended_at": failure.ended_at,
        "lines": failure.lines,
        "tries": failure.tries,
        "next_try_at": failure.next_try_at,
        "by_itself": failure.by_itself,
    }


def _event(event: PodEvent) -> "pods.PodEventJson":
    return {"at": event.at, "reason": event.reason, "text": event.text}


@json_of.register(LogsResult)
def logs_json(result: LogsResult) -> "pods.LogsJson":
    """What containers wrote."""
    pieces: list[pods.LogPieceJson] = [
        {
            "container": piece.container,
            "replica": piece.replica,
            "ended_at": piece.ended_at,
            "text": piece.data.decode("utf-8", "replace"),
        }
        for piece in result.pieces
    ]
    return {**visited_json(result.pod), "logs": pieces}


@json_of.register(ExecResult)
def _executed(result: ExecResult) -> Answer:
    """What a command printed, as text: bytes that are none show as such."""
    return {
        **visited_json(result.pod),
        "container": result.container,
        "replica": result.replica,
        "exit_code": result.exit_code,
        "stdout": result.stdout.decode(errors="backslashreplace"),
        "stderr": result.stderr.decode(errors="backslashreplace"),
    }


@json_of.register(DeleteResult)
def _deleted(result: DeleteResult) -> "pods.DeleteJson":
    token = result.pod.token
    kept = None if result.retained is None else _outliving(result.retained, token)
    money = None if result.money is None else outcome_json(result.money, token)
    return {**visited_json(result.pod), "money": money, "retained": kept}


def _outliving(volumes: OutlivingVolumes, token: Token) -> "pods.OutlivingJson":
    return {
        "claims": [{"name": name, "mib": mib} for name, mib in volumes.claims.items()],
        "day": token.number(volumes.day),
        "lasts_s": volumes.lasts_s,
    }


@json_of.register(EventsResult)
def _history(result: EventsResult) -> "pods.EventsJson":
    return {"pod": result.pod.name, "pod_events": [_event(event) for event in result.events]}


@json_of.register(ListResult)
def _listed(result: ListResult) -> "pods.ListJson":
    token = result.token
    return {"token": token.symbol, "pods": [_listed_pod(pod, token) for pod in result.pods]}


def _listed_pod(pod: ListedPod, token: Token) -> "pods.ListedPodJson":
    tree: pods.ListedPodJson = {
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
    }
    if pod.parked_at is not None:
        tree["parked_at"] = pod.parked_at
    return tree


@json_of.register(TopResult)
def _topped(result: TopResult) -> "pods.TopJson":
    return {"token": result.token.symbol, "pods": [_top_pod(pod, result.token) for pod in result.pods]}


def _top_pod(pod: TopPod, token: Token) -> "pods.TopPodJson":
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

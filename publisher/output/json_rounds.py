# SPDX-License-Identifier: Apache-2.0
"""JSON of `attest`, of a round of `watch` and of what the page shows of a pod, and of what keeps volumes."""

from typing import TYPE_CHECKING

from trustedpods.publisher.core.money import Token
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.output.json_error import error_json
from trustedpods.publisher.output.json_of import Answer, json_of
from trustedpods.publisher.output.json_parts import (
    attested_json,
    outcome_json,
    schedule_json,
    transaction_json,
    verdict_json,
)
from trustedpods.publisher.output.json_pods import status_json, visited_json
from trustedpods.publisher.results.attested import AttestProgress, AttestResult
from trustedpods.publisher.results.backups.volumes import (
    BackedUpVolume,
    BackupScheduleResult,
    VolumeBackupResult,
    VolumeBackupsResult,
)
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.pods import VolumeRestoreResult
from trustedpods.publisher.results.watched import OverviewResult, WatchedPod, WatchResult

if TYPE_CHECKING:
    from trustedpods.publisher.output.answers import rounds


@json_of.register(AttestProgress)
def _attesting(progress: AttestProgress) -> "rounds.AttestingJson":
    tree: rounds.AttestingJson = {}
    if progress.provider is not None:
        tree["provider"] = progress.provider
    if progress.saved is not None:
        tree["saved"] = str(progress.saved)
    if progress.saved_at is not None:
        tree["saved_at"] = progress.saved_at.isoformat()
    if progress.draft is not None:
        tree["policy_draft"] = progress.draft
    if progress.listed is not None:
        tree["class"] = progress.listed
    if progress.verdict is not None:
        tree["verdict"] = verdict_json(progress.verdict)
        tree["trust"] = trust_text(progress.verdict.trust, simulated=progress.verdict.simulated)
    return tree


@json_of.register(AttestResult)
def _attested(result: AttestResult) -> "rounds.AttestJson":
    tree: rounds.AttestJson = {
        "provider": result.provider,
        "verdict": verdict_json(result.verdict),
        "trust": trust_text(result.verdict.trust, simulated=result.verdict.simulated),
    }
    if result.saved is not None:
        tree["saved"] = str(result.saved)
    if result.saved_at is not None:
        tree["saved_at"] = result.saved_at.isoformat()
    if result.draft is not None:
        tree["policy_draft"] = result.draft
    if result.listed is not None:
        tree["class"] = result.listed
    return tree


@json_of.register(WatchResult)
def _watched(result: WatchResult) -> "rounds.WatchJson":
    tree: rounds.WatchJson = {
        "pods": [_watched_pod(pod, result.token) for pod in result.pods],
        "exit": result.exit_code,
    }
    if result.backups:
        tree["backups"] = [schedule_json(one) for one in result.backups]
    return tree


def _watched_pod(pod: WatchedPod, token: Token) -> "rounds.WatchedPodJson":
    told: rounds.WatchedPart = {}
    if pod.phase is not None:
        told["phase"] = pod.phase
        told["runway_s"] = pod.runway_s
    if pod.paid is not None:
        told["paid"] = token.number(pod.paid)
    if pod.error is not None:
        told["error"] = error_json(pod.error)
    if pod.money is not None:
        told["money"] = outcome_json(pod.money, token)
    return {
        "pod": pod.name,
        "provider": pod.provider,
        "class": pod.trust,
        "channel": pod.channel,
        "state": pod.state,
        "exit": pod.exit_code,
        "actions": list(pod.actions),
        "problems": list(pod.problems),
        "attested": attested_json(pod.attested),
        **told,
        **transaction_json(None if pod.paid is None else pod.transaction),
    }


@json_of.register(VolumeBackupResult)
def backup_json(result: VolumeBackupResult) -> "rounds.BackupJson":
    """One backup."""
    return {
        "pod": result.pod,
        "name": result.name,
        "began": result.began,
        "ended": result.ended,
        "volumes": [_volume(one) for one in result.volumes],
        "left_out": list(result.left_out),
        "removed": list(result.removed),
        "size": result.size,
    }


@json_of.register(VolumeBackupsResult)
def _backups(result: VolumeBackupsResult) -> "rounds.BackupsJson":
    return {
        "pod": result.pod,
        "backups": [backup_json(one) for one in result.backups],
        "damaged": [{"name": one.name, "why": one.why} for one in result.damaged],
        "verified": result.verified,
    }


@json_of.register(BackupScheduleResult)
def _scheduled(result: BackupScheduleResult) -> "rounds.BackupScheduleJson":
    return {
        "pod": result.pod,
        "schedule": None if result.schedule is None else schedule_json(result.schedule),
    }


@json_of.register(VolumeRestoreResult)
def _restored(result: VolumeRestoreResult) -> "rounds.RestoreJson":
    return {
        **visited_json(result.pod),
        "backup": result.name,
        "volumes": [_volume(one) for one in result.volumes],
    }


def _volume(volume: BackedUpVolume) -> "rounds.BackedUpVolumeJson":
    return {"volume": volume.volume, "ordinal": volume.ordinal, "size": volume.size}


@json_of.register(OverviewResult)
def _overview(result: OverviewResult) -> Answer:
    log = result.log
    bill = error_json(result.bill) if isinstance(result.bill, ErrorReport) else json_of(result.bill)
    told = (
        [piece.data.decode(errors="replace") for piece in log] if isinstance(log, tuple) else error_json(log)
    )
    return {**status_json(result.status), "log": told, "bill": bill}

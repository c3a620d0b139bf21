# SPDX-License-Identifier: Apache-2.0
"""JSON of the verbs on a network's leases and on the copies of its document."""

from typing import TYPE_CHECKING

from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.networks.documents import Copy, Document
from trustedpods.protocol.networks.history import HistoryRecord
from trustedpods.protocol.networks.leases import Attempt, Command, LeaseStatus
from trustedpods.publisher.core.networks.telling import digest
from trustedpods.publisher.output.json_error import error_json
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.output.json_parts import network_json
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.networks import (
    BackupResult,
    BreakResult,
    ConnectResult,
    CopiesResult,
    HistoryResult,
    LeasesResult,
    MembersResult,
    MigrateResult,
    RepairResult,
    RestoreResult,
)

if TYPE_CHECKING:
    from trustedpods.publisher.output.answers.networks import documents, nodes


@json_of.register(LeasesResult)
def _leases(result: LeasesResult) -> "documents.LeasesJson":
    clusters = {name: _lease(lease) for name, lease in result.clusters.items()}
    return {**network_json(result.network), "clusters": clusters}


def _lease(lease: LeaseStatus | ErrorReport) -> "documents.LeaseJson | nodes.UnknownJson":
    if isinstance(lease, ErrorReport):
        return {"error": error_json(lease)}
    holder: documents.HolderJson | None = None
    if lease.holder is not None and lease.command is not None:
        holder = {**_attempt(lease.holder, lease.command), "ends_in_ms": lease.ends_in}
    return {
        "fence": lease.fence,
        "holder": holder,
        "waiting": [{**_attempt(one.attempt, one.command), "aside": one.aside} for one in lease.waiting],
        "broken": [
            {**_attempt(one.attempt, one.command), "by": one.by, "reason": one.reason, "at": one.at}
            for one in lease.breaks
        ],
    }


def _attempt(attempt: Attempt, command: Command) -> "documents.AttemptJson":
    return {
        "who": attempt.who,
        "attempt": attempt.id,
        "ticket": attempt.ticket,
        "command": command.what,
        "machine": command.machine,
        "since": command.since,
    }


@json_of.register(BreakResult)
def _broken(result: BreakResult) -> "documents.BreakJson":
    return {**network_json(result.network), "reason": result.reason, "broken": dict(result.broken)}


@json_of.register(HistoryResult)
def _history(result: HistoryResult) -> "documents.HistoryJson":
    commands = [_record(record) for record in result.records]
    return {**network_json(result.network), "dropped": result.dropped, "commands": commands}


def _record(record: HistoryRecord) -> "documents.CommandJson":
    return {
        "began": record.at,
        "ended": record.ended or None,
        "by": address_from_bytes(record.by),
        "verb": record.verb,
        "arguments": [
            {"name": one.name, "value": one.value, "secret": one.value is None} for one in record.arguments
        ],
        "result": record.result if record.ended else None,
        "generation": record.generation,
    }


@json_of.register(MembersResult)
def _members(result: MembersResult) -> "documents.MembersJson":
    return {
        **network_json(result.network),
        "members": {address: role.value for address, role in result.members.items()},
        "lost": dict(result.lost),
        "generation": result.document.generation,
    }


@json_of.register(BackupResult)
def _backed_up(result: BackupResult) -> "documents.StateBackupJson":
    return {**network_json(result.network), "file": str(result.file), **_document(result.document)}


@json_of.register(MigrateResult)
def _migrated(result: MigrateResult) -> "documents.MigrateJson":
    return {
        **network_json(result.network),
        "from_schema": result.from_version,
        "to_schema": result.to_version,
        "migrations": list(result.steps),
        "generation": None if result.document is None else result.document.generation,
    }


@json_of.register(RestoreResult)
def _restored(result: RestoreResult) -> "documents.StateRestoreJson":
    return {
        **network_json(result.network),
        "from_generation": result.saved.generation,
        "differences": list(result.differences),
        **_document(result.document),
    }


@json_of.register(CopiesResult)
def _copies(result: CopiesResult) -> "documents.CopiesJson":
    return {
        **network_json(result.network),
        "clusters": {name: _copy(copy) for name, copy in result.clusters.items()},
        "being_written": result.being_written,
        "difference": result.difference,
    }


def _copy(copy: Copy | ErrorReport) -> "documents.CopyJson | nodes.UnknownJson":
    if isinstance(copy, ErrorReport):
        return {"error": error_json(copy)}
    pending = None if copy.pending is None else _document(copy.pending)
    return {**_document(copy.current), "pending": pending}


def _document(document: Document) -> "documents.DocumentJson":
    return {
        "generation": document.generation,
        "content": digest(document),
        "bytes": len(document.body),
    }


@json_of.register(RepairResult)
def _repaired(result: RepairResult) -> "documents.RepairJson":
    return {**network_json(result.network), "from": result.source, **_document(result.document)}


@json_of.register(ConnectResult)
def _connected(result: ConnectResult) -> "documents.ConnectJson":
    return {
        **network_json(result.network),
        "clusters": dict(result.clusters),
        "begun": result.begun,
        "generation": result.generation,
    }

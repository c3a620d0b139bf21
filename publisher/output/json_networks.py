# SPDX-License-Identifier: Apache-2.0
"""JSON of the verbs on networks of pods."""

from typing import TYPE_CHECKING

from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.networks.documents import Copy, Document
from trustedpods.protocol.networks.history import HistoryRecord
from trustedpods.protocol.networks.leases import Attempt, Command, LeaseStatus
from trustedpods.protocol.networks.members import Role
from trustedpods.publisher.core.networks.plan import Plan
from trustedpods.publisher.core.networks.telling import digest
from trustedpods.publisher.output.json_error import error_json, known
from trustedpods.publisher.output.json_of import JsonObject, json_of
from trustedpods.publisher.output.json_parts import identity_json
from trustedpods.publisher.output.json_pods import status_json
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.networks import (
    ApplyResult,
    BackupResult,
    BreakResult,
    CardResult,
    ConnectResult,
    CopiesResult,
    ExportResult,
    HistoryResult,
    KeptNetworksResult,
    LeasesResult,
    LinkResult,
    MembersResult,
    MigrateResult,
    NetworkBackupResult,
    NetworkDeleteResult,
    NetworkDraftResult,
    NetworkEndpointsResult,
    NetworkFundResult,
    NetworkId,
    NetworkLogsResult,
    NetworkRenderResult,
    NetworkStatusResult,
    NodeStatus,
    OwnerStatus,
    PlanResult,
    RenderedNode,
    RepairResult,
    RestoreResult,
)
from trustedpods.publisher.results.pods import StatusResult

if TYPE_CHECKING:
    from trustedpods.publisher.output.answers import networks, pods


def _network(network: NetworkId) -> JsonObject:
    return {"network": network.name, "founder": network.founder}


@json_of.register(KeptNetworksResult)
def _kept(result: KeptNetworksResult) -> JsonObject:
    clusters: JsonObject = {
        name: {"error": error_json(kept)}
        if isinstance(kept, ErrorReport)
        else {"networks": [_network(one) for one in kept]}
        for name, kept in result.clusters.items()
    }
    return {"clusters": clusters}


@json_of.register(LeasesResult)
def _leases(result: LeasesResult) -> JsonObject:
    clusters = {name: _lease(lease) for name, lease in result.clusters.items()}
    return _network(result.network) | {"clusters": clusters}


def _lease(lease: LeaseStatus | ErrorReport) -> JsonObject:
    if isinstance(lease, ErrorReport):
        return {"error": error_json(lease)}
    holder: JsonObject | None = None
    if lease.holder is not None and lease.command is not None:
        holder = _attempt(lease.holder, lease.command) | {"ends_in_ms": lease.ends_in}
    return {
        "fence": lease.fence,
        "holder": holder,
        "waiting": [_attempt(one.attempt, one.command) | {"aside": one.aside} for one in lease.waiting],
        "broken": [
            _attempt(one.attempt, one.command) | {"by": one.by, "reason": one.reason, "at": one.at}
            for one in lease.breaks
        ],
    }


def _attempt(attempt: Attempt, command: Command) -> JsonObject:
    return {
        "who": attempt.who,
        "attempt": attempt.id,
        "ticket": attempt.ticket,
        "command": command.what,
        "machine": command.machine,
        "since": command.since,
    }


@json_of.register(BreakResult)
def _broken(result: BreakResult) -> JsonObject:
    return _network(result.network) | {"reason": result.reason, "broken": dict(result.broken)}


@json_of.register(HistoryResult)
def _history(result: HistoryResult) -> JsonObject:
    commands = [_record(record) for record in result.records]
    return _network(result.network) | {"dropped": result.dropped, "commands": commands}


def _record(record: HistoryRecord) -> JsonObject:
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
def _members(result: MembersResult) -> JsonObject:
    return _network(result.network) | {
        "members": {address: role.value for address, role in result.members.items()},
        "lost": dict(result.lost),
        "generation": result.document.generation,
    }


@json_of.register(BackupResult)
def _backed_up(result: BackupResult) -> JsonObject:
    return _network(result.network) | {"file": str(result.file), **_document(result.document)}


@json_of.register(MigrateResult)
def _migrated(result: MigrateResult) -> JsonObject:
    return _network(result.network) | {
        "from_schema": result.from_version,
        "to_schema": result.to_version,
        "migrations": list(result.steps),
        "generation": None if result.document is None else result.document.generation,
    }


@json_of.register(RestoreResult)
def _restored(result: RestoreResult) -> JsonObject:
    return _network(result.network) | {
        "from_generation": result.saved.generation,
        "differences": list(result.differences),
        **_document(result.document),
    }


@json_of.register(CopiesResult)
def _copies(result: CopiesResult) -> JsonObject:
    return _network(result.network) | {
        "clusters": {name: _copy(copy) for name, copy in result.clusters.items()},
        "being_written": result.being_written,
        "difference": result.difference,
    }


def _copy(copy: Copy | ErrorReport) -> JsonObject:
    if isinstance(copy, ErrorReport):
        return {"error": error_json(copy)}
    pending = None if copy.pending is None else _document(copy.pending)
    return _document(copy.current) | {"pending": pending}


def _document(document: Document) -> JsonObject:
    return {
        "generation": document.generation,
        "content": digest(document),
        "bytes": len(document.body),
    }


@json_of.register(RepairResult)
def _repaired(result: RepairResult) -> JsonObject:
    return _network(result.network) | {"from": result.source, **_document(result.document)}


@json_of.register(ConnectResult)
def _connected(result: ConnectResult) -> JsonObject:
    return _network(result.network) | {
        "clusters": dict(result.clusters),
        "begun": result.begun,
        "generation": result.generation,
    }


@json_of.register(PlanResult)
def _planned(result: PlanResult) -> JsonObject:
    number = result.token.number
    nodes: list[JsonObject] = [
        {
            "node": one.node,
            "effect": one.effect,
            "cluster": one.cluster,
            "why": one.why,
            "peak_hour": None if one.an_hour is None else number(one.an_hour),
            "identity": one.identity,
            **known(stopped=one.stopped or None),
        }
        for one in result.nodes
    ]
    whole: JsonObject = {
        "generation": result.generation,
        "outlook": nodes,
        "peak_hour": number(result.an_hour),
        "token": result.token.symbol,
        "tunnels": [{"node": one.node, "other": one.other, "lacks": one.lacks} for one in result.tunnels],
    }
    return _network(result.network) | _plan(result.plan) | whole


@json_of.register(ApplyResult)
def _applied(result: ApplyResult) -> JsonObject:
    return (
        _network(result.network)
        | _plan(result.plan)
        | {"generation": result.generation, "urls": dict(result.urls)}
    )


def _plan(plan: Plan) -> JsonObject:
    members: list[JsonObject] = [
        {"address": one.address, "role": _role(one.role), "before": _role(one.before)} for one in plan.members
    ]
    nodes: list[JsonObject] = [
        {"node": one.node, "doing": one.doing, "cluster": one.cluster, "why": one.why} for one in plan.nodes
    ]
    return {"changes": plan.changes, "members": members, "nodes": nodes}


def _role(role: Role | None) -> str | None:
    return None if role is None else role.value


@json_of.register(NetworkStatusResult)
def _status(result: NetworkStatusResult) -> "networks.NetworkStatusJson":
    return {
        "network": result.network.name,
        "founder": result.network.founder,
        "generation": result.generation,
        "clusters": dict(result.clusters),
        "members": {str(who): role for who, role in result.members.items()},
        "nodes": {name: _node(node) for name, node in result.nodes.items()},
        "links": {alias: _owner(link) for alias, link in result.links.items()},
        "exit": int(result.exit_code),
    }


def _node(node: NodeStatus) -> "networks.NodeJson":
    return {
        "cluster": node.cluster,
        "phase": node.phase,
        "publisher": node.publisher,
        "pod": node.pod,
        "url": node.url,
        "sound": node.sound,
        "live": _live(node.live),
    }


def _live(live: StatusResult | ErrorReport | None) -> "pods.StatusJson | networks.UnknownJson | None":
    if live is None:
        return None
    return {"error": error_json(live)} if isinstance(live, ErrorReport) else status_json(live)


@json_of.register(NetworkEndpointsResult)
def _endpoints(result: NetworkEndpointsResult) -> JsonObject:
    found: list[JsonObject] = [
        {
            "node": one.node,
            "cluster": one.cluster,
            "service": one.service,
            "port": one.port,
            "url": one.url,
            "identity": identity_json(one.identity),
        }
        for one in result.endpoints
    ]
    return _network(result.network) | {"generation": result.generation, "endpoints": found}


@json_of.register(NetworkLogsResult)
@json_of.register(NetworkFundResult)
@json_of.register(NetworkBackupResult)
def _of_nodes(result: NetworkLogsResult | NetworkFundResult | NetworkBackupResult) -> JsonObject:
    nodes: JsonObject = {
        name: {"error": error_json(one)} if isinstance(one, ErrorReport) else json_of(one)
        for name, one in result.nodes.items()
    }
    whole: JsonObject = {"nodes": nodes, "exit": int(result.exit_code)}
    if isinstance(result, NetworkFundResult):
        whole["paid"] = result.token.number(result.paid)
    if isinstance(result, NetworkBackupResult):
        whole["left_out"] = list(result.left_out)
    return _network(result.network) | whole


@json_of.register(NetworkDeleteResult)
def _deleted(result: NetworkDeleteResult) -> JsonObject:
    told: JsonObject = {"found": result.found, "removed": list(result.removed), "asked": list(result.asked)}
    return _network(result.network) | told


@json_of.register(CardResult)
def _card(result: CardResult) -> JsonObject:
    return {"member": result.member, "card": result.card}


@json_of.register(NetworkDraftResult)
def _draft(result: NetworkDraftResult) -> JsonObject:
    return {
        "network": result.network,
        "kind": result.kind,
        "file": result.file,
        "written": list(result.written),
        "kept": list(result.kept),
        "images": list(result.images),
    }


@json_of.register(NetworkRenderResult)
def _rendered(result: NetworkRenderResult) -> JsonObject:
    nodes: JsonObject = {one.node: _rendered_node(one) for one in result.nodes}
    return _network(result.network) | {"nodes": nodes}


def _rendered_node(node: RenderedNode) -> JsonObject:
    shown: JsonObject = {"pod": node.pod, "manifest": node.manifest}
    if node.provider is not None:
        shown |= {"provider": node.provider.name, "objects": list(node.objects)}
    return shown


def _owner(link: OwnerStatus) -> "networks.OwnerJson":
    return {
        "owner": link.owner,
        "state": link.state,
        "nodes": {name: list(urls) for name, urls in link.nodes.items()},
    }


@json_of.register(ExportResult)
def _export(result: ExportResult) -> JsonObject:
    return _network(result.network) | {
        "to": result.to,
        "nodes": list(result.nodes),
        "shared": dict(result.shared),
        "document": result.document,
    }


@json_of.register(LinkResult)
def _link(result: LinkResult) -> JsonObject:
    return _network(result.network) | {
        "alias": result.alias,
        "link": _owner(result.link),
        "changed": result.changed,
        "came": list(result.came),
        "gone": list(result.gone),
        "document": result.document or None,
        "files": list(result.files),
    }

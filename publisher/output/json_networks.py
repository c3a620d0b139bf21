# SPDX-License-Identifier: Apache-2.0
"""JSON of the verbs on networks of pods."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from trustedpods.protocol.networks.members import Role
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.core.networks.plan import Plan
from trustedpods.publisher.core.networks.planning.outlook import NodeOutlook
from trustedpods.publisher.output.json_error import error_json
from trustedpods.publisher.output.json_money import funded_json
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.output.json_parts import identity_json, network_json
from trustedpods.publisher.output.json_pods import logs_json, status_json
from trustedpods.publisher.output.json_rounds import backup_json
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.networks import (
    ApplyResult,
    CardResult,
    ExportResult,
    KeptNetworksResult,
    LinkResult,
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
)
from trustedpods.publisher.results.pods import StatusResult

if TYPE_CHECKING:
    from trustedpods.publisher.output.answers import pods
    from trustedpods.publisher.output.answers.networks import nodes as networks
    from trustedpods.publisher.output.answers.networks import owners

R = TypeVar("R")
J = TypeVar("J")


@json_of.register(KeptNetworksResult)
def _kept(result: KeptNetworksResult) -> "networks.NetworkListJson":
    return {"clusters": {name: _networks(kept) for name, kept in result.clusters.items()}}


def _networks(kept: tuple[NetworkId, ...] | ErrorReport) -> "networks.KeptJson | networks.UnknownJson":
    if isinstance(kept, ErrorReport):
        return {"error": error_json(kept)}
    return {"networks": [network_json(one) for one in kept]}


@json_of.register(PlanResult)
def _planned(result: PlanResult) -> "networks.NetworkPlanJson":
    number = result.token.number
    return {
        **_steps(result.network, result.plan),
        "generation": result.generation,
        "outlook": [_outlook(one, result.token) for one in result.nodes],
        "peak_hour": number(result.an_hour),
        "token": result.token.symbol,
        "tunnels": [{"node": one.node, "other": one.other, "lacks": one.lacks} for one in result.tunnels],
    }


def _outlook(node: NodeOutlook, token: Token) -> "networks.NodeOutlookJson":
    tree: networks.NodeOutlookJson = {
        "node": node.node,
        "effect": node.effect,
        "cluster": node.cluster,
        "why": node.why,
        "peak_hour": None if node.an_hour is None else token.number(node.an_hour),
        "identity": node.identity,
    }
    if node.stopped:
        tree["stopped"] = True
    return tree


@json_of.register(ApplyResult)
def _applied(result: ApplyResult) -> "networks.NetworkApplyJson":
    return {
        **_steps(result.network, result.plan),
        "generation": result.generation,
        "urls": dict(result.urls),
        "probes": [
            {"name": one.name, "node": one.node, "seconds": round(one.seconds, 1), "said": one.said}
            for one in result.probes
        ],
    }


def _steps(network: NetworkId, plan: Plan) -> "networks.StepsPart":
    return {
        **network_json(network),
        "changes": plan.changes,
        "members": [
            {"address": one.address, "role": _role(one.role), "before": _role(one.before)}
            for one in plan.members
        ],
        "nodes": [
            {"node": one.node, "doing": one.doing, "cluster": one.cluster, "why": one.why}
            for one in plan.nodes
        ],
    }


def _role(role: Role | None) -> str | None:
    return None if role is None else role.value


@json_of.register(NetworkStatusResult)
def _status(result: NetworkStatusResult) -> "networks.NetworkStatusJson":
    return {
        **network_json(result.network),
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
def _endpoints(result: NetworkEndpointsResult) -> "networks.NetworkEndpointsJson":
    return {
        **network_json(result.network),
        "generation": result.generation,
        "endpoints": [
            {
                "node": one.node,
                "cluster": one.cluster,
                "service": one.service,
                "port": one.port,
                "url": one.url,
                "identity": identity_json(one.identity),
            }
            for one in result.endpoints
        ],
    }


@json_of.register(NetworkLogsResult)
def _logs(result: NetworkLogsResult) -> "networks.NetworkLogsJson":
    nodes = _each(result.nodes, logs_json)
    return {**network_json(result.network), "nodes": nodes, "exit": int(result.exit_code)}


@json_of.register(NetworkFundResult)
def _funded(result: NetworkFundResult) -> "networks.NetworkFundJson":
    nodes, paid = _each(result.nodes, funded_json), result.token.number(result.paid)
    return {**network_json(result.network), "nodes": nodes, "exit": int(result.exit_code), "paid": paid}


@json_of.register(NetworkBackupResult)
def _volumes(result: NetworkBackupResult) -> "networks.NetworkBackupJson":
    nodes, left_out = _each(result.nodes, backup_json), list(result.left_out)
    return {
        **network_json(result.network),
        "nodes": nodes,
        "exit": int(result.exit_code),
        "left_out": left_out,
    }


def _each(
    nodes: Mapping[str, R | ErrorReport], form: Callable[[R], J]
) -> "dict[str, J | networks.UnknownJson]":
    found: dict[str, J | networks.UnknownJson] = {}
    for name, one in nodes.items():
        found[name] = {"error": error_json(one)} if isinstance(one, ErrorReport) else form(one)
    return found


@json_of.register(NetworkDeleteResult)
def _deleted(result: NetworkDeleteResult) -> "networks.NetworkDeleteJson":
    return {
        **network_json(result.network),
        "found": result.found,
        "removed": list(result.removed),
        "asked": list(result.asked),
    }


@json_of.register(CardResult)
def _card(result: CardResult) -> "owners.CardJson":
    return {"member": result.member, "card": result.card}


@json_of.register(NetworkDraftResult)
def _draft(result: NetworkDraftResult) -> "owners.NetworkDraftJson":
    return {
        "network": result.network,
        "kind": result.kind,
        "file": result.file,
        "written": list(result.written),
        "kept": list(result.kept),
        "images": list(result.images),
    }


@json_of.register(NetworkRenderResult)
def _rendered(result: NetworkRenderResult) -> "owners.NetworkRenderJson":
    return {**network_json(result.network), "nodes": {one.node: _rendered_node(one) for one in result.nodes}}


def _rendered_node(node: RenderedNode) -> "owners.RenderedNodeJson":
    shown: owners.RenderedNodeJson = {"pod": node.pod, "manifest": dict(node.manifest)}
    if node.provider is not None:
        shown["provider"] = node.provider.name
        shown["objects"] = [dict(one) for one in node.objects]
    return shown


def _owner(link: OwnerStatus) -> "networks.OwnerJson":
    return {
        "owner": link.owner,
        "state": link.state,
        "nodes": {name: list(urls) for name, urls in link.nodes.items()},
    }


@json_of.register(ExportResult)
def _export(result: ExportResult) -> "owners.ExportJson":
    return {
        **network_json(result.network),
        "to": result.to,
        "nodes": list(result.nodes),
        "shared": dict(result.shared),
        "document": result.document,
    }


@json_of.register(LinkResult)
def _link(result: LinkResult) -> "owners.LinkJson":
    return {
        **network_json(result.network),
        "alias": result.alias,
        "link": _owner(result.link),
        "changed": result.changed,
        "came": list(result.came),
        "gone": list(result.gone),
        "document": result.document or None,
        "files": list(result.files),
    }

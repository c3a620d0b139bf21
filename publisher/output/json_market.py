# SPDX-License-Identifier: Apache-2.0
"""JSON of the verbs on providers, and of a round of `watch`."""

from typing import TYPE_CHECKING

from trustedpods.protocol.messages.capabilities import Capabilities
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.output.json_error import error_json
from trustedpods.publisher.output.json_of import Answer, json_of
from trustedpods.publisher.output.json_parts import (
    verdict_json,
)
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.estimated import EstimatedOffer, EstimateResult
from trustedpods.publisher.results.providers import (
    InspectResult,
    ListedProvider,
    ListProgress,
    ProvidersResult,
    RenderResult,
    ServiceFigures,
)
from trustedpods.publisher.results.streams.opened import OpenedPod

if TYPE_CHECKING:
    from trustedpods.publisher.output.answers import market, pods


@json_of.register(ProvidersResult)
def _providers(result: ProvidersResult) -> "market.ProvidersJson":
    tree: market.ProvidersJson = {
        "token": result.token.symbol,
        "simulated": result.simulated,
        "providers": [_row(one, result.token) for one in result.providers],
    }
    if result.pod is not None:
        tree["pod"] = result.pod
    return tree


@json_of.register(ListProgress)
def _so_far(progress: ListProgress) -> Answer:
    """What has answered by then; nothing before the registry was read."""
    result = progress.result()
    return {} if result is None else _providers(result)


@json_of.register(RenderResult)
def _rendered(result: RenderResult) -> "market.RenderJson":
    return {
        "provider": result.provider.name,
        "pod": result.pod,
        "objects": [dict(one) for one in result.objects],
    }


@json_of.register(OpenedPod)
def _opened(result: OpenedPod) -> "pods.OpenJson":
    return {"pod": result.pod, "service": result.service, "url": result.url, "opened": result.opened}


@json_of.register(InspectResult)
def _inspected(result: InspectResult) -> "market.InspectJson":
    return {
        "provider": result.provider.name,
        "class": result.verdict.trust,
        "trust": trust_text(result.verdict.trust, simulated=result.verdict.simulated),
        "capabilities": _capabilities(result.capabilities),
        "service": _service(result.service),
    }


def _service(told: ServiceFigures) -> "market.OwnServiceJson":
    found = told.figures
    return {
        "figures": None
        if found is None
        else {
            "signed_at": found.at,
            "days": found.days,
            "counted_seconds": found.counted_s,
            "up_seconds": found.up_s,
            "cold_starts": found.cold_starts,
            "cold_start_ms": found.cold_start_ms,
            "half_within_ms": found.half_within_ms,
            "nine_of_ten_within_ms": found.nine_of_ten_within_ms,
        },
        "old": told.old,
        "error": None if told.error is None else f"{told.error.code}: {told.error.text}",
    }


def _capabilities(found: Capabilities) -> "market.CapabilitiesJson":
    return {
        "storage_classes": [
            {"name": one.name, "grows": one.grows, "access_modes": one.access_modes}
            for one in found.storage_classes
        ],
        "default_class": found.default_class,
        "ingress_classes": [
            {"name": one.name, "annotations": one.annotations} for one in found.ingress_classes
        ],
        "csi_drivers": found.csi_drivers,
        "udp": found.udp,
        "node_port": found.node_port,
        "load_balancer": found.load_balancer,
        "names": found.names,
        "smtp": found.smtp,
        "own_sleep": found.own_sleep,
        "user_namespaces": found.user_namespaces,
        "node_labels": found.node_labels,
        "largest_node": {
            "cpu_milli": found.largest_node.cpu_milli,
            "memory_mib": found.largest_node.memory_mib,
            "storage_mib": found.largest_node.storage_mib,
        },
    }


def _row(one: ListedProvider, token: Token) -> "market.ListedProviderJson":
    tree: market.ListedProviderJson = {
        "name": one.provider.name,
        "owner": one.provider.owner,
        "daemon": one.provider.daemon,
        "class": one.trust,
        "region": one.provider.region,
        "tee": list(one.tee),
        "endpoint": one.provider.endpoint,
        "updated_at": one.updated_at,
        "core_hour": token.number(one.prices.core_hour),
        "gib_hour": token.number(one.prices.gib_hour),
        "stored_gib_month": token.number(one.prices.stored_gib_month),
        "egress_gib": token.number(one.prices.egress_gib),
        "ingress_gib": token.number(one.prices.ingress_gib),
        "least_deposit": token.number(one.least.deposit),
        "unlock_s": one.least.unlock_s,
        "idle_mib": one.least.idle_mib,
        **_proof(one),
    }
    if one.unfit is not None:
        tree["unfit"] = one.unfit
    if one.answered_ms is not None:
        tree["answered_ms"] = one.answered_ms
    if one.awake_hour is not None and one.asleep_hour is not None:
        tree["awake_hour"] = token.number(one.awake_hour)
        tree["asleep_hour"] = token.number(one.asleep_hour)
    return tree


def _proof(one: ListedProvider) -> "market.ProofPart":
    """What its evidence showed; nothing where nobody asked."""
    if one.proof is None:
        return {}
    if isinstance(one.proof, ErrorReport):
        return {"evidence": one.evidence, "error": error_json(one.proof)}
    return {
        "evidence": one.evidence,
        "evidence_digest": one.proof.report_digest.hex(),
        "verdict": verdict_json(one.proof),
    }


@json_of.register(EstimateResult)
def _estimated(result: EstimateResult) -> "market.EstimateJson":
    return {
        "pod": result.pod,
        "token": result.token.symbol,
        "simulated": result.simulated,
        "image_bytes": result.image_bytes,
        "min_replicas": result.min_replicas,
        "max_replicas": result.max_replicas,
        "outliving_mib": result.outliving_mib,
        "offers": [_offer(one, result.token) for one in result.offers],
        "left_out": [{"provider": out.provider.name, "reason": out.reason} for out in result.left_out],
    }


def _offer(one: EstimatedOffer, token: Token) -> "market.OfferJson":
    tree: market.OfferJson = {
        "provider": one.provider.name,
        "class": one.trust,
        "region": one.provider.region,
        "asleep_hour": token.number(one.cost.asleep_hour),
        "awake_hour": token.number(one.cost.awake_hour),
        "peak_hour": token.number(one.cost.peak_hour),
        "peak_day": token.number(one.cost.peak_day),
        "retained_hour": token.number(one.retained_hour),
        "deposit": token.number(one.deposit),
    }
    if one.warm_hour is not None:
        tree["warm_hour"] = token.number(one.warm_hour)
    return tree

# SPDX-License-Identifier: Apache-2.0
"""JSON of what several results are made of."""

from typing import TYPE_CHECKING

from trustedpods.contracts.terms import Terms
from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.sealing.public_keys import identity_text
from trustedpods.protocol.units import Usage
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.output.json_error import error_json
from trustedpods.publisher.results.backups.volumes import ScheduledState
from trustedpods.publisher.results.channels import PodChannel
from trustedpods.publisher.results.confirmed import ConfirmedPod
from trustedpods.publisher.results.money import DepositOutcome, MinedTransaction
from trustedpods.publisher.results.pods import LastAttestation
from trustedpods.publisher.results.providers import ProviderId, VerifiedMachine

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.verdict import Verdict
    from trustedpods.publisher.output.answers import parts
    from trustedpods.publisher.output.answers.networks.nodes import NetworkJson
    from trustedpods.publisher.results.deployed import DeployProgress, DeployResult, SentImages
    from trustedpods.publisher.results.networks import NetworkId


def hex_of(transaction: bytes | None) -> str | None:
    """A transaction's hash as every explorer takes it."""
    return None if transaction is None else "0x" + transaction.hex()


def transaction_json(transaction: MinedTransaction | None) -> "parts.TransactionJson":
    """A transaction; nothing for none."""
    tree: parts.TransactionJson = {}
    if transaction is None:
        return tree
    tree["tx"] = "0x" + transaction.hash.hex()
    if transaction.gas is not None:
        tree["gas"] = transaction.gas
    if transaction.block is not None:
        tree["block"] = transaction.block
    return tree


def outcome_json(outcome: DepositOutcome, token: Token) -> "parts.OutcomeJson":
    """What became of a deposit."""
    tree: parts.OutcomeJson = {"state": outcome.state}
    if outcome.unlock_at is not None:
        tree["unlock_at"] = outcome.unlock_at
    if outcome.left is not None:
        tree["left"] = token.number(outcome.left)
    if outcome.refund is not None:
        tree["refund"] = token.number(outcome.refund)
        tree["refund_units"] = str(outcome.refund)
    tree = {**tree, **transaction_json(outcome.transaction)}
    if outcome.pushed is not None:
        tree["pushed"] = outcome.pushed
    return tree


def schedule_json(state: ScheduledState) -> "parts.ScheduleJson":
    """A schedule of backups and how it goes."""
    tree: parts.ScheduleJson = {
        "pod": state.pod,
        "store": state.store,
        "every_s": state.every_s,
        "keep": state.keep,
        "next_at": state.next_at,
        "last": state.last,
        "last_at": state.last_at,
        "size": state.size,
        "failures": state.failures,
        "failed_at": state.failed_at,
        "why": state.why,
        "begun": state.begun,
        "exit": state.exit_code,
    }
    if state.stopped:
        tree["stopped"] = True
    return tree


def sent_json(sent: "SentImages") -> "parts.SentJson":
    """What was sent."""
    return {
        "sent_bytes": sent.sealed_bytes,
        "sent_chunks": sent.chunks,
        "sent_blobs": [
            {"digest": blob.digest, "from": blob.first_chunk, "chunks": blob.chunks, "size": blob.size}
            for blob in sent.blobs
        ],
    }


def left_json(deployed: "DeployResult | DeployProgress", token: Token) -> "list[parts.LeftJson]":
    """Providers that failed before the one that took the pod."""
    return [
        {
            "provider": one.provider.name,
            "channel": channel_hex(one.channel),
            "error": error_json(one.error),
            "money": outcome_json(one.money, token),
        }
        for one in deployed.left
    ]


def provider_json(provider: ProviderId) -> "parts.ProviderJson":
    """Who a provider is."""
    return {
        "name": provider.name,
        "owner": provider.owner,
        "daemon": provider.daemon,
        "endpoint": provider.endpoint,
        "region": provider.region,
    }


def machine_json(machine: VerifiedMachine) -> "parts.MachineJson":
    """What a machine proved."""
    verdict = machine.verdict
    return {
        "class": verdict.trust,
        "simulated": verdict.simulated,
        "platform": verdict.platform,
        "evidence": verdict.report_digest.hex(),
        "checks": list(verdict.checks),
        "boot": machine.boot.hex(),
        "meter": machine.meter,
    }


def verdict_json(verdict: "Verdict") -> "parts.VerdictJson":
    """All of a verdict."""
    return {
        "class": verdict.trust,
        "simulated": verdict.simulated,
        "platform": verdict.platform,
        "chip_id": verdict.chip_id.hex(),
        "report_sha256": verdict.report_digest.hex(),
        "policy": verdict.policy,
        "entry": verdict.entry,
        "expiry": None if verdict.expiry is None else verdict.expiry.isoformat(),
        "warnings": list(verdict.warnings),
        "checks": list(verdict.checks),
    }


def attested_json(attested: LastAttestation) -> "parts.AttestedJson":
    """When a provider last verified, and against what."""
    return {
        "at": attested.at,
        "policy": attested.policy or "built-in",
        "label": attested.label,
        "boot": attested.boot,
        "refused": attested.refused,
        "refused_at": attested.refused_at,
    }


def channel_json(channel: PodChannel, token: Token) -> "parts.ChannelJson":
    """A pod's provider and channel."""
    tree: parts.ChannelJson = {
        "provider": provider_json(channel.provider),
        "channel": channel_hex(channel.id),
        "channel_open": channel.live is not None,
        "token": token.symbol,
    }
    if channel.live is not None:
        tree["left"] = token.number(channel.live.left)
        tree["left_units"] = str(channel.live.left)
        tree["unlock_at"] = channel.live.unlock_at or None
        tree["up_to"] = channel.live.up_to
    return tree


def confirmed_json(confirmed: ConfirmedPod | None) -> "parts.ConfirmedJson":
    """What a provider signed; nothing for none."""
    if confirmed is None:
        return {}
    return {
        "endpoints": [
            {"service": one.service, "port": one.port, "url": one.url} for one in confirmed.endpoints
        ],
        "images": dict(confirmed.images),
        "namespace": confirmed.namespace,
        "generation": confirmed.generation,
        "terms": _terms(confirmed.terms),
        "issued_at": confirmed.issued_at,
        "identity": identity_json(confirmed.identity),
    }


def identity_json(identity: bytes) -> "parts.IdentityJson":
    """What a pod is known by in each form that it has; nothing for nothing."""
    tree: parts.IdentityJson = {}
    if text := identity_text(identity, "hex"):
        tree["hex"] = text
    if text := identity_text(identity, "base64"):
        tree["base64"] = text
    if text := identity_text(identity, "pem"):
        tree["pem"] = text
    if text := identity_text(identity, "enodeId"):
        tree["enodeId"] = text
    return tree


def usage_json(usage: Usage) -> "parts.UsageJson":
    """What was used."""
    return {
        "cpu_core_ms": usage.cpu_core_ms,
        "memory_mib_s": usage.memory_mib_s,
        "storage_mib_s": usage.storage_mib_s,
        "egress_kib": usage.egress_kib,
        "ingress_kib": usage.ingress_kib,
    }


def _terms(terms: Terms) -> "parts.TermsJson":
    """Terms of a channel, amounts in base units."""
    prices = terms.prices
    return {
        "prices": {
            "cpu_core_ms": prices.cpu_core_ms,
            "memory_mib_s": prices.memory_mib_s,
            "storage_mib_s": prices.storage_mib_s,
            "egress_kib": prices.egress_kib,
            "ingress_kib": prices.ingress_kib,
            "scale": prices.scale,
        },
        "cap_per_day": str(terms.cap_per_day),
        "unlock_s": terms.unlock_s,
        "word": hex(terms.pack()),
    }


def network_json(network: "NetworkId") -> "NetworkJson":
    """A network's name and who founded it."""
    return {"network": network.name, "founder": network.founder}

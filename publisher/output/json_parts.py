# SPDX-License-Identifier: Apache-2.0
"""JSON of what several results are made of."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from trustedpods.contracts.terms import Terms
from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.sealing.public_keys import IDENTITY_FORMS, identity_text
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.output.json_error import error_json, known
from trustedpods.publisher.output.json_of import JsonObject
from trustedpods.publisher.results.backups.volumes import ScheduledState
from trustedpods.publisher.results.channels import PodChannel
from trustedpods.publisher.results.confirmed import ConfirmedPod
from trustedpods.publisher.results.money import DepositOutcome, MinedTransaction
from trustedpods.publisher.results.pods import LastAttestation
from trustedpods.publisher.results.providers import ProviderId, VerifiedMachine

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.verdict import Verdict
    from trustedpods.publisher.results.deployed import DeployProgress, DeployResult, SentImages


def hex_of(transaction: bytes | None) -> str | None:
    """A transaction's hash as every explorer takes it."""
    return None if transaction is None else "0x" + transaction.hex()


def transaction_json(transaction: MinedTransaction | None) -> JsonObject:
    """A transaction; nothing for none."""
    if transaction is None:
        return {}
    return known(tx=hex_of(transaction.hash), gas=transaction.gas, block=transaction.block)


def outcome_json(outcome: DepositOutcome, token: Token) -> JsonObject:
    """What became of a deposit."""
    return known(
        state=outcome.state,
        unlock_at=outcome.unlock_at,
        left=None if outcome.left is None else token.number(outcome.left),
        refund=None if outcome.refund is None else token.number(outcome.refund),
        refund_units=None if outcome.refund is None else str(outcome.refund),
        **transaction_json(outcome.transaction),
        pushed=outcome.pushed,
    )


def schedule_json(state: ScheduledState | None) -> JsonObject | None:
    """A schedule of backups and how it goes; None for none."""
    if state is None:
        return None
    tree = {name: value for name, value in asdict(state).items() if name not in ("exit_code", "stopped")}
    return tree | {"exit": state.exit_code, **known(stopped=state.stopped or None)}


def sent_json(sent: "SentImages") -> JsonObject:
    """What was sent."""
    return {
        "sent_bytes": sent.sealed_bytes,
        "sent_chunks": sent.chunks,
        "sent_blobs": [
            {"digest": blob.digest, "from": blob.first_chunk, "chunks": blob.chunks, "size": blob.size}
            for blob in sent.blobs
        ],
    }


def left_json(deployed: "DeployResult | DeployProgress") -> list[JsonObject] | None:
    """Providers that failed before the one that took the pod; None for none."""
    token = deployed.token
    if token is None or not deployed.left:
        return None
    return [
        {
            "provider": one.provider.name,
            "channel": channel_hex(one.channel),
            "error": error_json(one.error),
            "money": outcome_json(one.money, token),
        }
        for one in deployed.left
    ]


def provider_json(provider: ProviderId) -> JsonObject:
    """Who a provider is."""
    return {
        "name": provider.name,
        "owner": provider.owner,
        "daemon": provider.daemon,
        "endpoint": provider.endpoint,
        "region": provider.region,
    }


def machine_json(machine: VerifiedMachine) -> JsonObject:
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


def verdict_json(verdict: "Verdict") -> JsonObject:
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


def attested_json(attested: LastAttestation) -> JsonObject:
    """When a provider last verified, and against what."""
    return {
        "at": attested.at,
        "policy": attested.policy or "built-in",
        "label": attested.label,
        "boot": attested.boot,
        "refused": attested.refused,
        "refused_at": attested.refused_at,
    }


def channel_json(channel: PodChannel, token: Token) -> JsonObject:
    """A pod's provider and channel."""
    ended: JsonObject = {
        "provider": provider_json(channel.provider),
        "channel": channel_hex(channel.id),
        "channel_open": channel.live is not None,
        "token": token.symbol,
    }
    if channel.live is None:
        return ended
    return ended | {
        "left": token.number(channel.live.left),
        "left_units": str(channel.live.left),
        "unlock_at": channel.live.unlock_at or None,
        "up_to": channel.live.up_to,
    }


def confirmed_json(confirmed: ConfirmedPod | None) -> JsonObject:
    """What a provider signed; nothing for none."""
    if confirmed is None:
        return {}
    return {
        "endpoints": [endpoint.model_dump() for endpoint in confirmed.endpoints],
        "images": dict(confirmed.images),
        "namespace": confirmed.namespace,
        "generation": confirmed.generation,
        "terms": _terms(confirmed.terms),
        "issued_at": confirmed.issued_at,
        "identity": identity_json(confirmed.identity),
    }


def identity_json(identity: bytes) -> JsonObject:
    """What a pod is known by in each form that it has; nothing for nothing."""
    texts = {form: identity_text(identity, form) for form in IDENTITY_FORMS if identity}
    return {form: text for form, text in texts.items() if text}


def _terms(terms: Terms) -> JsonObject:
    """Terms of a channel, amounts in base units."""
    return {
        "prices": terms.prices.model_dump(),
        "cap_per_day": str(terms.cap_per_day),
        "unlock_s": terms.unlock_s,
        "word": hex(terms.pack()),
    }

# SPDX-License-Identifier: Apache-2.0
"""What is said and kept about a deploy: lines for people, facts for `-o json`."""

from trustedpods.contracts.terms import Terms
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.messages.pod import Statement
from trustedpods.protocol.messages.provider import Prices, TrustClass
from trustedpods.publisher.core.cost import Cost
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.core.select import Offer, Selection
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.candidates import provider_name
from trustedpods.publisher.market.session import Session
from trustedpods.publisher.pod import Pod

SHOWN_LEFT_OUT = 3
"""Reasons named when nobody comes into question; `--explain` names all."""


def pod_line(pod: Pod) -> str:
    """One line on what is deployed."""
    size = pod.manifest.replica_size
    images = "1 image" if len(pod.images) == 1 else f"{len(pod.images)} images"
    return (
        f"{images}, {pod.image_bytes / 1e6:.1f} MB packed and unpacked; {size.cpu_milli}m CPU, "
        f"{size.memory_mib} MiB, "
        f"{pod.manifest.spec.scale.min} to {pod.manifest.spec.scale.max} replicas"
    )


def provider_line(session: Session, offer: Offer, token: Token) -> str:
    """One line on who takes the pod, and at what price."""
    trust = trust_text(session.verdict.trust, simulated=session.verdict.simulated)
    price = price_text(offer.cost, token)
    return f"{provider_name(session.row)} [{trust}] {session.verdict.platform}: {price}"


def price_text(cost: Cost, token: Token) -> str:
    """What an hour costs."""
    return f"{token.rough(cost.awake_hour)} per hour awake, {token.rough(cost.asleep_hour)} asleep"


def explain(selection: Selection, token: Token, journal: Journal) -> None:
    """Say of every provider what it would cost, or why it is left out."""
    for offer in selection.offers:
        journal.show.line(f"  {provider_name(offer.row)}: {price_text(offer.cost, token)}")
    for out in selection.left_out:
        journal.show.line(f"  {provider_name(out.row)}: left out: {out.reason}")


def nobody(selection: Selection, trust: TrustClass) -> Refused:
    """The error when no provider matches; the first reasons are in it."""
    out = selection.left_out
    if not out:
        return Refused("the registry lists no provider", rule="no-provider")
    reasons = "; ".join(f"{provider_name(one.row)}: {one.reason}" for one in out[:SHOWN_LEFT_OUT])
    more = f"; and {len(out) - SHOWN_LEFT_OUT} more (--explain)" if len(out) > SHOWN_LEFT_OUT else ""
    return Refused(
        f"none of {len(out)} providers of class {trust} comes into question: {reasons}{more}",
        rule="no-provider",
    )


def provider_facts(session: Session) -> dict[str, object]:
    """Who takes the pod, and what was verified."""
    row, verdict, binding = session.row, session.verdict, session.binding
    return {
        "provider": {
            "name": provider_name(row),
            "owner": row.owner,
            "daemon": row.daemon,
            "endpoint": row.endpoint,
            "region": row.region,
        },
        "trust": {
            "class": verdict.trust,
            "simulated": verdict.simulated,
            "platform": verdict.platform,
            "evidence": verdict.report_digest.hex(),
            "checks": list(verdict.checks),
            "boot": binding.boot_id.hex(),
            "meter": address_from_bytes(binding.meter),
        },
    }


def price_facts(cost: Cost, token: Token) -> dict[str, object]:
    """What it costs, in whole tokens."""
    return {
        "token": token.symbol,
        "awake_hour": token.number(cost.awake_hour),
        "asleep_hour": token.number(cost.asleep_hour),
        "peak_day": token.number(cost.peak_day),
    }


def statement_facts(statement: Statement) -> dict[str, object]:
    """What the provider signed."""
    terms = Terms.unpack(statement.terms)
    return {
        "endpoints": [endpoint.model_dump() for endpoint in statement.endpoints],
        "images": dict(statement.images),
        "namespace": statement.namespace,
        "generation": statement.generation,
        "terms": terms_facts(terms),
        "issued_at": statement.issued_at,
    }


def terms_facts(terms: Terms) -> dict[str, object]:
    """Terms of a channel, amounts in base units."""
    return {
        "prices": _prices(terms.prices),
        "cap_per_day": str(terms.cap_per_day),
        "unlock_s": terms.unlock_s,
        "word": hex(terms.pack()),
    }


def _prices(prices: Prices) -> dict[str, int]:
    return prices.model_dump()

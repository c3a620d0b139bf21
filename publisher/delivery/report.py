# SPDX-License-Identifier: Apache-2.0
"""What is said of a deploy to a person."""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.publisher.core.cost import Cost
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.core.select import LeftOut, Offer, Selection
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.candidates import provider_name
from trustedpods.publisher.market.session import Session
from trustedpods.publisher.pod import Pod

SHOWN_REASONS = 5
"""Reasons named when nobody can take the pod, those of most providers first; `--explain` names all."""


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
    if offer.cost.peak_hour > offer.cost.awake_hour:
        price += (
            f", at most {token.rough(offer.cost.peak_hour)} an hour with all replicas, as a deposit of 1h is"
        )
    return f"{provider_name(session.row)} [{trust}] {session.verdict.platform}: {price}"


def local_note(urls: Iterable[str]) -> str | None:
    """What whoever calls a pod of a localnet may stumble over; None for addresses that everybody resolves."""
    parts = [one for one in map(urlsplit, urls) if (one.hostname or "").endswith(".localhost")]
    if not parts:
        return None
    secure = any(one.scheme == "https" for one in parts)
    return (
        "*.localhost is this machine, which curl and browsers know: another program asks "
        f"127.0.0.1 with `Host: {parts[0].netloc}`"
        + ("; the localnet signs its certificates itself: `curl -k`" if secure else "")
    )


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
    """The error when no provider matches: a line for each reason, with how many have it."""
    out = selection.left_out
    if not out:
        return Refused(
            "the registry lists no provider",
            rule="no-provider",
            hint="is the market file the right one? `trustedpods provider list` shows who registers",
        )
    lines = _reasons(out)
    refused = Refused(
        "\n".join((f"none of {len(out)} providers can take a pod of class {trust}", *lines)),
        rule="no-provider",
        hint="`trustedpods provider list --for FILE` says of each in a line why it cannot run it",
    )
    refused.others = tuple(lines)
    return refused


def _reasons(out: Sequence[LeftOut]) -> list[str]:
    """Why providers are left out: a line for each reason, that of most first; one that is alone is named."""
    of_reason: dict[str, list[LeftOut]] = {}
    for one in out:
        of_reason.setdefault(one.reason, []).append(one)
    ordered = sorted(of_reason.items(), key=lambda found: -len(found[1]))
    lines = [
        f"{provider_name(found[0].row) if len(found) == 1 else f'{len(found)} providers'}: {reason}"
        for reason, found in ordered[:SHOWN_REASONS]
    ]
    rest = ordered[SHOWN_REASONS:]
    if rest:
        lines.append(f"{sum(len(found) for _, found in rest)} more, for other reasons (--explain)")
    return lines


def unchanged(name: str, *, answered: bool) -> str:
    """Of a pod whose provider did not take the update: whatever ran there was not touched."""
    if answered:
        return (
            f"nothing was changed: the version before is still in place, `trustedpods status {name}` shows it"
        )
    return (
        f"nothing was changed: the pod lives there, `trustedpods status {name}` says whether it serves; only "
        f"if its provider is gone for good, `trustedpods close {name}` ends it and gets its deposit back, "
        "and a deploy takes another then"
    )


def sunk(provider: str, name: str) -> Refused:
    """Of a pod that was sent to a sealed provider, which is open now: no update hands it over to that."""
    return Refused(
        f"it was sealed when {name} was sent there, and its row says class open now",
        where=provider,
        rule="trust",
        hint=f"`trustedpods close {name}` gets the deposit back; a deploy takes another provider then",
    )

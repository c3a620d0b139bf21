# SPDX-License-Identifier: Apache-2.0
"""Providers and their proofs as text."""

from trustedpods.protocol.messages.provider import Figures
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.commands.lines.moments import moment
from trustedpods.publisher.core.money import Token, duration_text
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.output.terminal import table
from trustedpods.publisher.results.attested import AttestResult
from trustedpods.publisher.results.providers import (
    InspectResult,
    ListedProvider,
    ProvidersResult,
    ServiceFigures,
)


def attest_lines(result: AttestResult, *, draft_only: bool) -> list[str]:
    """The verdict for people; with *draft_only* nothing but the draft, to be sent to a file."""
    if draft_only:
        return str(result.draft).splitlines()
    verdict = result.verdict
    lines = [
        f"{result.provider}: {trust_text(verdict.trust, simulated=verdict.simulated)}",
        f"platform  {verdict.platform}",
        f"chip      {verdict.chip_id.hex() or 'none'}",
        f"policy    {verdict.policy}, matched: {verdict.entry}",
        f"report    sha256:{verdict.report_digest.hex()}",
        f"passed    {', '.join(verdict.checks)}",
    ]
    if verdict.expiry is not None:
        lines.append(f"until     {verdict.expiry.isoformat()} (the vendor's statements)")
    if result.saved is not None:
        lines.append(f"saved     {result.saved}")
    return lines


def provider_lines(result: ProvidersResult, *, wide: bool = False) -> list[str]:
    """Providers with prices; evidence where it was asked for. *wide*: prices in full, and all of a row."""
    rows = [_provider_row(one, result, wide=wide) for one in result.providers]
    header = (
        "PROVIDER",
        "CLASS",
        "REGION",
        "CORE/H",
        "GIB/H",
        "STORED GIB/MONTH",
        "OUT/GIB",
        "DEPOSIT",
        *(("ASLEEP/H", "AWAKE/H") if result.pod else ()),
        *(("ANSWER",) if result.was_asked else ()),
        "EVIDENCE",
        *(("IN/GIB", "NOTICE", "HARDWARE", "ROW WRITTEN") if wide else ()),
    )
    notes = ["This is a localnet: its hardware is SIMULATED."] if result.simulated else []
    if any(one.trust == "open" for one in result.providers):
        notes.append("OPEN: the provider's operator can read the pods that run there.")
    unfit = [
        f"{one.provider.name}: not for {result.pod}: {one.unfit}" for one in result.providers if one.unfit
    ]
    return [*table(header, rows), f"(in {result.token.symbol})", *unfit, *([""] if notes else []), *notes]


def _of_the_pod(one: ListedProvider, token: Token) -> tuple[str, str]:
    if one.asleep_hour is None or one.awake_hour is None:
        return "", ""
    return token.short(one.asleep_hour), token.short(one.awake_hour)


def inspect_lines(result: InspectResult) -> list[str]:
    """What a provider offers beside room for containers."""
    has, verdict = result.capabilities, result.verdict
    node = has.largest_node
    exposed = {"udp": has.udp, "nodePort": has.node_port, "loadBalancer": has.load_balancer}
    classes = [
        f"{one.name} ({'grows' if one.grows else 'does not grow'}; {', '.join(one.access_modes)})"
        for one in has.storage_classes
    ]
    facts = {
        "class": trust_text(verdict.trust, simulated=verdict.simulated),
        "largest node": f"{node.cpu_milli}m CPU, {node.memory_mib} MiB, {node.storage_mib} MiB of disk",
        "storage classes": ", ".join(["a default", *classes] if has.default_class else classes),
        "ingress classes": ", ".join(
            f"{one.name} (annotations: {', '.join(one.annotations) or 'none'})" for one in has.ingress_classes
        ),
        "CSI drivers": ", ".join(has.csi_drivers),
        "expose": ", ".join(["http", "tcp", *(word for word, there in exposed.items() if there)]),
        "hosts by name": "yes" if has.names else "no",
        **{f"label {key}": ", ".join(values) or "many values" for key, values in has.node_labels.items()},
    }
    rows = [(name, value or "none") for name, value in (facts | _service_facts(result.service)).items()]
    return [result.provider.name, *table(("", ""), rows)[1:]]


def _service_facts(service: ServiceFigures) -> dict[str, str]:
    """What it says of its own service, and how far that can be believed."""
    figures, error = service.figures, service.error
    if figures is None:
        return {"figures": f"none: {'not asked' if error is None else error.text}"}
    signed = f"signed by the provider at {moment(UnixSeconds(figures.at))}, verified; its own word"
    old = "OLD, a daemon that runs signs every few minutes: " if service.old else ""
    return {
        "could serve pods": f"{duration_text(figures.up_s)} of {duration_text(figures.counted_s)}",
        "cold starts": str(figures.cold_starts),
        "half within": _wait_text(figures, figures.half_within_ms),
        "nine of ten within": _wait_text(figures, figures.nine_of_ten_within_ms),
        "figures": old + signed,
    }


def _wait_text(figures: Figures, bound: int | None) -> str:
    if bound is None:
        return "more than a minute" if figures.cold_starts else "none yet"
    return f"{bound} ms"


def _provider_row(one: ListedProvider, result: ProvidersResult, *, wide: bool) -> tuple[str, ...]:
    token = result.token
    prices = (
        one.prices.core_hour,
        one.prices.gib_hour,
        one.prices.stored_gib_month,
        one.prices.egress_gib,
    )
    return (
        one.provider.name,
        "OPEN" if one.trust == "open" else one.trust,
        one.provider.region,
        *map(token.number if wide else token.short, prices),
        token.number(one.least.deposit) if wide else token.short(one.least.deposit, at_least=True),
        *(_of_the_pod(one, token) if result.pod else ()),
        *((("" if one.answered_ms is None else f"{one.answered_ms} ms"),) if result.was_asked else ()),
        one.evidence,
        *(
            (
                token.number(one.prices.ingress_gib),
                duration_text(one.least.unlock_s),
                ", ".join(one.tee),
                moment(one.updated_at),
            )
            if wide
            else ()
        ),
    )

# SPDX-License-Identifier: Apache-2.0
"""The market as the page shows it: each provider's prices, class, region, and what it proved. Pure."""

from dataclasses import dataclass

from trustedpods.protocol.attestation.verdict import Verdict
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.page.texts import MAX_WORD, amount, clean, when
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.providers import ListedProvider, ProvidersResult

MAX_PROVIDERS = 100
"""Rows that are shown, cheapest core first: anybody can fill the registry, and a page must stay small."""

HOURS_A_MONTH = 30 * 24


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider, as texts. `warns`: what it proved is not what a sealed pod needs."""

    name: str
    region: str
    trust: str
    hardware: str
    evidence: str
    warns: bool
    busy_hour: str
    idle_hour: str
    core_hour: str
    gib_hour: str
    egress_gib: str
    deposit: str
    listed: str


@dataclass(frozen=True, slots=True)
class MarketView:
    """The rows, and how many more there are."""

    rows: tuple[ProviderRow, ...]
    hidden: int
    simulated: bool
    has_open: bool


def market_view(result: ProvidersResult) -> MarketView:
    """Texts of a market that was asked for evidence."""
    shown = result.providers[:MAX_PROVIDERS]
    return MarketView(
        rows=tuple(_row(one, result) for one in shown),
        hidden=len(result.providers) - len(shown),
        simulated=result.simulated,
        has_open=any(one.trust == "open" for one in shown),
    )


def _row(one: ListedProvider, result: ProvidersResult) -> ProviderRow:
    prices, token = one.prices, result.token
    evidence, warns = _evidence(one)
    return ProviderRow(
        name=one.provider.name,
        region=clean(one.provider.region, MAX_WORD) or "-",
        trust="OPEN" if one.trust == "open" else "sealed",
        hardware=clean(", ".join(one.tee), MAX_WORD) or "-",
        evidence=evidence,
        warns=warns,
        busy_hour=amount(prices.core_hour + prices.gib_hour, token),
        idle_hour=amount(-(-prices.stored_gib_month // HOURS_A_MONTH), token),
        core_hour=amount(prices.core_hour, token),
        gib_hour=amount(prices.gib_hour, token),
        egress_gib=amount(prices.egress_gib, token),
        deposit=amount(one.least.deposit, token),
        listed=when(one.updated_at),
    )


def _evidence(one: ListedProvider) -> tuple[str, bool]:
    match one.proof:
        case None:
            return "not asked", True
        case ErrorReport():
            return clean(f"{one.proof.code}: {one.proof.text}"), True
        case Verdict():
            shown = trust_text(one.proof.trust, simulated=one.proof.simulated)
            return clean(f"{shown}: {one.proof.platform}"), one.proof.simulated or one.proof.trust == "open"

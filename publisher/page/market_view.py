# SPDX-License-Identifier: Apache-2.0
"""The market as the page shows it: each provider's prices, class, region, and what it proved. Pure."""

from dataclasses import dataclass

from trustedpods.protocol.attestation.verdict import Verdict
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.local_page.texts import MAX_WORD, clean, when
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.page.texts import amount
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.providers import ListedProvider, ProvidersResult

MAX_PROVIDERS = 100
"""Rows that are shown, cheapest core first, the silent ones last: anybody can fill the registry, and a page
must stay small."""

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
    """The rows, and how many more there are; of all, who is still being asked, and who did not answer."""

    rows: tuple[ProviderRow, ...]
    hidden: int
    simulated: bool
    has_open: bool
    asking: int
    silent: int


def market_view(result: ProvidersResult, *, asking: bool = False) -> MarketView:
    """Texts of a market that was asked for evidence, or is *asking* still.

    Those who answered come first, then those who may yet, then those who did not.
    """
    ordered = sorted(result.providers, key=_group)
    shown = ordered[:MAX_PROVIDERS]
    groups = [_group(one) for one in ordered]
    return MarketView(
        rows=tuple(_row(one, result, asking) for one in shown),
        hidden=len(ordered) - len(shown),
        simulated=result.simulated,
        has_open=any(one.trust == "open" for one in shown),
        asking=groups.count(_UNHEARD) if asking else 0,
        silent=groups.count(_SILENT),
    )


_HEARD, _UNHEARD, _SILENT = range(3)


def _group(one: ListedProvider) -> int:
    if one.proof is None:
        return _UNHEARD
    return _SILENT if isinstance(one.proof, ErrorReport) and one.proof.code == NetworkFailure.code else _HEARD


def _row(one: ListedProvider, result: ProvidersResult, asking: bool) -> ProviderRow:
    prices, token = one.prices, result.token
    evidence, warns = _evidence(one, asking)
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


def _evidence(one: ListedProvider, asking: bool) -> tuple[str, bool]:
    match one.proof:
        case None:
            return "being asked" if asking else "not asked in time", True
        case ErrorReport():
            return clean(f"{one.proof.code}: {one.proof.text}"), True
        case Verdict():
            shown = trust_text(one.proof.trust, simulated=one.proof.simulated)
            return clean(f"{shown}: {one.proof.platform}"), one.proof.simulated or one.proof.trust == "open"

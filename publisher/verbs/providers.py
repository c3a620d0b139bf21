# SPDX-License-Identifier: Apache-2.0
"""`provider list`, `provider inspect`: the registry, the proof behind each row, and what each offers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import trio

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import DAY_S, due
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.messages.capabilities import Capabilities
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.protocol.net import open_host
from trustedpods.protocol.units import KIB, TokenUnits, Usage
from trustedpods.publisher.core.cost import Cost
from trustedpods.publisher.core.deploy import admit_body
from trustedpods.publisher.core.money import HOUR_S
from trustedpods.publisher.core.select import Choice, requirements_of, select
from trustedpods.publisher.market.market import OpenMarket
from trustedpods.publisher.market.profiles import LISTED_AT_ONCE, proof_of, why_not
from trustedpods.publisher.market.session import Proven, ask_figures, attest_row
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.providers import (
    InspectResult,
    ListedProvider,
    ListPrices,
    ListProgress,
    ProviderId,
    ProvidersResult,
    ServiceFigures,
)
from trustedpods.publisher.verbs.attest import one_row

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.verdict import Verdict
    from trustedpods.protocol.net import Host
    from trustedpods.publisher.pod import Pod

MONTH_S = 30 * DAY_S


ListOrder = Literal["price", "region", "answer"]
"""What comes first: the cheapest (for the pod, if there is one; else a core), the first name of a region, or
whoever proved itself fastest."""


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Which rows: of class `trust`, of `region`, with hardware `tee`; None: any. `attest`: ask for proof."""

    attest: bool = False
    trust: TrustClass | None = None
    region: str | None = None
    tee: str | None = None
    order: ListOrder = "price"

    def take(self, row: RegistryRow) -> bool:
        """Whether a row is meant."""
        return (
            self.trust in (None, row.trust)
            and self.region in (None, row.region)
            and (self.tee is None or self.tee in row.tee)
        )


async def list_providers(
    market: OpenMarket,
    options: ListOptions,
    pod: "Pod | None" = None,
    progress: ListProgress | None = None,
) -> ProvidersResult:
    """The rows that *options* mean, with what each one's evidence says, or that it did not come in time.

    With a *pod*, why it cannot run at each, or what it would cost; they prove themselves for that too.
    *progress* has what is known meanwhile.
    """
    rows = [row for row in await market.rows() if options.take(row)]
    known: dict[int, _Known] = {}

    def made(fits: Mapping[int, _Fit]) -> ProvidersResult:
        found = [_listed(row, known.get(id(row)), fits.get(id(row), _Fit())) for row in rows]
        return ProvidersResult(
            token=market.token,
            simulated=market.file.simulated_root is not None,
            providers=tuple(sorted(found, key=_ORDERS[options.order])),
            pod=None if pod is None else pod.name,
        )

    if progress is not None:
        progress.made = lambda: made({})
    if options.attest or pod is not None:
        await _attest_all(market, rows, known)
    return made({} if pod is None else _fits(market, pod, rows, known))


def _by_price(one: ListedProvider) -> tuple[object, ...]:
    """Who cannot take the pod comes last."""
    price = one.prices.core_hour if one.awake_hour is None else one.awake_hour
    return one.unfit is not None, price, one.provider.owner, one.provider.daemon


_ORDERS: Mapping[ListOrder, Callable[[ListedProvider], tuple[object, ...]]] = {
    "price": _by_price,
    "region": lambda one: (one.provider.region, *_by_price(one)),
    "answer": lambda one: (one.answered_ms is None, one.answered_ms or 0, *_by_price(one)),
}


async def inspect(market: OpenMarket, choice: Choice) -> InspectResult:
    """What the one provider that *choice* means offers. Raises as its evidence or its silence demands."""
    row = one_row(await market.rows(), choice)
    async with open_host(None, []) as host, attest_row(host, row, market.policy(row.trust)) as proven:
        service = await _service_of(proven)
        return InspectResult(ProviderId.of(row), proven.verdict, proven.profile.capabilities, service)


FIGURES_OLD_S = HOUR_S
"""A daemon signs its figures every five minutes; clocks of two machines differ by less than this."""


async def _service_of(proven: Proven) -> ServiceFigures:
    """What it says of itself; that it says nothing, or what it did not sign, is an answer too."""
    try:
        figures = await ask_figures(proven)
    except TrustedPodsError as error:
        return ServiceFigures(error=ErrorReport.of(error))
    return ServiceFigures(figures, old=abs(time.time() - figures.at) > FIGURES_OLD_S)


@dataclass(frozen=True, slots=True)
class _Fit:
    """What the pod costs there, or why it cannot run there."""

    cost: Cost | None = None
    unfit: str | None = None


def _fits(
    market: OpenMarket, pod: "Pod", rows: list[RegistryRow], known: dict[int, "_Known"]
) -> dict[int, _Fit]:
    """How the pod would fare at the provider of each row, by the row's id()."""
    wanted = requirements_of(pod.manifest, pod.image_bytes, market.file.token, market.token)
    selection, ask = select(wanted, rows), admit_body(pod.manifest, pod.image_bytes)
    fits = {id(out.row): _Fit(unfit=out.reason) for out in selection.left_out}
    for offer in selection.offers:
        reason = why_not(ask, known[id(offer.row)].offered)
        fits[id(offer.row)] = _Fit(offer.cost) if reason is None else _Fit(unfit=reason)
    return fits


@dataclass(frozen=True, slots=True)
class _Known:
    """What a provider proved and offers, or why neither is known."""

    proof: "Verdict | ErrorReport"
    offered: Capabilities | TrustedPodsError
    answered_ms: int | None = None


async def _attest_all(market: OpenMarket, rows: list[RegistryRow], known: dict[int, _Known]) -> None:
    """What each row's provider proves into *known*, by the row's id().

    Whose row was written last is asked first: the others may be gone.
    """
    free = trio.Semaphore(LISTED_AT_ONCE)

    async def probe(host: "Host", row: RegistryRow) -> None:
        try:
            known[id(row)] = await _proof(market, host, row)
        finally:
            free.release()

    async with open_host(None, []) as host, open_nursery() as nursery:
        for row in sorted(rows, key=lambda row: row.updated_at, reverse=True):
            await free.acquire()
            nursery.start_soon(probe, host, row)


async def _proof(market: OpenMarket, host: "Host", row: RegistryRow) -> _Known:
    began = trio.current_time()
    proven = await proof_of(host, row, market.policy(row.trust))
    took_ms = round(1000 * (trio.current_time() - began))
    if isinstance(proven, TrustedPodsError):
        return _Known(ErrorReport.of(proven), proven)
    return _Known(proven.verdict, proven.profile.capabilities, took_ms)


_CORE_HOUR = Usage(cpu_core_ms=1000 * HOUR_S)
_GIB_HOUR = Usage(memory_mib_s=KIB * HOUR_S)
_GIB_MONTH = Usage(storage_mib_s=KIB * MONTH_S)
_GIB_OUT = Usage(egress_kib=KIB * KIB)
_GIB_IN = Usage(ingress_kib=KIB * KIB)


def _listed(row: RegistryRow, known: _Known | None, fit: _Fit) -> ListedProvider:
    return ListedProvider(
        provider=ProviderId.of(row),
        trust=row.trust,
        tee=tuple(row.tee),
        updated_at=row.updated_at,
        prices=ListPrices(
            core_hour=due(_CORE_HOUR, row.prices),
            gib_hour=due(_GIB_HOUR, row.prices),
            stored_gib_month=due(_GIB_MONTH, row.prices),
            egress_gib=due(_GIB_OUT, row.prices),
            ingress_gib=due(_GIB_IN, row.prices),
        ),
        least=row.least,
        proof=None if known is None else known.proof,
        unfit=fit.unfit,
        answered_ms=None if known is None else known.answered_ms,
        awake_hour=None if fit.cost is None else TokenUnits(fit.cost.awake_hour),
        asleep_hour=None if fit.cost is None else TokenUnits(fit.cost.asleep_hour),
    )

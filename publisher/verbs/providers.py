# SPDX-License-Identifier: Apache-2.0
"""`provider list`, `provider inspect`: the registry, the proof behind each row, and what each offers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import DAY_S, due
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.messages.capabilities import Capabilities
from trustedpods.protocol.net import open_host
from trustedpods.protocol.units import KIB, Usage
from trustedpods.publisher.core.deploy import admit_body
from trustedpods.publisher.core.money import HOUR_S
from trustedpods.publisher.core.select import Choice, requirements_of, select
from trustedpods.publisher.market.market import OpenMarket
from trustedpods.publisher.market.profiles import LISTED_AT_ONCE, proof_of, why_not
from trustedpods.publisher.market.session import attest_row
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.providers import (
    InspectResult,
    ListedProvider,
    ListPrices,
    ListProgress,
    ProviderId,
    ProvidersResult,
)
from trustedpods.publisher.verbs.attest import one_row

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.verdict import Verdict
    from trustedpods.protocol.net import Host
    from trustedpods.publisher.pod import Pod

MONTH_S = 30 * DAY_S


async def list_providers(
    market: OpenMarket, attest: bool, pod: "Pod | None" = None, progress: ListProgress | None = None
) -> ProvidersResult:
    """Every row, cheapest core first; with *attest*, what its evidence says, or that it did not come in time.

    With a *pod*, why it cannot run at each; they prove themselves for that too. *progress* has what is known
    meanwhile.
    """
    rows = await market.rows()
    known: dict[int, _Known] = {}
    ranked = sorted(rows, key=lambda row: (due(_CORE_HOUR, row.prices), row.owner, row.daemon))

    def made(unfit: Mapping[int, str | None]) -> ProvidersResult:
        return ProvidersResult(
            token=market.token,
            simulated=market.file.simulated_root is not None,
            providers=tuple(_listed(row, known.get(id(row)), unfit.get(id(row))) for row in ranked),
            pod=None if pod is None else pod.name,
        )

    if progress is not None:
        progress.made = lambda: made({})
    if attest or pod is not None:
        await _attest_all(market, rows, known)
    return made({} if pod is None else _unfit(market, pod, rows, known))


async def inspect(market: OpenMarket, choice: Choice) -> InspectResult:
    """What the one provider that *choice* means offers. Raises as its evidence or its silence demands."""
    row = one_row(await market.rows(), choice)
    async with open_host(None, []) as host, attest_row(host, row, market.policy(row.trust)) as proven:
        return InspectResult(ProviderId.of(row), proven.verdict, proven.profile.capabilities)


def _unfit(
    market: OpenMarket, pod: "Pod", rows: list[RegistryRow], known: dict[int, "_Known"]
) -> dict[int, str | None]:
    """Why the pod cannot run at the provider of each row, by the row's id(); None where it can."""
    wanted = requirements_of(pod.manifest, pod.image_bytes, market.file.token, market.token)
    left_out = {id(out.row): out.reason for out in select(wanted, rows).left_out}
    ask = admit_body(pod.manifest, pod.image_bytes)
    return {id(row): left_out.get(id(row)) or why_not(ask, known[id(row)].offered) for row in rows}


@dataclass(frozen=True, slots=True)
class _Known:
    """What a provider proved and offers, or why neither is known."""

    proof: "Verdict | ErrorReport"
    offered: Capabilities | TrustedPodsError


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
    proven = await proof_of(host, row, market.policy(row.trust))
    if isinstance(proven, TrustedPodsError):
        return _Known(ErrorReport.of(proven), proven)
    return _Known(proven.verdict, proven.profile.capabilities)


_CORE_HOUR = Usage(cpu_core_ms=1000 * HOUR_S)
_GIB_HOUR = Usage(memory_mib_s=KIB * HOUR_S)
_GIB_MONTH = Usage(storage_mib_s=KIB * MONTH_S)
_GIB_OUT = Usage(egress_kib=KIB * KIB)
_GIB_IN = Usage(ingress_kib=KIB * KIB)


def _listed(row: RegistryRow, known: _Known | None, unfit: str | None) -> ListedProvider:
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
        unfit=unfit,
    )

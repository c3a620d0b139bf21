# SPDX-License-Identifier: Apache-2.0
"""`provider list`: the registry, and on demand the proof behind each row."""

import trio

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import DAY_S, due
from trustedpods.protocol.attestation.verdict import Verdict
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.net import Host, open_host
from trustedpods.protocol.units import KIB, Usage
from trustedpods.publisher.core.money import HOUR_S
from trustedpods.publisher.market.market import OpenMarket
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.providers import (
    ListedProvider,
    ListPrices,
    ProviderId,
    ProvidersResult,
)
from trustedpods.publisher.verbs.attest import prove

PROBES = 8
"""Providers dialled at once."""

MONTH_S = 30 * DAY_S


async def list_providers(market: OpenMarket, attest: bool) -> ProvidersResult:
    """Every row, cheapest core first; with *attest*, what its evidence says."""
    rows = await market.rows()
    proofs = await _attest_all(market, rows) if attest else {}
    ranked = sorted(rows, key=lambda row: (due(_CORE_HOUR, row.prices), row.owner, row.daemon))
    return ProvidersResult(
        token=market.token,
        simulated=market.file.simulated_root is not None,
        providers=tuple(_listed(row, proofs.get(id(row))) for row in ranked),
    )


async def _attest_all(market: OpenMarket, rows: list[RegistryRow]) -> dict[int, Verdict | ErrorReport]:
    """What each row's provider proves, by the row's id()."""
    found: dict[int, Verdict | ErrorReport] = {}
    limit = trio.CapacityLimiter(PROBES)

    async def probe(host: Host, row: RegistryRow) -> None:
        async with limit:
            found[id(row)] = await _proof(market, host, row)

    async with open_host(None, []) as host, open_nursery() as nursery:
        for row in rows:
            nursery.start_soon(probe, host, row)
    return found


async def _proof(market: OpenMarket, host: Host, row: RegistryRow) -> Verdict | ErrorReport:
    try:
        return await prove(market, host, row)
    except TrustedPodsError as error:
        return ErrorReport.of(error)


_CORE_HOUR = Usage(cpu_core_ms=1000 * HOUR_S)
_GIB_HOUR = Usage(memory_mib_s=KIB * HOUR_S)
_GIB_MONTH = Usage(storage_mib_s=KIB * MONTH_S)
_GIB_OUT = Usage(egress_kib=KIB * KIB)
_GIB_IN = Usage(ingress_kib=KIB * KIB)


def _listed(row: RegistryRow, proof: Verdict | ErrorReport | None) -> ListedProvider:
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
        proof=proof,
    )

# SPDX-License-Identifier: Apache-2.0
"""`provider list`: the registry, and on demand the proof behind each row."""

import trio

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import DAY_S, due
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.net import Host, open_host
from trustedpods.protocol.units import KIB, Usage
from trustedpods.publisher.context import MarketFile
from trustedpods.publisher.core.money import HOUR_S, Token
from trustedpods.publisher.journal import Journal, error_facts
from trustedpods.publisher.market.candidates import provider_name
from trustedpods.publisher.market.market import OpenMarket, open_market
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.verbs.attest import prove

PROBES = 8
"""Providers dialled at once."""

MONTH_S = 30 * DAY_S


async def list_providers(file: MarketFile, attest: bool, journal: Journal) -> None:
    """Every row, cheapest core first; with *attest*, what its evidence says."""
    async with open_market(file) as market:
        rows = await market.rows()
        evidence = await _attest_all(market, rows) if attest else {}
    ranked = sorted(rows, key=lambda row: (_units(row.prices, _CORE_HOUR), row.owner, row.daemon))
    journal.result |= {
        "token": market.token.symbol,
        "simulated": file.simulated_root is not None,
        "providers": [_row_facts(row, market.token) | evidence.get(id(row), {}) for row in ranked],
    }


async def _attest_all(market: OpenMarket, rows: list[RegistryRow]) -> dict[int, dict[str, object]]:
    """What each row's provider proves, by the row's id()."""
    found: dict[int, dict[str, object]] = {}
    limit = trio.CapacityLimiter(PROBES)

    async def probe(host: Host, row: RegistryRow) -> None:
        async with limit:
            found[id(row)] = await _proof(market, host, row)

    async with open_host(None, []) as host, open_nursery() as nursery:
        for row in rows:
            nursery.start_soon(probe, host, row)
    return found


async def _proof(market: OpenMarket, host: Host, row: RegistryRow) -> dict[str, object]:
    try:
        return await prove(market, host, row)
    except TrustedPodsError as error:
        return {"evidence": f"{error.code}: {error}", "error": error_facts(error)}


_CORE_HOUR = Usage(cpu_core_ms=1000 * HOUR_S)
_GIB_HOUR = Usage(memory_mib_s=KIB * HOUR_S)
_GIB_MONTH = Usage(storage_mib_s=KIB * MONTH_S)
_GIB_OUT = Usage(egress_kib=KIB * KIB)


def _units(prices: Prices, usage: Usage) -> int:
    return due(usage, prices)


def _row_facts(row: RegistryRow, token: Token) -> dict[str, object]:
    return {
        "name": provider_name(row),
        "owner": row.owner,
        "daemon": row.daemon,
        "class": row.trust,
        "region": row.region,
        "tee": row.tee,
        "endpoint": row.endpoint,
        "updated_at": row.updated_at,
        "core_hour": token.number(_units(row.prices, _CORE_HOUR)),
        "gib_hour": token.number(_units(row.prices, _GIB_HOUR)),
        "stored_gib_month": token.number(_units(row.prices, _GIB_MONTH)),
        "egress_gib": token.number(_units(row.prices, _GIB_OUT)),
        "ingress_gib": token.number(_units(row.prices, Usage(ingress_kib=KIB * KIB))),
        "least_deposit": token.number(row.least.deposit),
        "unlock_s": row.least.unlock_s,
        "idle_mib": row.least.idle_mib,
    }

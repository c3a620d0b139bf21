# SPDX-License-Identifier: Apache-2.0
"""How long the Python client takes to list a full registry, and to find one row in a hundred.

    python -m tests.bench.registry [--rows 10000] [--runs 7]

A real anvil on loopback, the contract as it is deployed. Ends with code 1 when the best run of a
limited row takes over 0.2 s (what else runs on the machine only adds). Prints a table for
docs/benchmarks.md.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

import trio

from tests.contracts.node.anvil import FUNDED_KEY, Anvil, running_anvil
from tests.contracts.node.many_rows import OPTIONS, REGIONS, fill, region_of
from trustedpods.contracts.client import Chain
from trustedpods.contracts.deploy import deploy
from trustedpods.contracts.registry_rows import RegistryRow, RowFilter

LIMIT_S = 0.2
WARM_UP = 2
"""Runs before the measured ones: connections are opened and the node's caches filled."""


async def timed(what: Callable[[], Awaitable[list[RegistryRow]]], runs: int) -> tuple[list[float], int]:
    """Seconds of each run, and how many rows came."""
    seconds, count = [], 0
    for run in range(runs + WARM_UP):
        began = time.perf_counter()
        count = len(await what())
        if run >= WARM_UP:
            seconds.append(time.perf_counter() - began)
    return seconds, count


async def measure(chain: Chain, rows: int, runs: int) -> bool:
    """Print the table; whether the limits are kept."""

    async def decoded() -> list[RegistryRow]:
        found = await chain.providers()
        for row in found:
            assert row.owner
            assert row.endpoint
            assert row.prices.scale
            assert row.least.unlock_s
        return found

    async def selected() -> list[RegistryRow]:
        return await chain.select(RowFilter(region=region_of(7)))

    lines = [
        ("all rows listed (fields are decoded when asked for)", chain.providers, rows, True),
        ("a filter on the node that hits one in a hundred", selected, rows // REGIONS, True),
        ("all rows listed, and owner, endpoint, prices, terms of each decoded", decoded, rows, False),
    ]
    print("| what | rows | median | min-max | runs |\n|---|---|---|---|---|")
    kept = True
    for what, call, expected, limited in lines:
        seconds, count = await timed(call, runs)
        assert count == expected, (what, count)
        middle = statistics.median(seconds)
        kept = kept and (not limited or min(seconds) <= LIMIT_S)
        print(f"| {what} | {count} | {middle:.3f} s | {min(seconds):.3f}-{max(seconds):.3f} | {runs} |")
    return kept


async def run(anvil: Anvil, rows: int, runs: int) -> bool:
    market = await deploy(anvil.url, FUNDED_KEY, 6)
    began = time.perf_counter()
    await trio.to_thread.run_sync(fill, anvil, market, rows)
    print(f"{rows} rows written in {time.perf_counter() - began:.1f} s\n")
    async with Chain(anvil.url, market) as chain:
        return await measure(chain, rows, runs)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=10_000)
    arguments.add_argument("--runs", type=int, default=7)
    options = arguments.parse_args()
    with running_anvil(*OPTIONS) as anvil:
        kept = trio.run(run, anvil, options.rows, options.runs)
    sys.exit(0 if kept else f"a limit of {LIMIT_S} s is not kept")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Verbs on the market: provider list."""

from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, common

if TYPE_CHECKING:
    from trustedpods.publisher.results.providers import ProvidersResult


@click.group()
def provider() -> None:
    """Look at the providers of the market."""


@provider.command(
    name="list",
    epilog="""\b
Examples:
  trustedpods provider list
  trustedpods provider list --attest -o json
""",
)
@click.option("--attest", is_flag=True, help="Dial each one and verify its evidence.")
@common
def list_(options: Common, attest: bool) -> None:
    """All providers in the registry with their prices. A row is a claim; --attest asks for proof."""
    run = Run(options)

    async def work() -> "ProvidersResult":
        file = run.market()
        from trustedpods.publisher.market.market import open_market
        from trustedpods.publisher.verbs.providers import list_providers

        async with open_market(file) as market:
            return await list_providers(market, attest)

    def lines(result: "ProvidersResult") -> list[str]:
        from trustedpods.publisher.commands.lines import provider_lines

        return provider_lines(result)

    run.finish(work, lines)

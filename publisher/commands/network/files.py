# SPDX-License-Identifier: Apache-2.0
"""`network init`: what a person types about a network's file before anybody is asked."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, common

if TYPE_CHECKING:
    from trustedpods.publisher.results.networks import NetworkDraftResult
    from trustedpods.publisher.verbs.drafts.network_file import WhatIsThere


@click.command(
    "init",
    epilog="""\b
Examples:
  trustedpods network init --kind clique --nodes 3
  trustedpods network init clique-5 --kind clique --nodes 5 --keep
""",
)
@click.argument("name", required=False)
@click.option("--kind", required=True, metavar="KIND", help="Of chain: clique.")
@click.option("--nodes", type=click.IntRange(min=1), default=3, show_default=True, help="That sign.")
@click.option("--keep", is_flag=True, help="Leave what is there already, and make the rest.")
@click.option("--overwrite", is_flag=True, help="Make all anew, keys too: another network.")
@common
def init(options: Common, name: str | None, kind: str, nodes: int, *, keep: bool, overwrite: bool) -> None:
    """Write a network's first file, NAME.yaml, and the folder NAME with its nodes' keys, here.

    Without NAME it is called after its kind and size. Nothing that is there is written over without a word.
    """
    run = Run(options)
    if keep and overwrite:
        raise click.UsageError("either --keep or --overwrite")
    there: WhatIsThere = "keep" if keep else "overwrite" if overwrite else "refuse"

    def work() -> "NetworkDraftResult":
        from trustedpods.publisher.verbs.drafts.network_file import init_network

        return init_network(kind, nodes, Path(), name, there)

    def lines(result: "NetworkDraftResult") -> list[str]:
        return [
            *(f"{path} was written" for path in result.written),
            *(f"{path} stays as it was" for path in result.kept),
            f"images that it needs here: {', '.join(f'{image}.tar' for image in result.images)}",
            f"then: trustedpods validate {result.file}, network connect {result.network}, network apply",
        ]

    run.guard(work, lines)

# SPDX-License-Identifier: Apache-2.0
"""`network init` and `render`: what a person types about a network's file before anything is deployed."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.network.network import cluster_option, known_clusters
from trustedpods.publisher.commands.options import Common, Run, common

if TYPE_CHECKING:
    from trustedpods.publisher.results.networks import NetworkDraftResult, NetworkRenderResult
    from trustedpods.publisher.verbs.drafts.network_file import WhatIsThere


@click.command(
    "init",
    epilog="""\b
Examples:
  trustedpods network init --kind clique --nodes 3
  trustedpods network init clique-5 --kind clique --nodes 5 --keep
  trustedpods network init --kind cometbft --nodes 4
""",
)
@click.argument("name", required=False)
@click.option("--kind", required=True, metavar="KIND", help="Of chain: clique or cometbft.")
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


@click.command(
    "render",
    epilog="""\b
Examples:
  trustedpods network render network.yaml
  trustedpods network render network.yaml node-2 --objects
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("nodes", nargs=-1, metavar="[NODE]...")
@click.option(
    "--objects", is_flag=True, help="The Kubernetes objects too, as each node's provider makes them."
)
@cluster_option
@common
def render(
    options: Common, file: Path, nodes: tuple[str, ...], clusters: tuple[str, ...], *, objects: bool
) -> None:
    """What each NODE of a network's FILE becomes (or all of them): its pod's manifest, as YAML.

    With --objects its provider is asked too, as `render` does: nothing is paid or kept, no file leaves this
    machine. Secrets' values are never shown.
    """
    run = Run(options)

    async def work() -> "NetworkRenderResult":
        from trustedpods.manifests.network.load import load_network
        from trustedpods.publisher.context import cache_dir

        load_network(file, lambda loaded: loaded)
        key = run.key() if objects else run.key_if_any()
        from trustedpods.protocol.ids import parse_address
        from trustedpods.publisher.verbs.networks.files import read_network

        with run.opening() as opening:
            who = parse_address(NOBODY) if key is None else key.address
            read = read_network(file, cache_dir(), who, opening)
        from trustedpods.publisher.verbs.networks.rendering import render_manifests, render_objects

        made = render_manifests(read, nodes)
        if key is None or not objects:
            return made
        known, market = known_clusters(clusters), run.market()
        from trustedpods.publisher.market.market import open_account

        async with open_account(market, key) as account:
            return await render_objects(account, read, known, nodes, run.journal)

    run.finish(work, rendered_lines)


NOBODY = "0x0000000000000000000000000000000000000000"
"""The founder of a file that names none, where no key says who would be: pods' names are made up then."""


def rendered_lines(result: "NetworkRenderResult") -> list[str]:
    """YAML, a document for each manifest and each object, under a comment for each node."""
    from trustedpods.publisher.commands.yaml_text import documents

    lines = []
    for one in result.nodes:
        lines.append(f"# node {one.node}: pod {one.pod}")
        lines += documents([one.manifest]).splitlines()
        if one.provider is not None:
            lines.append(f"# node {one.node} at {one.provider.name}; values of secrets are not shown")
            lines += documents(one.objects).splitlines()
    return lines

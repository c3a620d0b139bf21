# SPDX-License-Identifier: Apache-2.0
"""`convert`: files of other formats as manifests."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.manifests.init import print_draft
from trustedpods.publisher.commands.options import Common, common, pod_name

if TYPE_CHECKING:
    from trustedpods.publisher.results.validated import DraftResult


@click.command(
    epilog="""\b
Examples:
  trustedpods convert compose.yaml
  trustedpods convert compose.yaml -f - | less
  trustedpods convert old/pod.yml -f old/pod.yaml --name web -o json
"""
)
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    help="Where to write; else pod.yaml beside FILE. -: print.",
)
@click.option("--name", metavar="NAME", callback=pod_name, help="The pod's; else as FILE or its folder.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@common
def convert(options: Common, source: Path, file: Path | None, name: str | None, *, force: bool) -> None:
    """Write a manifest for a Compose FILE, or for a pod of the Go implementation.

    Each field is converted, or refused in one line that says what to write instead. What is made up, or left
    out because it changes nothing here, is told. Talks to nobody.
    """

    def work() -> "DraftResult":
        from trustedpods.publisher.verbs.drafts.converted import convert

        return convert(source, file or source.parent / "pod.yaml", name, force=force)

    print_draft(options, work)

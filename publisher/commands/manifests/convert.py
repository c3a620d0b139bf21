# SPDX-License-Identifier: Apache-2.0
"""`convert`: files of other formats as manifests."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.manifests.init import print_draft
from trustedpods.publisher.commands.options import Common, Run, named, pod_name

if TYPE_CHECKING:
    from trustedpods.publisher.results.validated import DraftResult


@click.command(
    epilog="""\b
Examples:
  trustedpods convert compose.yaml
  trustedpods convert compose.yaml -f - | less
  trustedpods convert compose.yaml --env-file production.env
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
@click.option(
    "--env-file",
    "env_files",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Variables of a Compose file; else .env beside it.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@named
def convert(
    options: Common,
    source: Path,
    file: Path | None,
    name: str | None,
    env_files: tuple[Path, ...],
    *,
    force: bool,
) -> None:
    """Write a manifest for a Compose FILE, or for a pod of the Go implementation.

    Each field is converted, or refused in one line that says what to write instead. What is made up, or left
    out because it changes nothing here, is told. Variables of a Compose file come from the shell, then from
    `.env` beside it; those that are set nowhere are named. Talks to nobody.
    """

    def work() -> "DraftResult":
        from trustedpods.publisher.verbs.drafts.converted import convert

        place = file or source.parent / "pod.yaml"
        return convert(source, place, name, force=force, shell=os.environ, env_files=env_files)

    print_draft(Run(options), work)

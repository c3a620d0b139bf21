# SPDX-License-Identifier: Apache-2.0
"""The verb `cp`: files and folders between this machine and a pod."""

from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, located

if TYPE_CHECKING:
    from trustedpods.publisher.results.streams.copied import CopyResult


@click.command(
    "cp",
    epilog="""\b
Examples:
  trustedpods cp web:/var/log/app.log .
  trustedpods cp ./site web:/srv/
  trustedpods cp settings.json web:/tmp/config.json -c app
""",
)
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
@click.option("-c", "--container", metavar="NAME", help="Another container than the pod's first.")
@click.option("--replica", metavar="NAME|N", help="Another replica than the newest one that is ready.")
@located
def cp(options: Common, source: str, target: str, container: str | None, replica: str | None) -> None:
    """Copy a file or folder out of a pod that runs, or into it: one of SOURCE and TARGET is NAME:/path.

    The container needs a `tar`. A TARGET in a pod that ends with / is a folder to copy into; here, one that
    is there. Nothing is written outside of the target: links out of what is copied are left out, and said,
    both ways.
    """
    run = Run(options)

    async def work() -> "CopyResult":
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.streams.copying import CopyOptions, copy

        where = CopyOptions(container, replica)
        async with opening as account:
            return await copy(account, source, target, where, VisitProgress(), run.journal)

    run.finish(work, lambda done: [copied_line(done)])


def copied_line(result: "CopyResult") -> str:
    """What was copied, for a person."""
    files = f"{result.files} file{'' if result.files == 1 else 's'}"
    return f"{result.source} -> {result.target}: {files}, {result.size / 1e6:.1f} MB"

# SPDX-License-Identifier: Apache-2.0
"""`open`: a pod's address in a browser."""

import os
import sys
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, common, pod_name
from trustedpods.publisher.commands.page.browser import has_browser, open_link
from trustedpods.publisher.commands.shell.completion import complete_pod

if TYPE_CHECKING:
    from trustedpods.publisher.results.streams.opened import OpenedPod


@click.command(
    name="open",
    epilog="""\b
Examples:
  trustedpods open web
  trustedpods open web --service admin
  curl "$(trustedpods open web --print)"
""",
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.option("--service", metavar="NAME", help="One of several services that are reached by http.")
@click.option("--print", "only_print", is_flag=True, help="Print the address, and open nothing.")
@common
def open_(options: Common, name: str, service: str | None, *, only_print: bool) -> None:
    """Open the address of the pod NAME in a browser of this machine.

    The address is the one that the pod's attested provider signed. Without a display, or where the output is
    no terminal, it is only printed. A pod that sleeps wakes up by the browser's request.
    """
    run = Run(options)

    async def work() -> "OpenedPod":
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.results.streams.opened import OpenedPod
        from trustedpods.publisher.verbs.pods import status

        run.progress = progress = VisitProgress()
        async with opening as account:
            found = OpenedPod.of(await status(account, name, progress, run.journal), service)
        shows = not (only_print or options.as_json) and _somebody_looks()
        return found.shown() if shows and await open_link(found.url) else found

    run.finish(work, lambda result: [result.line])


def _somebody_looks() -> bool:
    """Whether a person is at this terminal, and has a display: neither a pipe nor ssh opens windows."""
    return sys.stdout.isatty() and has_browser(os.environ)

# SPDX-License-Identifier: Apache-2.0
"""`top`: what pods hold now."""

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, named, pod_name
from trustedpods.publisher.commands.shell.completion import complete_pod

if TYPE_CHECKING:
    from trustedpods.publisher.results.pods import TopResult


@click.command(
    epilog="""\b
Examples:
  trustedpods top
  trustedpods top web -o json
  trustedpods top --watch --interval 10s
"""
)
@click.argument("name", required=False, callback=pod_name, shell_complete=complete_pod)
@click.option("-w", "--watch", "watching", is_flag=True, help="Again and again, on a terminal, until Ctrl-C.")
@click.option("--interval", metavar="DURATION", default="5s", show_default=True, help="Between two looks.")
@named
def top(options: Common, name: str | None, *, watching: bool, interval: str) -> None:
    """Replicas of all pods or of NAME now, the CPU and memory that they hold, and how long the money lasts.

    A replica holds, and pays for, its limits, whether it uses them or not. Those that hold most come first.
    """
    run = Run(options)
    if watching and (options.as_json or not sys.stdout.isatty()):
        raise click.UsageError("--watch is for a terminal; a program calls `top -o json` again")

    def lines(result: "TopResult") -> list[str]:
        from trustedpods.publisher.commands.running.top_lines import top_lines

        return top_lines(result, wide=options.form == "wide")

    async def work() -> "TopResult":
        from trustedpods.publisher.core.money import parse_duration

        pause_s = parse_duration(interval, "--interval")
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.running.top import top

        run.progress = progress = VisitProgress()
        async with opening as account:

            async def look() -> "TopResult":
                return await top(account, name, progress, run.journal)

            return await (_again_and_again(run, look, lines, pause_s) if watching else look())

    run.finish(work, lines)


async def _again_and_again(
    run: Run,
    look: "Callable[[], Awaitable[TopResult]]",
    lines: "Callable[[TopResult], list[str]]",
    pause_s: float,
) -> "TopResult":
    """Each look in the place of the one before, until Ctrl-C; one that comes to nothing is said."""
    import trio

    from trustedpods.protocol.errors import NetworkFailure
    from trustedpods.publisher.output.terminal import print_lines

    while True:
        try:
            shown = lines(await look())
        except NetworkFailure as error:
            run.show.warning(f"this look came to nothing: {error}")
        else:
            click.clear()
            print_lines(shown)
        run.journal.steps.clear()
        run.journal.events.clear()
        await trio.sleep(pause_s)

# SPDX-License-Identifier: Apache-2.0
"""`events` and `usage`: what happened to a pod, and what it used."""

from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, common, pod_name
from trustedpods.publisher.commands.shell.completion import complete_pod

if TYPE_CHECKING:
    from trustedpods.publisher.results.pods import EventsResult, UsageResult


@click.command(
    epilog="""\b
Examples:
  trustedpods events web
  trustedpods events web -o json
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@common
def events(options: Common, name: str) -> None:
    """What happened to the pod NAME, oldest first, as its provider remembers it."""
    run = Run(options)

    async def work() -> "EventsResult":
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.running.history import events

        run.progress = progress = VisitProgress()
        async with opening as account:
            return await events(account, name, progress, run.journal)

    def lines(result: "EventsResult") -> list[str]:
        from trustedpods.publisher.commands.lines.pods import event_lines

        return event_lines(result.events)

    run.finish(work, lines)


@click.command(
    epilog="""\b
Examples:
  trustedpods usage web
  trustedpods usage web -o json
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@common
def usage(options: Common, name: str) -> None:
    """What the pod NAME used, by day, what that cost, and what a month costs at this rate.

    Ends with code 3 when something does not agree: `bill` says what.
    """
    run = Run(options)

    async def work() -> "UsageResult":
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.running.history import usage

        run.progress = progress = VisitProgress()
        async with opening as account:
            return await usage(account, name, progress, run.journal)

    def lines(result: "UsageResult") -> list[str]:
        from trustedpods.publisher.commands.lines.money import usage_lines

        return usage_lines(result)

    if run.finish(work, lines).problems:
        raise SystemExit(3)

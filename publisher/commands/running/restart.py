# SPDX-License-Identifier: Apache-2.0
"""`restart`: new replicas of the version that serves."""

import sys
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import (
    TURN_HELP,
    Common,
    Run,
    confirmed,
    named,
    pod_name,
    wait_seconds,
    waits,
)
from trustedpods.publisher.commands.shell.completion import complete_pod

if TYPE_CHECKING:
    from trustedpods.publisher.results.deployed import RestartPlanResult, RestartResult


@click.command(
    epilog="""\b
Examples:
  trustedpods restart web
  trustedpods restart web --dry-run
  trustedpods restart db --yes
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@waits(TURN_HELP)
@click.option("--dry-run", is_flag=True, help="Only say what would be done: exit code 10.")
@click.option("-y", "--yes", is_flag=True, help="Start it anew without being asked.")
@named
def restart(options: Common, name: str, wait: str | None, *, dry_run: bool, yes: bool) -> None:
    """Start the pod NAME anew, with all its containers, from the bundle that its provider has.

    New replicas are proven beside those that run, and no request fails where an update would fail none. A pod
    that writes a volume ends first. What is done is said first, and asked on a terminal. Nothing is sent
    again, so it works from any machine with the key.
    """
    run = Run(options)

    def agree(plan: "RestartPlanResult") -> bool:
        return confirmed(run, f"Start {plan.pod} anew?", plan.lines[:1])

    async def work() -> "RestartResult | RestartPlanResult":
        opening = run.account(wait_seconds(wait))
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.running.restart import restart, restart_plan

        run.progress = progress = VisitProgress()
        asks = sys.stdin.isatty() and not (yes or options.as_json)
        async with opening as account:
            if dry_run:
                return await restart_plan(account, name, run.journal)
            return await restart(account, name, agree if asks else None, progress, run.journal)

    def lines(result: "RestartResult | RestartPlanResult") -> list[str]:
        from trustedpods.publisher.results.deployed import RestartPlanResult

        if isinstance(result, RestartPlanResult):
            return result.lines
        return [endpoint.url for endpoint in result.confirmed.endpoints]

    run.finish(work, lines)
    if dry_run:
        from trustedpods.protocol.errors import ExitCode

        raise SystemExit(int(ExitCode.PLAN_HAS_CHANGES))

# SPDX-License-Identifier: Apache-2.0
"""`rollback`: back to an earlier version of a pod."""

from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import (
    WAIT_HELP,
    Common,
    Run,
    agreement,
    named,
    pod_name,
    wait_seconds,
    waits,
)
from trustedpods.publisher.commands.shell.completion import complete_pod

if TYPE_CHECKING:
    from trustedpods.publisher.results.deployed import DeployResult, VersionsResult


@click.command(
    epilog="""\b
Examples:
  trustedpods rollback web
  trustedpods rollback web --list
  trustedpods rollback web 1795946400000 --yes
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.argument("generation", type=click.IntRange(min=0), required=False)
@waits(WAIT_HELP)
@click.option("--list", "listing", is_flag=True, help="Only list the versions that can be gone back to.")
@click.option("-y", "--yes", is_flag=True, help="Change what runs without being asked.")
@named
def rollback(
    options: Common, name: str, generation: int | None, wait: str | None, *, listing: bool, yes: bool
) -> None:
    """Let an earlier version of the pod NAME run again: the one before, or that of GENERATION.

    Versions that proved themselves are kept on the machine that deployed them, sealed with the key. What
    changes is shown, and asked on a terminal; the version that runs goes on until the other one is proven, as
    in any update.
    """
    run = Run(options)

    async def work() -> "DeployResult | VersionsResult":
        opening = run.account(wait_seconds(wait))
        from trustedpods.publisher.results.deployed import DeployProgress
        from trustedpods.publisher.verbs.deploy import PATIENCE_S
        from trustedpods.publisher.verbs.running.rollback import RollbackOptions, rollback, versions

        run.progress = progress = DeployProgress()
        async with opening as account:
            if listing:
                return await versions(account, name, run.journal)
            agree = None if yes else agreement(run, without_terminal=True)
            wanted = RollbackOptions(generation, agree, wait_seconds(wait, PATIENCE_S))
            return await rollback(account, name, wanted, progress, run.journal)

    def lines(result: "DeployResult | VersionsResult") -> list[str]:
        from trustedpods.publisher.commands.lines.pods import version_lines
        from trustedpods.publisher.results.deployed import VersionsResult

        if isinstance(result, VersionsResult):
            return version_lines(result)
        return [endpoint.url for endpoint in result.confirmed.endpoints]

    run.finish(work, lines)

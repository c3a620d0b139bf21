# SPDX-License-Identifier: Apache-2.0
"""`stop` and `start`: a pod that does not run until it is wanted again."""

from typing import TYPE_CHECKING, Literal

import click

from trustedpods.publisher.commands.options import Common, Run, named, pod_name, wait_seconds
from trustedpods.publisher.commands.shell.completion import complete_pod

if TYPE_CHECKING:
    from trustedpods.publisher.results.pods import StoppedPod


@click.command(
    epilog="""\b
Examples:
  trustedpods stop web
  trustedpods stop db --wait 5m
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.option(
    "--wait",
    default="60s",
    metavar="DURATION",
    show_default=True,
    help="How long its replicas may take to end, and another verb here to let the pod go; 0s waits for none.",
)
@named
def stop(options: Common, name: str, wait: str) -> None:
    """Let the pod NAME have no replica until `start`; its volumes, address and money stay.

    Requests get a page that says so, and nothing wakes it. It pays for what is kept: volumes and image. It
    stays stopped whatever happens meanwhile: a restart of its provider, an update, money that ends and comes.
    """
    _turn(options, name, "stop", wait)


@click.command(
    epilog="""\b
Examples:
  trustedpods start web
  trustedpods start db --wait 0s
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.option(
    "--wait",
    default="5m",
    metavar="DURATION",
    show_default=True,
    help="How long it may take until it is ready, and another verb here to let the pod go; 0s does not wait.",
)
@named
def start(options: Common, name: str, wait: str) -> None:
    """Let the pod NAME run again, which `stop` stopped.

    A pod with a least number of replicas comes up, and is waited for; any other sleeps until it is asked for.
    """
    _turn(options, name, "start", wait)


def _turn(options: Common, name: str, verb: Literal["stop", "start"], wait: str) -> None:
    run = Run(options)

    async def work() -> "StoppedPod":
        wait_s = wait_seconds(wait)
        opening = run.account(wait_s)
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.running import stopping

        run.progress = progress = VisitProgress()
        async with opening as account:
            act = stopping.stop if verb == "stop" else stopping.start
            return await act(account, name, progress, run.journal, wait_s)

    run.finish(work, lambda result: result.lines)

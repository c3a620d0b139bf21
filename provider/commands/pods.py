# SPDX-License-Identifier: Apache-2.0
"""Verbs on the pods of the running daemon: pods, top, health, evict, disclose, drain."""

from pathlib import Path

import click

from trustedpods.provider.commands.ask import ask, remote_option
from trustedpods.provider.commands.options import config_option, explained, output_option
from trustedpods.provider.commands.output import show, show_rows


@click.command()
@config_option
@remote_option
@click.option("--all", "everything", is_flag=True, help="The ended ones too.")
@output_option
@explained
def pods(config_path: Path, remote: str | None, everything: bool, output: str) -> None:
    """List the pods of the running daemon: numbers, and why one is not as it was asked for."""
    from trustedpods.provider.admin.views import PodList, PodsRequest

    found = ask(config_path, PodsRequest(all=everything), PodList, remote)
    show_rows([pod.plain() for pod in found.pods], output)


@click.command()
@config_option
@remote_option
@click.option(
    "--every", "every_s", type=click.FloatRange(min=0.2), default=2.0, show_default=True, help="Seconds."
)
@output_option
@explained
def top(config_path: Path, remote: str | None, every_s: float, output: str) -> None:
    """Show what the pods do now, the busiest first; without a terminal, once."""
    from trustedpods.provider.admin.views import Overview, OverviewRequest

    def overview() -> Overview:
        return ask(config_path, OverviewRequest(), Overview, remote)

    if output == "json":
        show(overview().plain(), output)
        return
    import time

    from trustedpods.provider.admin.top import watch

    watch(overview, time.monotonic, time.sleep, every_s)


@click.command()
@config_option
@remote_option
@output_option
@explained
def health(config_path: Path, remote: str | None, output: str) -> None:
    """Tell how the daemon fares: pods, room, wakes, claims, gas, disk, certificates. Numbers only."""
    from trustedpods.provider.admin.reports.health_views import Health, HealthRequest

    show(ask(config_path, HealthRequest(), Health, remote).plain(), output)


@click.command()
@config_option
@remote_option
@click.argument("target", metavar="HOST|IP|LABEL")
@click.option("--reason", required=True, help="Why; the pod's publisher reads it in `status`.")
@click.option("--deny", is_flag=True, help="Take no pod of its publisher's key any more.")
@output_option
@explained
def evict(config_path: Path, remote: str | None, target: str, reason: str, deny: bool, output: str) -> None:
    """Send a pod away: claim what is due, remove it with its volumes, refund the rest of the deposit."""
    from trustedpods.provider.admin.views import Evicted, EvictRequest

    found = ask(config_path, EvictRequest(target=target, reason=reason, deny=deny), Evicted, remote)
    show_rows([pod.plain() for pod in found.pods], output)


@click.command()
@config_option
@click.argument("target", metavar="HOST|IP|LABEL|CHANNEL")
@output_option
@explained
def disclose(config_path: Path, target: str, output: str) -> None:
    """Tell what is known of a pod, for an authority: whose it is, channel, times and sizes; no content."""
    from trustedpods.provider.admin.reports.disclosure_views import DiscloseRequest, Disclosure

    show(ask(config_path, DiscloseRequest(target=target), Disclosure).plain(), output)


@click.command()
@config_option
@remote_option
@click.option("--reason", default="maintenance", show_default=True, help="Why; publishers read it.")
@click.option(
    "--hours",
    type=click.IntRange(1, 366 * 24),
    help="Let pods run so long; their publishers are told until when. Said again the time counts anew.",
)
@click.option(
    "--undo", "--cancel", "undo", is_flag=True, help="Take pods in again; those that are here stay."
)
@output_option
@explained
def drain(
    config_path: Path, remote: str | None, reason: str, hours: int | None, undo: bool, output: str
) -> None:
    """Take no pods any more; claim what is due, and send all away that are here, at once or in some hours."""
    from trustedpods.provider.admin.views import DrainRequest, Evicted

    if undo and hours is not None:
        raise click.UsageError("--hours and --undo are two different things: give one of them")
    found = ask(config_path, DrainRequest(reason=reason, undo=undo, hours=hours), Evicted, remote)
    show_rows([pod.plain() for pod in found.pods], output)

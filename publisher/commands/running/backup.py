# SPDX-License-Identifier: Apache-2.0
"""`backup` and `restore`: the volumes of a pod into a store, and back into volumes that wait for them."""

from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, named, pod_name, wait_seconds
from trustedpods.publisher.commands.shell.completion import complete_pod

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trustedpods.publisher.results.backups.volumes import (
        BackedUpVolume,
        BackupScheduleResult,
        VolumeBackupResult,
        VolumeBackupsResult,
    )
    from trustedpods.publisher.results.pods import VolumeRestoreResult
    from trustedpods.publisher.verbs.running.backup import BackupOptions

_STORE = click.option(
    "--store",
    metavar="DIR|s3://BUCKET/WORDS",
    help="Where backups are kept (else where the pod's schedule or its last backup has them).",
)


@click.command(
    epilog="""\b
Examples:
  trustedpods backup redis --store ~/backups --keep 7
  trustedpods backup redis --store ~/backups --quiesce "redis-cli save"
  trustedpods backup node --store ~/backups --volume data --exclude "*.tmp" -c shell
  trustedpods backup redis --store s3://shop/backups --every 1d --keep 7
  trustedpods backup redis --every off
  trustedpods backup redis --store ~/backups --list
  trustedpods backup redis --store ~/backups --verify
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@_STORE
@click.option("--volume", "volumes", metavar="NAME", multiple=True, help="This volume only; more than once.")
@click.option("-c", "--container", metavar="NAME", help="Read in this container, which has tar.")
@click.option("--exclude", metavar="PATTERN", multiple=True, help="Paths that tar leaves out.")
@click.option("--quiesce", metavar="CMD", default="", help="Run before each replica's volumes are read.")
@click.option("--resume", metavar="CMD", default="", help="Run after that, also where it failed.")
@click.option("--keep", metavar="N", type=click.IntRange(min=1), help="Remove all but the newest N after it.")
@click.option(
    "--every",
    metavar="DURATION|off",
    help="Make none now: let `trustedpods watch` make them, each so long after the other.",
)
@click.option("--list", "listing", is_flag=True, help="Only list the backups that are there.")
@click.option("--verify", is_flag=True, help="Only check every byte of BACKUP, or of the newest.")
@click.option("--backup", "chosen", metavar="BACKUP", help="Which one to verify.")
@named
def backup(  # noqa: PLR0913, PLR0917 - click hands them over one by one
    options: Common,
    name: str,
    store: str | None,
    volumes: tuple[str, ...],
    container: str | None,
    exclude: tuple[str, ...],
    quiesce: str,
    resume: str,
    keep: int | None,
    every: str | None,
    listing: bool,
    verify: bool,
    chosen: str | None,
) -> None:
    """Back up the persistent volumes of the pod NAME, which runs, into a folder or a bucket of S3.

    They are read by `tar` in a container of the pod and sealed here with your key: who keeps them reads
    nothing of them. A backup is there whole or not at all. What it holds is as the files were while they were
    read; --quiesce lets a program write them out, or stand still, before.
    """
    run = Run(options)
    if sum((listing, verify, every is not None)) > 1:
        raise click.UsageError("--list, --verify and --every are three different things")

    def wanted() -> "BackupOptions":
        import shlex

        from trustedpods.publisher.verbs.running.backup import BackupOptions

        return BackupOptions(
            store=store,
            volumes=volumes,
            container=container,
            exclude=exclude,
            quiesce=shlex.split(quiesce),
            resume=shlex.split(resume),
            keep=keep,
        )

    async def made() -> "VolumeBackupResult":
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.running.backup import backup

        run.progress = progress = VisitProgress()
        async with opening as account:
            return await backup(account, name, wanted(), progress, run.journal)

    if listing or verify:
        run.finish(lambda: _kept(run, name, store, chosen, verify=verify), _listed_lines)
    elif every is not None:
        run.finish(lambda: _schedule(run, name, every, wanted), _schedule_lines)
    else:
        run.finish(made, _lines)


async def _kept(
    run: Run, name: str, store: str | None, chosen: str | None, *, verify: bool
) -> "VolumeBackupsResult":
    """What is there. With the place given, backups are opened with the key alone: no market is asked."""
    key = run.key()
    import trio

    from trustedpods.contracts.eip712 import address_of
    from trustedpods.protocol.sealing.requests import publisher_secret
    from trustedpods.publisher.backups.places import open_store
    from trustedpods.publisher.backups.pod_backups import PodBackups
    from trustedpods.publisher.verbs.backups.places import KnownBackups, known_place
    from trustedpods.publisher.verbs.running.backup import listed, verified

    publisher = address_of(key.secret)
    scope = ""
    if store is None:
        market = run.market()
        scope = f"{market.chain_id} {market.payments} {publisher}".lower()
    backups = PodBackups(open_store(known_place(scope, name, store)), name, publisher_secret(key.secret))
    known = KnownBackups(backups, publisher)
    if verify:
        return await trio.to_thread.run_sync(verified, known, chosen, abandon_on_cancel=True)  # type: ignore[call-arg]  # old stubs
    return await trio.to_thread.run_sync(listed, known, abandon_on_cancel=True)  # type: ignore[call-arg]  # old stubs


async def _schedule(
    run: Run, name: str, every: str, wanted: "Callable[[], BackupOptions]"
) -> "BackupScheduleResult":
    from trustedpods.protocol.errors import BadInput
    from trustedpods.publisher.backups.schedule import LEAST_EVERY_S, MOST_EVERY_S
    from trustedpods.publisher.core.money import parse_duration

    every_s = None if every == "off" else parse_duration(every, "--every")
    if every_s is not None and not LEAST_EVERY_S <= every_s <= MOST_EVERY_S:
        raise BadInput(
            f"from {LEAST_EVERY_S // 60}m to {MOST_EVERY_S // (24 * 3600)}d, or off", where="--every"
        )
    opening = run.account()
    from trustedpods.publisher.verbs.backups.scheduled import schedule, unschedule

    async with opening as account:
        if every_s is None:
            return unschedule(account, name)
        return schedule(account, name, int(every_s), wanted(), run.journal)


def _schedule_lines(result: "BackupScheduleResult") -> list[str]:
    if result.schedule is None:
        return [f"{result.pod} is not backed up by itself; backups that are there stay"]
    return [f"{result.pod}  {result.schedule.line}", "`trustedpods watch` makes them, from this machine"]


@click.command(
    epilog="""\b
Examples:
  trustedpods deploy redis.yaml --deposit 1d &       # its volume says: seed: {backup: true}
  trustedpods restore redis --store ~/backups
  trustedpods restore node 20261129T140501Z --store ~/backups --volume data --ordinal 2
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.argument("backup", required=False)
@_STORE
@click.option("--volume", metavar="NAME", help="This volume only.")
@click.option("--ordinal", metavar="N", type=click.IntRange(min=0), help="That of this replica only.")
@click.option(
    "--wait",
    metavar="DURATION",
    default="5m",
    show_default=True,
    help="How long to wait until a volume waits for its backup.",
)
@named
def restore(
    options: Common,
    name: str,
    backup: str | None,
    store: str | None,
    volume: str | None,
    ordinal: int | None,
    wait: str,
) -> None:
    """Fill new volumes of the pod NAME from BACKUP, or from the newest one there is.

    A volume with `seed: {backup: true}` waits for this before the first container of its replica starts.
    Files that are there already are never written over. Ended in the middle, it is run again.
    """
    run = Run(options)

    async def work() -> "VolumeRestoreResult":
        wait_s = wait_seconds(wait)
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.running.restore import RestoreOptions, restore

        run.progress = progress = VisitProgress()
        wanted = RestoreOptions(store, backup, volume, ordinal, wait_s)
        async with opening as account:
            return await restore(account, name, wanted, progress, run.journal)

    run.finish(work, lambda result: [f"from {result.name}:", *_volume_lines(result.volumes)])


def _listed_lines(result: "VolumeBackupsResult") -> list[str]:
    sound = [line for one in result.backups for line in _lines(one)]
    return [*sound, *(f"{one.name}: {one.why}" for one in result.damaged)]


def _lines(result: "VolumeBackupResult") -> list[str]:
    lines = [result.name, *_volume_lines(result.volumes)]
    if result.left_out:
        lines.append(f"  left out (neverRestore): {', '.join(result.left_out)}")
    return lines


def _volume_lines(volumes: "Sequence[BackedUpVolume]") -> list[str]:
    return [
        f"  {one.volume}{'' if one.ordinal is None else f' of replica {one.ordinal}'}: {one.size} bytes"
        for one in volumes
    ]

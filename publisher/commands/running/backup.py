# SPDX-License-Identifier: Apache-2.0
"""`backup` and `restore`: the volumes of a pod into a folder, and back into volumes that wait for them."""

from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, common, pod_name
from trustedpods.publisher.commands.shell.completion import complete_pod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trustedpods.publisher.backups.folder import PodBackups
    from trustedpods.publisher.results.pods import (
        BackedUpVolume,
        VolumeBackupResult,
        VolumeBackupsResult,
        VolumeRestoreResult,
    )

_FOLDER = click.option(
    "--folder", metavar="DIR", required=True, help="Where backups are kept: one folder in it for each pod."
)


@click.command(
    epilog="""\b
Examples:
  trustedpods backup redis --folder ~/backups --keep 7
  trustedpods backup redis --folder ~/backups --quiesce "redis-cli save"
  trustedpods backup node --folder ~/backups --volume data --exclude "*.tmp" -c shell
  trustedpods backup redis --folder ~/backups --list
  trustedpods backup redis --folder ~/backups --verify
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@_FOLDER
@click.option("--volume", "volumes", metavar="NAME", multiple=True, help="This volume only; more than once.")
@click.option("-c", "--container", metavar="NAME", help="Read in this container, which has tar.")
@click.option("--exclude", metavar="PATTERN", multiple=True, help="Paths that tar leaves out.")
@click.option("--quiesce", metavar="CMD", default="", help="Run before each replica's volumes are read.")
@click.option("--resume", metavar="CMD", default="", help="Run after that, also where it failed.")
@click.option("--keep", metavar="N", type=click.IntRange(min=1), help="Remove all but the newest N after it.")
@click.option("--list", "listing", is_flag=True, help="Only list the backups that are there.")
@click.option("--verify", is_flag=True, help="Only check every byte of BACKUP, or of the newest.")
@click.option("--backup", "chosen", metavar="BACKUP", help="Which one to verify.")
@common
def backup(  # noqa: PLR0913, PLR0917 - click hands them over one by one
    options: Common,
    name: str,
    folder: str,
    volumes: tuple[str, ...],
    container: str | None,
    exclude: tuple[str, ...],
    quiesce: str,
    resume: str,
    keep: int | None,
    listing: bool,
    verify: bool,
    chosen: str | None,
) -> None:
    """Back up the persistent volumes of the pod NAME, which runs, into a folder.

    They are read by `tar` in a container of the pod and sealed here with your key: who has the folder reads
    nothing of them. A backup is there whole or not at all. What it holds is as the files were while they were
    read; --quiesce lets a program write them out, or stand still, before.
    """
    run = Run(options)

    async def kept() -> "VolumeBackupsResult":
        store = _store(run, folder, name)
        import trio

        from trustedpods.publisher.verbs.running.backup import listed, verified

        if listing:
            return listed(store, name)
        return await trio.to_thread.run_sync(verified, store, name, chosen)

    async def made() -> "VolumeBackupResult":
        import shlex
        from pathlib import Path

        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.running.backup import BackupOptions, backup

        run.progress = progress = VisitProgress()
        wanted = BackupOptions(
            folder=Path(folder),
            volumes=volumes,
            container=container,
            exclude=exclude,
            quiesce=shlex.split(quiesce),
            resume=shlex.split(resume),
            keep=keep,
        )
        async with opening as account:
            return await backup(account, name, wanted, progress, run.journal)

    if listing or verify:
        run.finish(kept, _listed_lines)
    else:
        run.finish(made, _lines)


@click.command(
    epilog="""\b
Examples:
  trustedpods deploy redis.yaml --deposit 1d &       # its volume says: seed: {backup: true}
  trustedpods restore redis --folder ~/backups
  trustedpods restore node 20261129T140501Z --folder ~/backups --volume data --ordinal 2
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.argument("backup", required=False)
@_FOLDER
@click.option("--volume", metavar="NAME", help="This volume only.")
@click.option("--ordinal", metavar="N", type=click.IntRange(min=0), help="That of this replica only.")
@click.option(
    "--wait",
    metavar="DURATION",
    default="5m",
    show_default=True,
    help="How long to wait until a volume waits for its backup.",
)
@common
def restore(
    options: Common,
    name: str,
    backup: str | None,
    folder: str,
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
        from pathlib import Path

        from trustedpods.publisher.core.money import parse_duration

        wait_s = parse_duration(wait, "--wait")
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.running.restore import RestoreOptions, restore

        run.progress = progress = VisitProgress()
        wanted = RestoreOptions(Path(folder), backup, volume, ordinal, wait_s)
        async with opening as account:
            return await restore(account, name, wanted, progress, run.journal)

    run.finish(work, lambda result: [f"from {result.name}:", *_volume_lines(result.volumes)])


def _store(run: Run, folder: str, name: str) -> "PodBackups":
    """Backups are opened with the key alone: no market and no provider is asked."""
    from pathlib import Path

    key = run.key()
    from trustedpods.protocol.sealing.requests import publisher_secret
    from trustedpods.publisher.backups.folder import PodBackups

    return PodBackups(Path(folder), name, publisher_secret(key.secret))


def _listed_lines(result: "VolumeBackupsResult") -> list[str]:
    sound = [line for one in result.backups for line in _lines(one)]
    return [*sound, *(f"{one.name}: does not open: {one.why}" for one in result.damaged)]


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

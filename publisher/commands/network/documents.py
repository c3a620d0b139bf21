# SPDX-License-Identifier: Apache-2.0
"""`history`, and of `state` the verbs that migrate, back up and restore."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.networks import of_network, state, wait_option
from trustedpods.publisher.commands.options import Common, Run, wait_seconds

if TYPE_CHECKING:
    from trustedpods.publisher.results.networks import (
        BackupResult,
        HistoryResult,
        MigrateResult,
        RestoreResult,
    )
    from trustedpods.publisher.verbs.networks.places import NetworkPlace


@click.command(
    "history",
    epilog="""\b
Examples:
  trustedpods history shop
  trustedpods history shop -o json
  trustedpods history shop --as-script > again.sh
""",
)
@click.option("--as-script", is_flag=True, help="A shell script of all commands that succeeded.")
@of_network
def history(options: Common, place: Callable[[], "NetworkPlace"], as_script: bool) -> None:
    """Who ran which command on the network NAME, when, and what came of it.

    What a command was given as a secret is not kept; the script asks the environment for it.
    """
    if as_script and options.as_json:
        raise click.UsageError("--as-script is text: give it without -o json")
    run = Run(options)

    async def work() -> "HistoryResult":
        wanted, opening = place(), run.account()
        from trustedpods.publisher.verbs.networks.documents.history import history as read_history

        async with opening as account:
            return await read_history(account, wanted, run.journal)

    def lines(result: "HistoryResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import history_lines

        return list(result.script) if as_script else history_lines(result)

    run.finish(work, lines)


@state.command(
    "backup",
    epilog="""\b
Example:
  trustedpods state backup shop shop-2026-11-29.backup
""",
)
@of_network
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def state_backup(options: Common, place: Callable[[], "NetworkPlace"], file: Path) -> None:
    """Keep the state of the network NAME in FILE: sealed to the team, signed with your key."""
    run = Run(options)

    async def work() -> "BackupResult":
        wanted, opening = place(), run.account()
        from trustedpods.publisher.verbs.networks.documents.versions import backup

        async with opening as account:
            return await backup(account, wanted, file, run.journal)

    run.finish(work, lambda result: [f"{result.file} holds generation {result.document.generation}"])


@state.command(
    "migrate",
    epilog="""\b
Examples:
  trustedpods state migrate shop                          # what it would do
  trustedpods state migrate shop --backup before.backup
""",
)
@click.option(
    "--backup", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Do it, after a backup."
)
@wait_option
@of_network
def state_migrate(
    options: Common, place: Callable[[], "NetworkPlace"], backup: Path | None, wait: str
) -> None:
    """Bring the state of the network NAME to this version's schema. Older versions only read it then."""
    run = Run(options)

    async def work() -> "MigrateResult":
        wanted, wait_s = place(), wait_seconds(wait)
        opening = run.account()
        from trustedpods.publisher.verbs.networks.documents.versions import migrate

        async with opening as account:
            return await migrate(account, wanted, backup, wait_s, run.journal)

    def lines(result: "MigrateResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import migrate_lines

        return migrate_lines(result)

    run.finish(work, lines)


@state.command(
    "restore",
    epilog="""\b
Examples:
  trustedpods state restore shop shop-2026-11-29.backup
  trustedpods state restore shop shop-2026-11-29.backup --go-back
""",
)
@click.option("--go-back", is_flag=True, help="Though what was changed later is undone.")
@wait_option
@of_network
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def state_restore(
    options: Common, place: Callable[[], "NetworkPlace"], file: Path, go_back: bool, wait: str
) -> None:
    """Let the state in FILE be the next one of the network NAME, or its first where clusters keep nothing."""
    run = Run(options)

    async def work() -> "RestoreResult":
        wanted, wait_s = place(), wait_seconds(wait)
        opening = run.account()
        from trustedpods.publisher.verbs.networks.documents.versions import restore

        async with opening as account:
            return await restore(account, wanted, file, run.journal, go_back=go_back, wait_s=wait_s)

    def lines(result: "RestoreResult") -> list[str]:
        from trustedpods.publisher.commands.network_lines import restore_lines

        return restore_lines(result)

    run.finish(work, lines)

# SPDX-License-Identifier: Apache-2.0
"""The verb on the key that pays gas: how it stands, and its change for a new one."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.protocol.errors import BadInput, ExitCode, NoContext
from trustedpods.provider.commands.ask import ask
from trustedpods.provider.commands.options import config_option, explained, output_option, qr_option
from trustedpods.provider.commands.output import show
from trustedpods.provider.commands.setup import MOST_WAIT_S, qr_room

if TYPE_CHECKING:
    from trustedpods.provider.admin.reports.operator_key import OperatorKeyView
    from trustedpods.provider.setup.operator_key.procedure import RotationResult


@click.command(
    "operator-key",
    epilog="""\b
Examples:
  trustedpods-provider operator-key
  trustedpods-provider operator-key --rotate --wait 3600    # a new key, or on with the change
  trustedpods-provider operator-key --rotate --lost         # the key is gone, or others have it
""",
)
@config_option
@click.option("--rotate", is_flag=True, help="Change the key for a new one, or go on with that.")
@click.option("--lost", is_flag=True, help="The key is gone, or in others' hands: its rights end at once.")
@click.option("--again", is_flag=True, help="Begin another change within a day of the one before.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, MOST_WAIT_S), default=0.0, show_default=True,
    help="Seconds to wait for the owner's transactions and for the daemon.",
)  # fmt: skip
@qr_option
@output_option
@explained
def operator_key(
    config_path: Path, rotate: bool, lost: bool, again: bool, wait_s: float, qr: bool | None, output: str
) -> None:
    """Show the key that pays gas: its coin, what it has under way, whether the owner named it; or change it.

    A change is made of steps, of which each may be killed and repeated: a new key in a file beside the old
    one, the owner's two transactions, the files' exchange, a restart of the daemon, and the end of the old
    key once nothing of it is left. The same command goes on with the next. Exit code 4: something is left.
    Typed once more within a day of the end it begins no other change, unless --again is said.
    """
    if not rotate:
        if lost or again or wait_s:
            raise BadInput("--lost, --again and --wait are for --rotate")
        _show(config_path, output)
        return
    import trio

    from trustedpods.provider.config import load_config
    from trustedpods.provider.setup.operator_key.procedure import Rotation
    from trustedpods.provider.setup.operator_key.procedure import rotate as go_on
    from trustedpods.provider.setup.operator_key.site import RealKeySite

    config, room = load_config(config_path), qr_room(wanted=qr)

    def tell(result: "RotationResult") -> None:
        click.echo("\n".join([*result.lines(room), "", "waiting"]))

    waiting: Callable[[RotationResult], None] = _silent if output == "json" else tell
    site = RealKeySite(config)
    rotation = Rotation(config, site, lost=lost, again=again, wait_s=wait_s, waiting=waiting)
    _tell(trio.run(go_on, rotation), output, qr)


def _silent(_result: "RotationResult") -> None:
    """JSON is one document, at the end."""


def _tell(result: "RotationResult", output: str, qr: bool | None) -> None:
    if output == "json":
        show(result.plain(), output)
    else:
        click.echo("\n".join(result.lines(qr_room(wanted=qr))))
    if not result.complete:
        sys.exit(int(ExitCode.NO_CONTEXT))


def _show(config_path: Path, output: str) -> None:
    """What the running daemon says; where none runs what files and chain say."""
    from trustedpods.provider.admin.reports.operator_key import OperatorKeyRequest, OperatorKeyView

    try:
        found = ask(config_path, OperatorKeyRequest(), OperatorKeyView)
    except NoContext:
        _show_without_daemon(config_path, output)
        return
    if output == "json":
        show(found.plain(), output)
        return
    facts: dict[str, object] = {
        "address": found.address,
        "holds": "-" if found.balance is None else f"{found.balance} wei",
        "named by the owner": _named(found.named),
        "unfinished transactions": found.unfinished,
        "claims under way": found.claims_out,
    }
    show(facts | _of_change(found), output)


def _show_without_daemon(config_path: Path, output: str) -> None:
    """Then files and chain say how far a change is: a daemon whose key is lost cannot start."""
    import trio

    from trustedpods.provider.config import load_config
    from trustedpods.provider.setup.operator_key.procedure import Rotation, stands
    from trustedpods.provider.setup.operator_key.site import RealKeySite

    config = load_config(config_path)
    result = trio.run(stands, Rotation(config, RealKeySite(config)))
    if output == "json":
        show(result.plain(), output)
        return
    click.echo("no daemon answers, so nothing is known of what is under way")
    click.echo("\n".join(result.lines()))


def _of_change(found: "OperatorKeyView") -> dict[str, object]:
    """Lines that are there only where there is something to say."""
    told: dict[str, object] = {}
    if found.former_unfinished:
        told["unfinished of former keys"] = found.former_unfinished
    if found.change is not None:
        told["change of keys"] = found.change.told
    if found.trouble is not None:
        told["trouble"] = found.trouble
    return told


def _named(named: bool | None) -> str:
    if named is None:
        return "-"
    return "yes" if named else "no: `trustedpods-provider setup` prints what the owner signs"

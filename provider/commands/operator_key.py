# SPDX-License-Identifier: Apache-2.0
"""The verb on the key that pays gas."""

from pathlib import Path

import click

from trustedpods.provider.commands.ask import ask
from trustedpods.provider.commands.options import config_option, explained, output_option
from trustedpods.provider.commands.output import show


@click.command("operator-key")
@config_option
@output_option
@explained
def operator_key(config_path: Path, output: str) -> None:
    """Show the key that pays gas: its address and coin, what it has under way, whether the owner named it."""
    from trustedpods.provider.admin.reports.operator_key import OperatorKeyRequest, OperatorKeyView

    found = ask(config_path, OperatorKeyRequest(), OperatorKeyView)
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
    show(facts if found.trouble is None else facts | {"the chain": found.trouble}, output)


def _named(named: bool | None) -> str:
    if named is None:
        return "-"
    return "yes" if named else "no: `trustedpods-provider setup` prints what the owner signs"

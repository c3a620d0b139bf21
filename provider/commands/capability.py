# SPDX-License-Identifier: Apache-2.0
"""Verbs on what publishers may ask for here: capability list."""

from pathlib import Path

import click

from trustedpods.provider.commands.ask import ask
from trustedpods.provider.commands.options import config_option, explained, output_option
from trustedpods.provider.commands.output import show, show_rows


@click.group()
def capability() -> None:
    """What publishers may ask for at this provider."""


@capability.command("list")
@config_option
@output_option
@explained
def list_capabilities(config_path: Path, output: str) -> None:
    """Show what the provider advertises and why, against what its cluster has now."""
    from trustedpods.provider.admin.reports.views import Offers, OffersRequest

    found = ask(config_path, OffersRequest(), Offers)
    if output == "json":
        show(found.plain(), output)
        return
    show_rows([one.plain() for one in found.offers], output)
    show({"registry": found.row}, output)

# SPDX-License-Identifier: Apache-2.0
"""Verbs on money: claim and prices."""

from pathlib import Path

import click

from trustedpods.protocol.errors import BadInput
from trustedpods.provider.commands.ask import ask
from trustedpods.provider.commands.options import config_option, explained, output_option
from trustedpods.provider.commands.output import show


@click.command()
@config_option
@click.option("--prepare", is_flag=True, help="Sign and store the claim, and do not send it yet.")
@click.option("--withdraw", is_flag=True, help="Then pay out what the contract owes the owner.")
@output_option
@explained
def claim(config_path: Path, prepare: bool, withdraw: bool, output: str) -> None:
    """Claim what is due: what was prepared, else everything up to now."""
    if prepare and withdraw:
        raise BadInput("--prepare sends nothing, so there is nothing to withdraw")
    from trustedpods.provider.admin.views import Claimed, ClaimRequest

    claimed = ask(config_path, ClaimRequest(prepare=prepare, withdraw=withdraw), Claimed)
    show(claimed.plain(), output)


@click.command()
@config_option
@click.option("--publish", is_flag=True, help="Write the configured prices into the registry row.")
@output_option
@explained
def prices(config_path: Path, publish: bool, output: str) -> None:
    """Show the prices of the configuration and of the registry row, or publish the former."""
    import trio

    from trustedpods.provider.admin import registration
    from trustedpods.provider.config import load_config

    show(trio.run(registration.prices, load_config(config_path), publish).plain(), output)

# SPDX-License-Identifier: Apache-2.0
"""Verbs on the provider's row in the registry: register, unregister."""

from pathlib import Path

import click

from trustedpods.provider.commands.options import config_option, explained, output_option
from trustedpods.provider.commands.output import show


@click.command()
@config_option
@click.option("--wait", "wait_s", default=60, show_default=True, help="Seconds to wait for the daemon.")
@click.option("--ahead", is_flag=True, help="Before the daemon's first start: it adds its address itself.")
@output_option
@explained
def register(config_path: Path, wait_s: int, ahead: bool, output: str) -> None:
    """Write the running daemon's row into the registry, signed by the owner's key."""
    import trio

    from trustedpods.provider.admin import registration
    from trustedpods.provider.config import load_config

    config = load_config(config_path)
    if ahead:
        done = trio.run(registration.register_ahead, config)
    else:
        done = trio.run(registration.register, config, wait_s)
    show(done.plain(), output)


@click.command()
@config_option
@output_option
@explained
def unregister(config_path: Path, output: str) -> None:
    """Take the provider's row out of the registry."""
    import trio

    from trustedpods.provider.admin import registration
    from trustedpods.provider.config import load_config

    show(trio.run(registration.unregister, load_config(config_path)).plain(), output)

# SPDX-License-Identifier: Apache-2.0
"""A verb's way to the running daemon: the admin socket of its configuration, or its port from outside."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from trustedpods.provider.admin.views import AdminRequest, R


remote_option = click.option(
    "--remote",
    metavar="ADDRESS|row",
    help="Ask another machine's daemon by the operator's key, at a multiaddress or where its row leads.",
)


def ask(config_path: Path, request: "AdminRequest", answer: "type[R]", remote: str | None = None) -> "R":
    """The running daemon's answer; raises as `ask_daemon` does, BadInput for a wrong configuration.

    With *remote* as `ask_remote`, at that address.
    """
    import trio

    from trustedpods.provider.config import load_config

    told: R
    if remote is not None:
        from trustedpods.provider.admin.remote.client import ask_remote

        told = trio.run(ask_remote, load_config(config_path), remote, request, answer)
        return told
    from trustedpods.provider.admin.socket import ask_daemon

    told = trio.run(ask_daemon, load_config(config_path).admin_socket, request, answer)
    return told

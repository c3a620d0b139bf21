# SPDX-License-Identifier: Apache-2.0
"""`page`: the operator's page, served until Ctrl-C."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.provider.commands.options import config_option, explained

if TYPE_CHECKING:
    from socket import socket

NEEDED = ("hypercorn", "jinja2", "starlette")
"""What the page is served with: the extra `ui` of the package."""


@click.command(
    epilog="""\b
Examples:
  trustedpods-provider page
  trustedpods-provider page --port 8080

\b
From another machine:
  ssh -L 8080:127.0.0.1:8080 HOST trustedpods-provider page --port 8080

\b
Where only the admin socket can be reached:
  trustedpods-provider page --socket /run/operator.sock
"""
)
@config_option
@click.option(
    "--socket",
    "socket_path",
    type=click.Path(path_type=Path),
    help="The daemon's admin socket; without it the configuration's.",
)
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=0,
    help="Where to listen, else a free port.",
)
@explained
def page(config_path: Path, socket_path: Path | None, port: int) -> None:
    """Show what the daemon earns, does and lacks in a browser of this machine, until Ctrl-C.

    The page listens on 127.0.0.1 alone. The link that is printed works once: it lets one browser in. It asks
    the running daemon over the admin socket, changes nothing, and loads nothing from elsewhere. It shows pods
    in numbers: nothing of what is in them.
    """
    import trio

    from trustedpods.protocol.errors import BadInput

    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise BadInput(
            f"the page needs {', '.join(missing)}",
            hint="pip install 'trusted-pods[ui]' installs what it needs",
        )
    from trustedpods.protocol.local_page.server import listen
    from trustedpods.provider.config import load_config

    path = socket_path or load_config(config_path).admin_socket
    with listen(port) as listening:
        try:
            trio.run(_serve, path, listening)
        except* KeyboardInterrupt:
            pass  # Ctrl-C is how the page ends


async def _serve(path: Path, listening: "socket") -> None:
    from trustedpods.provider.page.reader import SocketReader
    from trustedpods.provider.page.server import serve_page

    def tell(link: str) -> None:
        click.echo(link)
        click.echo(
            "Open this link in a browser of this machine: it works once. Ctrl-C ends the page.", err=True
        )

    await serve_page(listening, SocketReader(path), tell)

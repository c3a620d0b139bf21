# SPDX-License-Identifier: Apache-2.0
"""`ui`: the page, served until Ctrl-C."""

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, located
from trustedpods.publisher.commands.page.browser import has_browser, open_link

if TYPE_CHECKING:
    from socket import socket

    from trustedpods.publisher.market.market import MarketAccount

NEEDED = ("hypercorn", "jinja2", "starlette")
"""What the page is served with: the extra `ui` of the package."""


@click.command(
    epilog="""\b
Examples:
  trustedpods ui
  trustedpods ui --no-browser
  trustedpods ui --port 8080 --no-browser

\b
From another machine:
  ssh -L 8080:127.0.0.1:8080 HOST trustedpods ui --port 8080 --no-browser
"""
)
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=0,
    help="Where to listen, else a free port.",
)
@click.option("--no-browser", is_flag=True, help="Print the link only.")
@located
def ui(options: Common, *, port: int, no_browser: bool) -> None:
    """Show the market and your pods in a browser of this machine, until Ctrl-C.

    The page listens on 127.0.0.1 alone. The link that is printed works once: it lets one browser in. The
    page shows prices and proof of each provider, and of each pod its state, how long its money lasts, its
    bill and its last lines. It changes nothing, and loads nothing from elsewhere.
    """
    run = Run(options)

    async def work() -> None:
        from trustedpods.protocol.errors import BadInput

        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise BadInput(
                f"the page needs {', '.join(missing)}",
                hint="pip install 'trusted-pods[ui]' installs what it needs",
            )
        opening = run.account()
        from trustedpods.protocol.local_page.server import listen

        listening = listen(port)
        with listening:
            async with opening as account:
                await _serve(run, account, listening, open_browser=not no_browser)

    run.finish(work, lambda _: [])


async def _serve(run: Run, account: "MarketAccount", listening: "socket", *, open_browser: bool) -> None:
    """Serve with a client whose verbs tell nothing: what they would say is on the page."""
    import trio

    from trustedpods.publisher.client import Client
    from trustedpods.publisher.output.terminal import print_lines
    from trustedpods.publisher.page.server import serve_page

    def tell(link: str) -> None:
        print_lines([link])
        run.show.line("Open this link in a browser of this machine: it works once. Ctrl-C ends the page.")
        if open_browser and has_browser(os.environ):
            nursery.start_soon(open_link, link)  # nothing follows where it cannot: the link was printed

    async with trio.open_nursery() as nursery:
        await serve_page(listening, Client(account, _Silent()), tell)


class _Silent:
    """A `Show` that shows nothing."""

    def line(self, text: str) -> None:
        """Nothing."""

    def warning(self, text: str) -> None:
        """Nothing."""

    def progress(self, name: str, done: int, total: int) -> None:
        """Nothing."""

# SPDX-License-Identifier: Apache-2.0
"""The command `ui`: the link alone on standard output, and one clear line where the page cannot be served."""

import socket

import httpx
import trio

from tests.publisher.test_cli import cli, loaded_modules
from trustedpods.publisher.commands.page import ui
from trustedpods.publisher.page import server

__all__ = ["cli"]


async def test_the_link_is_printed_and_leads_to_the_pods(bench, cli, monkeypatch):
    serve, seen = server.serve_page, []

    async def look(listening, reader, tell, limits=None):
        """Serve as always, look at the page once, and end."""

        def told(link):
            tell(link)
            nursery.start_soon(get, link)

        async def get(link):
            async with httpx.AsyncClient(follow_redirects=True, timeout=60) as browser:
                folder = link.partition("/open/")[0]
                addresses = (link, f"{folder}/market", f"{folder}/pods/hello")
                seen.extend([(address, (await browser.get(address)).text) for address in addresses])
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            await serve(listening, reader, told, limits)

    monkeypatch.setattr(server, "serve_page", look)
    async with bench.peer().serve():
        await bench.deploy()
        result = await cli("ui", "--no-browser")
    assert result.exit_code == 0, result.output
    (link, pods), (_, market), (_, pod) = seen
    assert result.stdout == f"{link}\n"
    assert "works once" in result.stderr
    assert "/pods/hello" in pods
    assert "SIMULATED AMD SEV-SNP" in market
    assert "line one\nline two" in pod


async def test_a_port_that_is_taken_is_one_line(bench, cli):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = await cli("ui", "--port", taken.getsockname()[1])
    assert result.exit_code == 2
    assert "cannot be used" in result.stderr
    assert "leave it out" in result.stderr


async def test_what_is_missing_is_said_with_how_to_install_it(bench, cli, monkeypatch):
    monkeypatch.setattr(ui, "find_spec", lambda name: None if name == "hypercorn" else object())
    result = await cli("ui")
    assert result.exit_code == 2
    assert "needs hypercorn" in result.stderr
    assert "pip install 'trusted-pods[ui]'" in result.stderr


def test_its_help_imports_no_server():
    assert not {"hypercorn", "starlette", "jinja2", "trio"} & loaded_modules("ui", "--help")

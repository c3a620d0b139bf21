# SPDX-License-Identifier: Apache-2.0
"""`page`: the link alone on standard output, the daemon's own answers, and one line where it fails."""

import socket
import subprocess
import sys

import httpx
import pytest
import trio
from click.testing import CliRunner

from tests.fakes.provider.caller import ADMIN_SOCKET, serving
from tests.fakes.provider.world import MARKER, World
from tests.provider.test_config import GOOD
from trustedpods.protocol.errors import ExitCode
from trustedpods.protocol.local_page.readings import ReadingLimits
from trustedpods.protocol.local_page.server import listen
from trustedpods.provider.cli import main
from trustedpods.provider.commands import page
from trustedpods.provider.page.reader import SocketReader
from trustedpods.provider.page.server import serve_page

VIEWS = ("/", "/earnings", "/pods", "/capacity", "/wakes")

PATIENT = ReadingLimits(patience_s=50.0)
"""A busy machine's first answer is waited for."""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "provider.toml"
    path.write_text(GOOD.replace("/var/lib/tp", str(tmp_path)))
    return path


async def looked_at(path):
    """The texts of all views, as the page of the daemon at *path* serves them."""
    links, told = [], trio.Event()

    def tell(link):
        links.append(link)
        told.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_page, listen(0), SocketReader(path), tell, PATIENT)
        await told.wait()
        async with httpx.AsyncClient(follow_redirects=True, timeout=60) as browser:
            await browser.get(links[0])
            folder = links[0].partition("/open/")[0]
            texts = [(await browser.get(folder + view)).text for view in VIEWS]
        nursery.cancel_scope.cancel()
    return texts


async def test_the_daemons_own_answers_are_shown(tmp_path):
    world = World(tmp_path)
    async with serving(world) as (parts, caller):
        now, earnings, pods, capacity, wakes = await looked_at(tmp_path / ADMIN_SOCKET)
        record = parts.pods.get(caller.ref.channel)
    assert "1 serving" in now
    assert "class open, the operator can read the pods" in now
    assert "Not claimed yet" in earnings
    assert record.label in pods
    assert "Pods 1 to 1 of 1" in pods
    assert "Overcommit" in capacity
    assert "Wakes served" in wakes
    for text in (now, earnings, pods, capacity, wakes):
        assert "could not be read" not in text
        assert MARKER not in text
        assert caller.ref.publisher not in text


async def test_a_daemon_that_is_not_there_is_said(tmp_path):
    for text in await looked_at(tmp_path / "nothing.sock"):
        assert "the daemon does not answer" in text
        assert "trustedpods-provider serve" in text


def run(*words):
    return CliRunner().invoke(main, ["page", *map(str, words)])


def test_a_port_that_is_taken_is_one_line(config):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = run("--config", config, "--port", taken.getsockname()[1])
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "cannot be used" in result.stderr


def test_what_is_missing_is_said_with_how_to_install_it(config, monkeypatch):
    monkeypatch.setattr(page, "find_spec", lambda name: None if name == "jinja2" else object())
    result = run("--config", config)
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "needs jinja2" in result.stderr
    assert "pip install 'trusted-pods[ui]'" in result.stderr


@pytest.mark.parametrize("given", ["--config", "--socket"])
def test_it_prints_the_link_alone_and_ends_by_ctrl_c(config, given, tmp_path):
    value = config if given == "--config" else tmp_path / "operator.sock"
    command = [sys.executable, "-m", "trustedpods.provider", "page", given, str(value)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        link = process.stdout.readline()
        assert link.startswith("http://127.0.0.1:")
        assert "works once" in process.stderr.readline()
        process.send_signal(2)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, "", "")

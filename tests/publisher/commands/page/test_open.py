# SPDX-License-Identifier: Apache-2.0
"""The command `open`: the address for a browser, opened where somebody looks, printed everywhere."""

import json
import sys
import webbrowser

import pytest

from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import ExitCode
from trustedpods.publisher.commands.page import open as opening
from trustedpods.publisher.commands.page.browser import has_browser

__all__ = ["cli"]

URL = "http://pabc.k1.test.localhost:18080/"


@pytest.fixture
def browser(monkeypatch):
    """The links that the desktop was given."""
    seen = []

    def take(link):
        seen.append(link)
        return True

    monkeypatch.setattr(webbrowser, "open", take)
    return seen


@pytest.fixture
async def pod(bench):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        yield peer


async def test_in_a_pipe_it_is_printed_alone(pod, cli, browser):
    done = await cli("open", "hello")
    assert (done.exit_code, done.stdout) == (0, f"{URL}\n")
    assert browser == []


async def test_where_somebody_looks_it_is_opened(pod, cli, browser, monkeypatch):
    monkeypatch.setattr(opening, "_somebody_looks", lambda: True)
    assert (await cli("open", "hello", "--print")).stdout == f"{URL}\n"
    told = json.loads((await cli("open", "hello", "-o", "json")).stdout)
    assert (told["service"], told["url"], told["opened"]) == ("web", URL, False)
    assert browser == []
    assert (await cli("open", "hello")).stdout == f"{URL}\n"
    assert browser == [URL]


async def test_a_service_that_is_not_there_is_said_with_those_that_are(pod, cli):
    done = await cli("open", "hello", "--service", "wev")
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "did you mean 'web'?" in done.stderr


async def test_a_pod_without_an_address_for_a_browser_says_what_leads_to_it(pod, cli):
    pod.statement = None
    done = await cli("open", "hello")
    assert done.exit_code == ExitCode.BAD_INPUT
    assert "port-forward hello" in done.stderr


def test_nobody_looks_at_a_pipe(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    for terminal in (True, False):
        monkeypatch.setattr(sys.stdout, "isatty", lambda terminal=terminal: terminal, raising=False)
        assert opening._somebody_looks() is terminal


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac always has a display")
def test_a_display_is_what_the_environment_names():
    assert not has_browser({})
    assert has_browser({"WAYLAND_DISPLAY": "wayland-0"})
    assert has_browser({"DISPLAY": ":0"})

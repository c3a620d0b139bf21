# SPDX-License-Identifier: Apache-2.0
"""A state folder in which nothing can be written: hints are lost, no verb is, and no money.

Here because it cannot be made at all; `verbs/test_full_disk_live.py` has the same verbs on a full disk.
"""

from collections.abc import Awaitable, Callable

import pytest
from click.testing import Result

from tests.publisher.conftest import Bench
from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import ExitCode

__all__ = ["cli"]

Typed = Callable[..., Awaitable[Result]]

READ = (
    ("status", "hello"),
    ("list",),
    ("logs", "hello"),
    ("events", "hello"),
    ("top",),
    ("usage", "hello"),
    ("bill", "hello"),
    ("balance",),
    ("provider", "list"),
    ("estimate", "pod.yaml"),
    ("watch", "--once"),
)
CHANGE = (
    ("fund", "hello", "1"),
    ("stop", "hello"),
    ("start", "hello"),
    ("restart", "hello", "--yes"),
    ("deploy", "pod.yaml", "--yes"),
)


async def use(bench: Bench, cli: Typed) -> None:
    """A whole life of a pod, each verb once; its money comes back."""
    before = dict(bench.chain.tokens)
    async with bench.peer().serve():
        first = await cli("deploy", "pod.yaml", "--deposit", "1h")
        assert (first.exit_code, "warning: " in first.stderr) == (0, True), first.output
        for words in (*READ, *CHANGE):
            done = await cli(*words)
            assert done.exit_code == 0, (words, done.output)
        gone = await cli("delete", "hello", "--yes")
        assert gone.exit_code == 0, gone.output
        second = await cli("deploy", "pod.yaml", "--deposit", "1h")
        assert second.exit_code == 0, second.output
        noticed = await cli("close", "hello")
        assert noticed.exit_code == 0, noticed.output
        bench.chain.pass_time(61)
        closed = await cli("close", "hello")
        assert closed.exit_code == 0, closed.output
    assert bench.chain.tokens == before, "all of it came back"


@pytest.fixture
def nowhere(bench, monkeypatch):
    """State below a folder in which nobody can make one."""
    monkeypatch.chdir(bench.folder)
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/self")


async def test_every_verb_works_without_a_state_folder(bench, cli, nowhere):
    await use(bench, cli)


async def test_settings_that_cannot_be_written_are_said_and_nothing_changes(bench, cli, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "/proc/self")
    for words in (
        ("context", "use", "a", "--policy", "strict"),
        ("context", "map", "k1=0x" + "70" * 20 + "/1"),
    ):
        done = await cli(*words)
        assert done.exit_code == ExitCode.BAD_INPUT, done.output
        assert done.stderr.startswith("error: /proc/self/trustedpods")
        assert "Traceback" not in done.output


async def test_a_file_that_cannot_be_written_is_said(bench, cli, monkeypatch):
    monkeypatch.chdir(bench.folder)
    for words in (("init", "oci-archive:hello.tar", "--port", "8080", "-f", "/proc/self/pod.yaml"),):
        done = await cli(*words)
        assert done.exit_code == ExitCode.BAD_INPUT, done.output
        assert "/proc/self/pod.yaml" in done.stderr

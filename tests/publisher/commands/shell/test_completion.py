# SPDX-License-Identifier: Apache-2.0
"""What shells are offered, from this machine's files alone; help and version as verbs."""

import json
import shutil
import subprocess

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from trustedpods.publisher.cli import main
from trustedpods.publisher.commands.shell.completion import PROGRAM, VARIABLE
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.state.names import remember_name

OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8/1"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def offered(*typed: str) -> list[str]:
    *before, begun = typed
    found = ShellComplete(main, {}, PROGRAM, VARIABLE).get_completions(before, begun)
    return [item.value for item in found]


@pytest.mark.parametrize("verb", ["status", "logs", "exec", "delete", "fund", "close", "bill", "audit"])
def test_pods_that_this_machine_opened(verb: str) -> None:
    for channel, name in {"a": "web", "b": "worker", "c": "db", "d": "web"}.items():
        remember_name(state_dir(), channel, name)
    assert offered(verb, "w") == ["web", "worker"]


def test_without_any_there_are_none() -> None:
    assert offered("status", "") == []


def test_a_name_that_would_move_the_terminal_is_not_offered() -> None:
    remember_name(state_dir(), "a", "web\x1b[2J")
    assert offered("status", "") == []


@pytest.mark.parametrize("verb", ["deploy", "estimate", "render"])
def test_providers_of_contexts(verb: str, home) -> None:
    (home / "config/trustedpods").mkdir(parents=True)
    config = home / "config/trustedpods/config.toml"
    config.write_text(f'current = "work"\n[contexts.work]\n[contexts.work.clusters]\nk1 = "{OWNER}"\n')
    assert offered(verb, "--provider", "0x7") == [OWNER]
    config.write_text("= no TOML")
    assert offered(verb, "--provider", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell])
    assert done.exit_code == 0, done.output
    assert f"{VARIABLE}={shell}_complete" in done.stdout
    if (program := shutil.which(shell)) is not None:
        subprocess.run([program, "-n"], input=done.stdout, text=True, check=True, timeout=60)


def test_help_is_the_verbs_own() -> None:
    for words in ([], ["deploy"], ["provider", "list"]):
        shown = CliRunner().invoke(main, ["help", *words])
        assert (shown.exit_code, shown.stdout) == (0, CliRunner().invoke(main, [*words, "--help"]).stdout)
    wrong = CliRunner().invoke(main, ["help", "ps"])
    assert (wrong.exit_code, "did you mean" in wrong.stderr) == (2, True)


def test_version_in_both_forms() -> None:
    text = CliRunner().invoke(main, ["version"]).stdout.split()
    shown = json.loads(CliRunner().invoke(main, ["version", "-o", "json"]).stdout)
    assert text == [PROGRAM, shown["version"]]

# SPDX-License-Identifier: Apache-2.0
"""Verbs that are imported when they are asked for: the list says what they say, and loads none of them."""

import subprocess
import sys

import click
import pytest

from trustedpods.publisher.cli import VERBS, main
from trustedpods.publisher.commands.network.group import NETWORK_VERBS, network

CONTEXT = click.Context(main, info_name="trustedpods")
ENDLESS = 10_000
"""Columns for a first sentence of any length."""


@pytest.mark.parametrize("name", VERBS)
def test_the_list_has_the_first_sentence_of_a_verbs_help(name):
    verb = main.get_command(CONTEXT, name)
    assert verb.name == name
    assert VERBS[name].help == verb.get_short_help_str(ENDLESS)


@pytest.mark.parametrize("name", NETWORK_VERBS)
def test_so_has_the_list_of_a_networks_verbs(name):
    verb = network.get_command(click.Context(network, info_name="network"), name)
    assert verb.name == name
    assert NETWORK_VERBS[name].help == verb.get_short_help_str(ENDLESS)


def test_there_is_no_verb_of_another_name():
    assert main.get_command(CONTEXT, "nothing") is None
    assert main.list_commands(CONTEXT) == sorted(VERBS)


def loaded(*arguments):
    """Modules of verbs that a run imports."""
    code = (
        f"import sys\nsys.argv = ['trustedpods', *{list(arguments)!r}]\n"
        "from trustedpods.publisher.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('\\n' + ' '.join(name for name in sys.modules if '.publisher.commands.' in name))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    begin = "trustedpods.publisher.commands."
    return {name.removeprefix(begin) for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize(
    ("words", "modules"),
    [
        (("--help",), set()),
        (("version",), {"options", "shell.completion"}),
        (("balance", "--help"), {"money", "options", "shell.completion"}),
        (("restart", "--help"), {"running", "running.restart", "options", "shell.completion"}),
        (
            ("network", "member", "--help"),
            {"network", "network.group", "network.members", "networks", "options"},
        ),
        (("quux",), set()),
    ],
)
def test_a_run_imports_its_own_verb_alone(words, modules):
    assert loaded(*words) - {"shell", "shell.process", "shell.verbs"} == modules

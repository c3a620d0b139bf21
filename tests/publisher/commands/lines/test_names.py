# SPDX-License-Identifier: Apache-2.0
"""`-o name`: for which verbs, and what it prints."""

import click
import pytest

from tests.publisher.output.answers.networks.test_documents import RESULTS
from tests.publisher.output.answers.test_schema import verbs_with_json
from tests.publisher.test_cli import cli
from trustedpods.publisher.cli import main
from trustedpods.publisher.commands.lines.names import NAMED, names_of
from trustedpods.publisher.output.answers.published import PUBLISHED
from trustedpods.publisher.output.json_of import json_of

__all__ = ["cli"]


def _forms(verb: str) -> list[str]:
    context, command = click.Context(main, info_name="trustedpods"), main
    for word in verb.split():
        command = command.get_command(context, word)
    (output,) = [parameter for parameter in command.params if parameter.name == "output"]
    assert isinstance(output.type, click.Choice)
    return list(output.type.choices)


def test_the_verbs_that_have_it_are_those_whose_answers_have_names() -> None:
    every = verbs_with_json(main, click.Context(main, info_name="trustedpods"))
    assert {verb for verb in every if "name" in _forms(verb)} == set(NAMED) <= set(PUBLISHED)


POD = {"name": "web", "channel": "ab"}
LOST = {"name": None, "channel": "cd"}


@pytest.mark.parametrize(
    ("verb", "answer", "names"),
    [
        ("list", {"pods": [POD, LOST]}, ["web", "cd"]),
        ("list", {"pods": []}, []),
        ("balance", {"channels": [LOST, POD]}, ["cd", "web"]),
        ("top", {"pods": [POD]}, ["web"]),
        ("provider list", {"providers": [{"name": "0x70/1"}]}, ["0x70/1"]),
        ("estimate", {"offers": [{"provider": "0x70/1"}]}, ["0x70/1"]),
        ("backup", {"pod": "web", "name": "2026"}, ["2026"]),
        ("backup", {"pod": "web", "backups": [{"name": "a"}, {"name": "b"}]}, ["a", "b"]),
        ("backup", {"pod": "web", "schedule": None}, ["web"]),
        ("rollback", {"pod": "web"}, ["web"]),
        ("rollback", {"pod": "web", "versions": [{"generation": 7}]}, ["7"]),
        ("context list", {"current": None, "contexts": {"a": {}, "b": {}}}, ["a", "b"]),
        ("context use", {"current": "a", "contexts": {"a": {}, "b": {}}}, ["a"]),
        ("context unmap", {"current": None, "contexts": {}}, []),
        ("network status", {"nodes": {"a": {}, "b": {}}}, ["a", "b"]),
        (
            "network list",
            {
                "clusters": {
                    "k1": {"networks": [{"network": "shop", "founder": "0xa1"}]},
                    "k2": {"networks": [{"network": "shop", "founder": "0xa1"}]},
                    "k3": {"error": {}},
                }
            },
            ["0xa1/shop"],
        ),
        ("network connect", json_of(RESULTS["network connect"]), ["0x" + "A1" * 20 + "/shop"]),
    ],
)
def test_names_in_answers(verb: str, answer: dict, names: list[str]) -> None:
    assert [one.lower() for one in names_of(verb, answer)] == [one.lower() for one in names]


async def test_a_name_alone_is_printed_and_can_be_handed_on(bench, cli) -> None:
    async with bench.peer().serve() as peer:
        await bench.deploy()
        providers = await cli("provider", "list", "-o", "name")
        listed = await cli("list", "-o", "name")
        stopped = await cli("-o", "name", "stop", listed.stdout.strip())
        gone = await cli("delete", "hello", "--yes", "-o", "name")
        none = await cli("list", "-o", "name")
    assert providers.stdout.splitlines() == [f"{peer.row.owner}/{peer.row.daemon}"]
    assert [done.stdout for done in (listed, stopped, gone)] == ["hello\n"] * 3
    assert (none.exit_code, none.stdout) == (0, "")


async def test_where_no_name_makes_sense_it_is_refused_before_anything(cli) -> None:
    done = await cli("bill", "hello", "-o", "name")
    assert done.exit_code == 2
    assert "'name' is not one of 'text', 'wide', 'json', 'yaml'" in done.stderr

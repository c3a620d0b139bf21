# SPDX-License-Identifier: Apache-2.0
"""`schema`: what is printed, for people and for programs."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from trustedpods.publisher.cli import main
from trustedpods.publisher.commands.shell.schema import complete_verb
from trustedpods.publisher.output.answers.published import BESIDE, PUBLISHED, schema_id
from trustedpods.publisher.output.answers.schema import schema


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["schema", *words])


@pytest.mark.parametrize("verb", ["status", "provider list", "network member add", "error", "log line"])
def test_a_schema_is_the_whole_output(verb: str) -> None:
    assert json.loads(run(*verb.split()).stdout) == schema(verb)
    assert json.loads(run(*verb.split(), "-o", "json").stdout)["schema"] == schema(verb)


def test_without_a_verb_all_are_listed() -> None:
    head, *rows = run().stdout.splitlines()
    assert head.split() == ["VERB", "SCHEMA"]
    assert len(rows) == len(PUBLISHED) + len(BESIDE)
    listed = json.loads(run("-o", "json").stdout)["schemas"]
    assert (
        listed["network status"] == schema_id("network status") == "urn:trustedpods:answers:v1:network-status"
    )


def test_a_verb_without_one_is_code_2() -> None:
    done = run("completion")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "`trustedpods schema` lists the verbs that have one" in done.stderr


def test_no_verb_that_prints_loads_a_form_or_a_schema() -> None:
    """They are types: a run costs what it cost without them."""
    code = (
        "import sys\n"
        "from importlib import import_module\n"
        "from trustedpods.publisher.output.json_of import FORMS\n"
        "for name in (*FORMS, 'json_run'): import_module(f'trustedpods.publisher.output.{name}')\n"
        "import trustedpods.publisher.commands.pods, trustedpods.publisher.commands.streams.logs\n"
        "import trustedpods.publisher.verbs.pods, trustedpods.publisher.verbs.running.listed\n"
        "print(*[name for name in sys.modules if '.output.answers' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    package = "trustedpods.publisher.output.answers"
    assert sorted(done.stdout.split()) == [package, f"{package}.published"]


@pytest.mark.parametrize("program", ["trustedpods", "python -m trustedpods"])
def test_an_object_names_the_schema_of_its_verb_however_the_program_is_called(program: str) -> None:
    words = ["provider", "list", "-o", "json"]
    done = CliRunner(env={"TRUSTEDPODS_MARKET": "/nowhere"}).invoke(main, words, prog_name=program)
    assert json.loads(done.stdout)["schema"] == schema_id("provider list")


def test_a_shell_completes_verbs() -> None:
    assert complete_verb(None, None, "stat")[-2:] == ["state show", "status"]

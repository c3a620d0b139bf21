# SPDX-License-Identifier: Apache-2.0
"""`explain`: what is printed, for people and for editors."""

import json

from click.testing import CliRunner

from trustedpods.manifests.schema import schema
from trustedpods.publisher.cli import main


def run(*words: str) -> str:
    done = CliRunner().invoke(main, ["explain", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_part_with_its_fields() -> None:
    first, *_, last = run("spec.scale").splitlines()
    assert first == "spec.scale: object"
    assert last.split() == ["ownSleep", "true", "or", "false", "false"]


def test_a_value_with_its_bounds_in_both_forms() -> None:
    assert run("spec.scale.max").startswith(
        "spec.scale.max: whole number; default 1; at least 1; at most 20\n"
    )
    assert json.loads(run("spec.scale.max", "-o", "json"))["rules"] == ["at least 1", "at most 20"]


def test_the_schema_is_the_whole_output() -> None:
    assert json.loads(run("--schema")) == schema()
    assert json.loads(run("--schema", "--kind", "Network", "-o", "json"))["schema"] == schema("Network")


def test_a_typing_error_is_code_2() -> None:
    done = CliRunner().invoke(main, ["explain", "idelAfter"])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "idleAfter" in done.stderr

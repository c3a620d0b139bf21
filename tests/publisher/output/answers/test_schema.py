# SPDX-License-Identifier: Apache-2.0
"""Schemas of answers: published as they are, for these verbs, and what they refuse."""

import json
from typing import Annotated, Literal, NotRequired, TypedDict

import click
import pytest

from tests.publisher.output.answers.held import hold, problems, verb_of
from tests.publisher.output.answers.pages import FOLDER, pages
from trustedpods.publisher.cli import main
from trustedpods.publisher.output.answers import schema as made
from trustedpods.publisher.output.answers.published import BESIDE, PUBLISHED, schema_id
from trustedpods.publisher.output.answers.schema import DRAFT, schema
from trustedpods.publisher.output.answers.verbs import ANSWERS
from trustedpods.publisher.output.answers.words import Meaning

WITHOUT = {"explain", "schema"}
"""Verbs whose answer is a schema itself, or a field of one."""


def verbs_with_json(group: click.Group, above: click.Context) -> set[str]:
    """Every verb that has -o, as it is typed."""
    found = set()
    for name in group.list_commands(above):
        verb = group.get_command(above, name)
        assert verb is not None
        inner = click.Context(verb, above, name)
        if isinstance(verb, click.Group):
            found |= verbs_with_json(verb, inner)
        elif any(parameter.name == "output" for parameter in verb.params):
            found.add(inner.command_path.partition(" ")[2])
    return found


def test_each_verb_has_a_schema_or_is_listed_as_one_without() -> None:
    every = verbs_with_json(main, click.Context(main, info_name="trustedpods"))
    assert sorted(every - set(PUBLISHED)) == sorted(WITHOUT)
    assert list(PUBLISHED) == sorted(ANSWERS)


def test_the_files_are_as_the_forms_are() -> None:
    kept = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert kept == pages(), "python -m tests.publisher.output.answers.pages writes them anew"


@pytest.mark.parametrize("verb", [*PUBLISHED, *BESIDE])
def test_a_schema_has_its_draft_its_name_and_all_that_it_refers_to(verb: str) -> None:
    whole = schema(verb)
    text = json.dumps(whole)
    assert whole["$schema"] == DRAFT
    assert whole["$id"] == schema_id(verb)
    referred = {part.partition('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert referred == set(whole["$defs"])
    for name, form in whole["$defs"].items():
        assert form["description"], f"{name} says what it is"


class Part(TypedDict):
    """A part."""

    colour: Literal["red", "blue"]
    size: NotRequired[int]


class Whole(TypedDict):
    """All of it."""

    name: Annotated[str, Meaning("A name.", "^[a-z]+$")]
    parts: list[Part]
    by_name: dict[str, float]
    last: Part | None
    told: bool


SOUND = {
    "name": "abc",
    "parts": [{"colour": "red"}, {"colour": "blue", "size": 2}],
    "by_name": {"a": 1, "b": 0.5},
    "last": None,
    "told": True,
}


def test_what_is_declared_holds() -> None:
    assert list(wrong_of(SOUND)) == []
    assert list(wrong_of(SOUND | {"last": {"colour": "red"}})) == []


def wrong_of(tree: object) -> list[str]:
    defined: dict[str, made.Schema] = {}
    top = made.schema_of_type(Whole, defined)
    return list(problems(tree, top, {"$defs": defined}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "ABC"}, "$.name: 'ABC' does not match ^[a-z]+$"),
        ({"name": 1}, "$.name: 1 is no string"),
        ({"name": None}, "$.name: None is no string"),
        ({"parts": {}}, "$.parts: {} is no array"),
        ({"parts": [{"size": 1}]}, "$.parts[0]: no colour"),
        ({"parts": [{"colour": "green"}]}, "$.parts[0].colour: 'green' is none of ['red', 'blue']"),
        ({"parts": [{"colour": "red", "size": True}]}, "$.parts[0].size: True is no integer"),
        ({"parts": [{"colour": "red", "size": 0.5}]}, "$.parts[0].size: 0.5 is no integer"),
        ({"parts": [{"colour": "red", "shape": 1}]}, "$.parts[0].shape: not declared"),
        ({"by_name": {"a": "1"}}, "$.by_name.a: '1' is no number"),
        ({"last": {"colour": 1}}, "$.last.colour: 1 is none of ['red', 'blue']"),
        ({"last": 1}, "$.last: 1 is no object"),
        ({"told": 1}, "$.told: 1 is no boolean"),
        ({"more": 1}, "$.more: not declared"),
    ],
)
def test_what_is_not_as_declared_is_found(change: dict[str, object], said: str) -> None:
    assert wrong_of(SOUND | change) == [said]


def test_a_keyword_that_nobody_checks_is_no_pass() -> None:
    with pytest.raises(AssertionError, match="maxItems"):
        list(problems([], {"type": "array", "maxItems": 3}, {}))


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        (["status", "web"], "status"),
        (["provider", "list", "--attest"], "provider list"),
        (["network", "status", "shop"], "network status"),
        (["network", "fund", "shop"], "network fund"),
        (["network", "member", "add", "shop"], "network member add"),
        (["network", "member"], None),
        (["explain", "fund"], None),
        (["image", "push", "status"], "image push"),
        ([], None),
    ],
)
def test_the_verb_of_a_command_line(words: list[str], verb: str | None) -> None:
    assert verb_of(words) == verb


RUN = {"schema": schema_id("events"), "seconds": 0.1, "steps": [], "events": []}
ERROR_FIELDS = {"error": {"code": "bad-input", "exit": 2, "what": "no"}}


def test_an_answer_is_held_with_all_that_stands_beside_it() -> None:
    step = {"step": None, "name": "ask", "began": 0.0, "seconds": 0.1, "fact": [1]}
    answer = {"pod": "web", "pod_events": [], **RUN, "steps": [step]}
    hold(["events", "web", "-o", "json"], json.dumps(answer))
    hold(["events", "web", "-o", "json"], json.dumps(RUN | ERROR_FIELDS))
    for wrong in (
        RUN,
        answer | {"schema": schema_id("usage")},
        answer | {"pod": None},
        answer | {"steps": [{}]},
    ):
        with pytest.raises(AssertionError):
            hold(["events", "web", "--output", "json"], json.dumps(wrong))


def test_a_verb_without_a_schema_has_one_for_its_failures() -> None:
    failed = {"valid": False, "seconds": 0.1, "steps": [], "events": []} | ERROR_FIELDS
    hold(["explain", "shop", "-o", "json"], json.dumps(failed))
    with pytest.raises(AssertionError, match="no what"):
        hold(["explain", "-o", "json"], json.dumps(failed | {"error": {"code": "bad-input", "exit": 2}}))


def test_each_round_of_watch_is_held() -> None:
    run = {"schema": schema_id("watch"), "seconds": 0.1, "steps": [], "events": []}
    sound = json.dumps({"pods": [], "exit": 0, **run})
    failed = json.dumps(run | ERROR_FIELDS, indent=2)
    hold(["watch", "-o", "json"], f"{sound}\n{sound}\n{failed}\n")
    with pytest.raises(AssertionError, match="no exit"):
        hold(["watch", "-o", "json"], f"{sound}\n{json.dumps({'pods': [], **run})}\n")


def test_what_is_no_answer_is_left_alone() -> None:
    hold(["events", "web"], "a line")
    hold(["exec", "web", "--", "kubectl", "get", "pods", "-o", "json"], "a line")
    hold(["explain", "-o", "json"], "[1]")
    hold(["events", "-o", "json"], "")
    hold(["explain", "shop", "-o", "json"], "{}")


def test_each_line_of_logs_that_are_followed_is_held() -> None:
    line = {"time": "2026-11-30T10:00:00Z", "replica": "web-0", "container": "app", "text": "a"}
    hold(["logs", "web", "-f", "-o", "json"], f"{json.dumps(line)}\n{json.dumps(line)}\n")
    with pytest.raises(AssertionError, match="no replica"):
        hold(["logs", "web", "-f", "-o", "json"], json.dumps({"time": line["time"]}))

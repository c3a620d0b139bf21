# SPDX-License-Identifier: Apache-2.0
"""Every verb returns a frozen value with a documented type, and no dictionary of facts crosses a room."""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
from typing import get_args

import pytest

from tests.paths import ROOT
from tests.protocol.imports.children import said_by
from trustedpods.publisher import client, results
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.network_client import LogShow, NetworkClient
from trustedpods.publisher.output.json_of import FORMS, json_of
from trustedpods.publisher.results.deployed import DeployResult

ROOMS = ("attestation", "commands", "core", "delivery", "market", "payment", "results", "verbs", "visits")
"""Those between the door and the rim. `state` reads and writes files of its own, `output` is the rim."""


def modules():
    return [
        importlib.import_module(f"{results.__name__}.{found.name}")
        for found in pkgutil.iter_modules(results.__path__)
    ]


TYPES = [
    kind
    for module in modules()
    for kind in vars(module).values()
    if inspect.isclass(kind) and kind.__module__ == module.__name__
]
RESULTS = [kind for kind in TYPES if kind.__name__.endswith("Result")]
PROGRESS = [kind for kind in TYPES if kind.__name__.endswith("Progress")]


def types_of(kind):
    return [field.type for field in dataclasses.fields(kind)]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.__name__)
def test_a_result_is_frozen_and_says_what_it_is(kind):
    assert dataclasses.is_dataclass(kind)
    assert len(kind.__doc__.split()) > 3
    assert "__slots__" in vars(kind)
    assert kind.__dataclass_params__.frozen == (kind not in PROGRESS)
    if kind not in PROGRESS:
        assert not {"list", "dict"} & set(re.findall(r"\w+", " ".join(map(str, types_of(kind)))))


def test_every_result_and_every_progress_has_one_form_in_json():
    assert len(FORMS) >= 4
    for name in FORMS:
        importlib.import_module(f"trustedpods.publisher.output.{name}")
    without = [
        kind.__name__ for kind in (*RESULTS, *PROGRESS) if json_of.dispatch(kind) is json_of.dispatch(object)
    ]
    assert without == []


def test_a_progress_that_knows_nothing_is_an_empty_object():
    assert [json_of(kind()) for kind in PROGRESS] == [{}] * len(PROGRESS)
    assert len(PROGRESS) >= 5


def test_a_deploy_loads_no_form_of_networks():
    """Each form is found by its result, whichever was asked for before it; each takes its time to load."""
    code = "import sys\nfrom trustedpods.publisher.output.json_of import json_of\n"
    code += "from trustedpods.publisher.results.deployed import DeployProgress\n"
    code += "print(json_of(DeployProgress()), 'trustedpods.publisher.output.json_networks' in sys.modules)\n"
    code += "from trustedpods.publisher.results.networks import KeptNetworksResult\n"
    code += "print(type(json_of(KeptNetworksResult({}))).__name__)\n"
    code += "print('trustedpods.publisher.output.json_networks' in sys.modules)"
    assert said_by(code) == ["{}", "False", "dict", "True"]


def test_what_is_left_for_a_wait_is_done_once():
    journal, done = Journal(LogShow()), []
    journal.waits()
    journal.while_waiting = lambda: done.append(1)
    journal.waits()
    journal.waits()
    assert done == [1]


def test_what_has_no_form_is_refused():
    with pytest.raises(NotImplementedError, match="int"):
        json_of(1)


def test_every_verb_returns_a_result_of_its_own():
    assert inspect.signature(client.Client.rollback).return_annotation is DeployResult  # it deploys again
    verbs = [verb for name, verb in vars(client.Client).items() if name[0] != "_" and name != "rollback"]
    returned = [inspect.signature(verb).return_annotation for verb in verbs]
    assert {kind for one in returned for kind in get_args(one) or (one,)} <= set(RESULTS)
    assert len(set(returned)) == len(returned) >= 12
    on_networks = [verb for name, verb in vars(NetworkClient).items() if not name.startswith("_")]
    returned = {inspect.signature(verb).return_annotation for verb in on_networks}
    assert returned <= set(RESULTS)
    assert len(returned) >= 16


def test_the_journal_holds_no_result():
    assert not {"result", "as_json"} & {*vars(Journal(LogShow())), *vars(Journal)}


def loose(path):
    """Where a function of *path* takes or returns a dictionary of anything, by line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            taken = [*node.args.args, *node.args.kwonlyargs]
            for annotation in (node.returns, *(one.annotation for one in taken)):
                text = "" if annotation is None else ast.unparse(annotation)
                if any(text.count(f"dict[str, {kind}]") for kind in ("Any", "object", "Fact")):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}: {text}"


@pytest.mark.parametrize("room", ROOMS)
def test_no_dictionary_of_anything_crosses_a_room(room):
    files = list((ROOT / "publisher" / room).rglob("*.py"))
    assert files
    assert [found for file in files for found in loose(file)] == []

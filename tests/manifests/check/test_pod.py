# SPDX-License-Identifier: Apache-2.0
"""Whatever the code can say of a wrong manifest is said of an example, to the client and to the provider."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.manifests.sound import FILES, SEED, SOUND, changed
from tests.manifests.wrong import WRONG
from tests.manifests.wrong_form import Wrong
from tests.paths import ROOT
from trustedpods.manifests.check.pod import problems
from trustedpods.manifests.parse import load, parse_received
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import BadInput

SOURCES = [
    *sorted((ROOT / "manifests" / "check").glob("[!_]*.py")),
    *sorted((ROOT / "manifests" / "spec").glob("[!_]*.py")),
    ROOT / "manifests" / "words" / "settle.py",
]

BY_FORM = {"unknown field", "unknown field; did you mean {}?{}"}
"""Said of words that are not the model's: tests/manifests/words/ has these."""


def sentences(path: Path) -> Iterator[str]:
    """What the module can say: texts of `Problem`, `ValueError` and `not_yet`, with {} for values."""
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef) or function.name == "not_yet":
            continue
        assigned = {
            node.targets[0].id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                position = {"Problem": 1, "ValueError": 0, "not_yet": 0}.get(call.func.id)
                if position is not None:
                    said = call.args[position]
                    said = assigned.get(said.id, said) if isinstance(said, ast.Name) else said
                    yield from template(said)


def template(said: ast.expr) -> Iterator[str]:
    """The text with {} where values are put in; none for an expression that is no text."""
    if isinstance(said, ast.BinOp):
        said = said.left
    if isinstance(said, ast.Constant) and isinstance(said.value, str):
        yield said.value
    if isinstance(said, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in said.values)


def said_of(case: Wrong) -> str:
    with pytest.raises(BadInput) as refused:
        parse_received(json.dumps(case.tree).encode(), {"keys": case.files}, {("data", None): case.seed})
    return f"{refused.value.where}: {refused.value.what}"


def test_the_sound_one_is_sound(tmp_path: Path) -> None:
    assert not list(problems(PodManifest.model_validate(SOUND)))
    parse_received(json.dumps(SOUND).encode(), {"keys": FILES}, {("data", None): SEED})


@pytest.mark.parametrize("name", WRONG)
def test_both_sides_refuse_it_and_say_the_same(tmp_path: Path, name: str) -> None:
    case = WRONG[name]
    for key, file in SOUND["spec"]["volumes"][0]["secret"]["files"].items():
        (tmp_path / file).write_bytes(case.files[key])
    (tmp_path / "first").mkdir()
    for name_below, content in case.seed.items():
        (tmp_path / "first" / name_below).parent.mkdir(exist_ok=True)
        (tmp_path / "first" / name_below).write_bytes(content)
    path = tmp_path / "pod.yaml"
    path.write_text(json.dumps(case.tree))
    with pytest.raises(BadInput) as refused:
        load(path)
    received = said_of(case)
    assert case.words in received
    field, _, words = received.partition(": ")
    assert field in (refused.value.where or "")
    assert words.splitlines()[0] == refused.value.what.splitlines()[0]


def test_every_sentence_of_the_checks_has_its_example() -> None:
    texts = [said_of(case) for case in WRONG.values()]
    missing = [
        f"{path.name}: {sentence}"
        for path in SOURCES
        for sentence in sorted(set(sentences(path)) - BY_FORM)
        if not any(
            re.search(".*".join(map(re.escape, sentence.split("{}"))), text, re.DOTALL) for text in texts
        )
    ]
    assert missing == []


def test_the_search_for_sentences_finds_them(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        'def a(x):\n    text = f"no {x} here"\n    yield Problem(x, text)\n'
        'def b(x):\n    raise ValueError("plain" + x)\n'
    )
    assert list(sentences(module)) == ["no {} here", "plain"]


def test_replicas_with_a_number_may_be_told_it() -> None:
    tree = changed(
        "spec.containers.0.env.2.valueFrom.fieldRef.fieldPath",
        "metadata.labels['apps.kubernetes.io/pod-index']",
    )
    tree["spec"] |= {"workload": "stateful", "scale": {"min": 1, "max": 1}}
    assert parse_received(json.dumps(tree).encode(), {"keys": FILES}).spec.workload == "stateful"

# SPDX-License-Identifier: Apache-2.0
"""Every known word in every part of a manifest: refused with its advice, or gone where it changes nothing."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from tests.examples import some
from tests.manifests.sound import FILES, SOUND, Path, at
from trustedpods.manifests.parse import parse_received
from trustedpods.manifests.words.places import MANIFEST
from trustedpods.manifests.words.settle import settled
from trustedpods.manifests.words.word import Place, Word
from trustedpods.protocol.errors import BadInput

SOUND_MANIFEST = parse_received(json.dumps(SOUND).encode(), {"keys": FILES})

NEW = {"surely": "new"}
"""A value that no word may have."""


def spots(place: Place = MANIFEST, path: Path = ()) -> Iterator[tuple[str, Path, Word]]:
    """Each known word: its name, a mapping of SOUND in which it may stand, and what is known."""
    for name, word in place.words.items():
        if place.word(name) is not None:
            yield name, path, word
    for field, below in place.parts.items():
        try:
            part = at((*path, field))
        except KeyError:
            continue  # SOUND says it elsewhere: the tests below count the parts
        for index, entry in enumerate(part) if isinstance(part, list) else [(None, part)]:
            if isinstance(entry, dict):
                yield from spots(below, (*path, field) if index is None else (*path, field, index))


SPOTS = list(spots())


def taken(path: Path, words: dict[str, object]) -> dict[str, Any]:
    tree = deepcopy(SOUND)
    at(path, tree).update(words)
    return tree


def asked(tree: dict[str, Any]) -> str:
    """What is said of it; nothing where it is the sound one."""
    try:
        manifest = parse_received(json.dumps(tree).encode(), {"keys": FILES})
    except BadInput as refused:
        return f"{refused.where}: {refused.what}"
    assert manifest == SOUND_MANIFEST
    return ""


@pytest.mark.parametrize("path", sorted({path for _, path, _ in SPOTS}, key=str), ids=str)
def test_each_word_says_what_to_write(path: Path) -> None:
    here = [(name, word) for name, where, word in SPOTS if where == path]
    for name, word in some(here):
        said = asked(taken(path, {name: NEW}))
        if word.whatever:
            assert said == ""
        elif word.inside is None:
            assert word.advice in said
            assert "unknown" not in said
            assert len(said.splitlines()) == 1, said
        for value in (*word.same, None, {}, []):
            assert asked(taken(path, {name: value})) == "", (name, value)


def test_every_part_was_tried() -> None:
    parts = {id(word) for _, _, word in SPOTS}
    assert len(parts) > 150
    assert {word.inside.title for _, _, word in SPOTS if word.inside is not None} >= {
        "securityContext of `spec`"
    }


@pytest.mark.parametrize("inside", [word.inside for _, _, word in spots() if word.inside is not None][:3])
def test_words_inside_a_word_are_judged_one_by_one(inside: Place) -> None:
    for name, word in inside.words.items():
        holder = next((key, path) for key, path, other in SPOTS if other.inside is inside)
        said = asked(taken(holder[1], {holder[0]: {name: NEW}}))
        if word.inside is None:
            assert word.advice in said
        for value in word.same:
            assert asked(taken(holder[1], {holder[0]: {name: value}})) == ""
    assert "unknown field" in asked(taken(holder[1], {holder[0]: {"flavour": "sweet"}}))


@pytest.mark.parametrize("same", [(True, 1), (False, 0)])
def test_numbers_are_no_truth(same: tuple[bool, int]) -> None:
    truth, number = same
    assert Word("x", same=(truth,)).asks_for_nothing_new(truth)
    assert not Word("x", same=(truth,)).asks_for_nothing_new(number)


def test_a_word_that_was_taken_out_is_the_only_problem() -> None:
    tree = taken(
        ("spec",), {"volumes": [{"name": "x", "hostPath": {"path": "/"}}, *SOUND["spec"]["volumes"]]}
    )
    assert len(asked(tree).splitlines()) == 1


@pytest.mark.parametrize(
    "tree", [None, 1, "x", [], {}, {"spec": 1}, {"spec": {"containers": {"x": 1}}}, {1: 2}]
)
def test_what_is_no_manifest_is_left_to_the_model(tree: object) -> None:
    assert settled(tree) == (tree, [])

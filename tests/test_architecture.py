# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md draws the rooms as `.importlinter` has them and describes each as its charter."""

import re

import pytest

from tests import architecture
from tests.architecture import PAGE, drawing, layers_contracts
from tests.paths import ROOT

PAGE_TEXT = PAGE.read_text()


@pytest.mark.parametrize("contract", layers_contracts(), ids=lambda contract: contract.container)
def test_the_page_has_a_place_for_each_contract(contract: architecture.LayersContract) -> None:
    assert len(architecture.marker(contract.container).findall(PAGE_TEXT)) == 1


def test_drawings_and_charters_are_those_of_the_tree() -> None:
    assert architecture.rewritten(PAGE_TEXT) == PAGE_TEXT, "run `python -m tests.architecture`"


def test_every_package_of_the_house_is_described() -> None:
    described = set(re.findall(r"^\| `([^`]+)/` \|", PAGE_TEXT, re.MULTILINE))
    packages = {
        place.relative_to(ROOT).as_posix()
        for room in (
            "publisher",
            "provider",
            "protocol",
            "contracts",
            "manifests",
            "deploy/localnet",
            "deploy/guest",
        )
        for place in (ROOT / room, *architecture.packages_in(ROOT / room))
    }
    assert described == packages


def test_every_description_says_something() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", PAGE_TEXT, re.MULTILINE)
    assert [name for name, text in rows if len(text.split()) < 4] == []


def test_rooms_of_one_layer_stand_side_by_side() -> None:
    assert [line.strip("│┌┐├┤└┘").strip() for line in drawing((("a",), ("b", "c"))).splitlines()][1] == "a"
    assert re.search(r"│ +b +│ +c +│", drawing((("a",), ("b", "c"))))

# SPDX-License-Identifier: Apache-2.0
"""Man pages: as the commands are now, whole, and without a word that groff does not know."""

import shutil
import subprocess
import tomllib

import pytest

from tests.paths import ROOT
from tests.publisher.man.pages import CLIENT, DAEMON, pages
from trustedpods.provider.cli import main as provider
from trustedpods.publisher.cli import VERBS

PAGES = pages(CLIENT) | pages(DAEMON)


@pytest.mark.parametrize("manual", [CLIENT, DAEMON], ids=lambda manual: manual.program)
def test_they_are_as_the_commands_are(manual):
    kept = {path.name: path.read_text() for path in manual.folder.iterdir()}
    assert kept == pages(manual), "python -m tests.publisher.man.pages draws them anew"


def test_there_is_one_for_each_verb():
    assert pages(CLIENT).keys() == {"trustedpods.1"} | {f"trustedpods-{name}.1" for name in VERBS}
    daemons = {f"trustedpods-provider-{name}.8" for name in provider.commands}
    assert pages(DAEMON).keys() == {"trustedpods-provider.8"} | daemons


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_its_parts_in_order(name):
    heads = [line.partition(" ")[2] for line in PAGES[name].splitlines() if line.startswith(".SH ")]
    assert heads[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert len(heads) == len(set(heads))
    assert "\b" not in PAGES[name]


def test_groups_show_their_verbs():
    assert ".SS trustedpods network member add" in PAGES["trustedpods-network.1"]
    assert "\\-\\-attest" in PAGES["trustedpods-provider.1"]


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here")
def test_groff_warns_of_nothing():
    done = subprocess.run(
        [
            "groff",
            "-man",
            "-Tutf8",
            "-ww",
            "-z",
            *sorted(CLIENT.folder.iterdir()),
            *sorted(DAEMON.folder.iterdir()),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_wheel_brings_them():
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["shared-data"] == {"docs/man": "share/man/man1"}

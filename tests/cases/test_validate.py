# SPDX-License-Identifier: Apache-2.0
"""`validate` of every manifest and archive: sound, or one line with its place and what to write instead."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cases.pods import DEPLOYED, PODS, Pod, write
from tests.fakes.images.image_parts import PROGRAM
from trustedpods.protocol.errors import ExitCode
from trustedpods.publisher.cli import main

PLACE = re.compile(r"error: pod\.yaml:[1-9][0-9]*( [A-Za-z][^ ]*)?: ")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("name", PODS)
def test_each_is_sound_or_refused_in_one_line(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.chdir(tmp_path)
    case: Pod = PODS[name]
    write(case, tmp_path, PROGRAM)
    said = CliRunner().invoke(main, ["validate", "--offline", "pod.yaml"])
    assert "Traceback" not in said.output
    if case.refused is None:
        assert (said.exit_code, said.stderr) == (ExitCode.DONE, "")
        assert said.stdout.splitlines()[0].endswith(" is sound")
        return
    assert said.exit_code == ExitCode.BAD_INPUT, said.output
    assert said.stdout == ""
    (line,) = said.stderr.splitlines()
    assert PLACE.match(line), line
    assert case.refused in line
    if name.startswith("archive: "):  # manifests are told what to write in the words themselves
        assert re.search(r"; [a-z]", line.partition(case.refused)[2]), line


def test_there_are_as_many_as_the_tables_say() -> None:
    assert len(PODS) > 250
    assert len(DEPLOYED) > 120
    assert {name.partition(":")[0] for name in PODS} == {"manifest", "file", "archive", "pod"}

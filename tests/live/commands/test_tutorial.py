# SPDX-License-Identifier: Apache-2.0
"""The tutorial, typed as it stands into a shell of a new user, on a market of its own."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.commands.tutorial_page import Step, steps, unanswered
from tests.live.localnet_fixture import PREFIX, localnet
from tests.paths import ROOT

LIMIT_S = 480
PAGES = [ROOT / "docs" / name for name in ("tutorial.md", "howto.md")]


@pytest.mark.live
@pytest.mark.timeout(LIMIT_S + 120)
@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_what_a_page_types_answers_as_it_says(page: Path, tmp_path: Path) -> None:
    name, typed = PREFIX + secrets.token_hex(4), steps(page)
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # what `make setup` built is there
    own = {"HOME": str(tmp_path), "XDG_CACHE_HOME": cache, "TRUSTEDPODS_LOCALNET": name}
    with localnet(name=name):
        done = subprocess.run(
            ["bash", "-c", script(typed, str(Path(sys.executable).parent / "activate"))],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"} | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    said = done.stdout.split(MARK)
    assert len(said) == len(typed) + 1, f"ended in step {len(said)} with code {done.returncode}:\n{said[-1]}"
    for step, answer in zip(typed, said[:-1], strict=True):
        assert unanswered(step, answer) is None, f"{page.name}:{step.line} answered:\n{answer}"


MARK = "== the step has ended =="


def script(typed: list[Step], activate: str) -> str:
    """All steps for one shell that ends at the first command that fails; *activate* is this run's."""
    lines = "".join(f"{step.typed}echo '{MARK}'\n" for step in typed)
    return "set -eo pipefail\n" + lines.replace(". .venv/bin/activate", f". {activate}")


def test_the_page_is_read_as_steps(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n```sh\necho 1\n```\nb\n```text\n1\n```\n```sh\necho 2\n```\n")
    assert steps(page) == [Step(3, "echo 1\n", ("1",)), Step(10, "echo 2\n", ())]
    page.write_text("```text\n1\n```\n")
    with pytest.raises(ValueError, match="has no place here"):
        steps(page)
    for shipped in PAGES:
        assert len(steps(shipped)) >= 9
        assert all(step.answer for step in steps(shipped))


@pytest.mark.parametrize(
    ("answer", "said", "missing"),
    [
        (("one …", "…", "two"), "zero\none  thing\nmore\ntwo\n", None),
        (("two", "one"), "one\ntwo\n", "one"),
        (("a … c",), "a b  c\n", None),
        (("a … c",), "a b\n", "a … c"),
        (("code 10",), "code 100\n", "code 10"),
        (("…",), "", None),
    ],
)
def test_an_answer_is_looked_for_line_by_line(
    answer: tuple[str, ...], said: str, missing: str | None
) -> None:
    assert unanswered(Step(1, "", answer), said) == missing

# SPDX-License-Identifier: Apache-2.0
"""The verb `exec`: whose exit code it is, and which input is passed on."""

import os

import pytest
from click.testing import CliRunner

from tests.publisher.test_cli import cli
from trustedpods.publisher.cli import main
from trustedpods.publisher.commands.exec import OURS, passes_on

__all__ = ["cli"]


async def test_the_commands_own_exit_code_and_ours(bench, cli):
    async with bench.peer().serve():
        assert (await cli("deploy", bench.folder / "pod.yaml")).exit_code == 0
        ran = await cli("exec", "hello", "--", "fail", "7")
        assert (ran.exit_code, ran.stdout_bytes, ran.stderr_bytes) == (7, b"out", b"err\x1b[2J")
        nobody = await cli("exec", "nobody", "--", "true")
        assert nobody.exit_code == OURS + 6
        assert "[unknown-pod]" in nobody.stderr
    away = await cli("exec", "hello", "--", "true")
    assert away.exit_code == OURS + 8


@pytest.mark.parametrize(
    "words",
    [["hello"], ["--nope", "hello", "--", "x"], ["hello", "-i", "-n", "--", "x"], ["No Name", "--", "x"]],
)
def test_a_wrong_command_line_is_ours_too(words):
    result = CliRunner().invoke(main, ["exec", *words])
    assert result.exit_code == OURS + 2, result.output


def test_which_input_is_passed_on(tmp_path):
    into, out = os.pipe()
    leader, terminal = os.openpty()
    with (
        os.fdopen(into) as pipe,
        os.fdopen(out, "w"),
        os.fdopen(terminal) as tty,
        os.fdopen(leader),
        open(os.devnull) as null,
        open(__file__) as file,
    ):
        assert [passes_on(one) for one in (pipe, file, tty, null, None)] == [True, True, False, False, False]
    assert not passes_on(pipe)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("web", "npm", "install", "--quiet"), 242),
        (("web", "--verbose", "make"), 242),
        (("web", "--quiet", "--market", "absent.toml", "--", "npm", "install", "--quiet"), 244),
        (("--quiet", "--market", "absent.toml", "web", "ls"), 244),
    ],
)
def test_an_option_that_both_have_is_taken_from_no_command(words: tuple[str, ...], code: int) -> None:
    done = CliRunner().invoke(main, ["exec", *words])
    assert done.exit_code == code, done.output
    assert ("write `--` before CMD" in done.output) == (code == 242)

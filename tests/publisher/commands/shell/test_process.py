# SPDX-License-Identifier: Apache-2.0
"""A process of the command ends at once, and as Python would have ended it."""

import os
import subprocess
import sys

import pytest

BEFORE = "import atexit, os, sys, threading, time\nfrom trustedpods.publisher.commands.shell import process\n"


def ended(code: str, *, runner: str = "process.run(command)", stdout: int = subprocess.PIPE):
    program = f"{BEFORE}\ndef command():\n    {code}\n\n{runner}\n"
    return subprocess.run(
        [sys.executable, "-c", program],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "code",
    [
        "sys.exit()",
        "sys.exit(0)",
        "sys.exit(3)",
        "sys.exit('words')",
        "sys.exit(True)",
        "print('x' * 1_000_000); print('e', file=sys.stderr); sys.exit(4)",
        "atexit.register(print, 'at the end'); sys.exit(5)",
        "threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start(); sys.exit(6)",
        "atexit.register(sys.stdout.close); sys.exit(7)",
        "raise OSError('unexpected')",
    ],
)
def test_it_ends_as_python_would(code):
    ours, pythons = ended(code), ended(code, runner="command()")
    assert (ours.returncode, ours.stdout) == (pythons.returncode, pythons.stdout)
    assert ours.stderr.splitlines()[-1:] == pythons.stderr.splitlines()[-1:]


def test_a_reader_that_went_away_is_told_as_python_tells_it():
    results = []
    for runner in ("process.run(command)", "command()"):
        reading, writing = os.pipe()
        os.close(reading)
        done = ended("print('lost'); sys.exit(0)", runner=runner, stdout=writing)
        os.close(writing)
        results.append((done.returncode, done.stderr.splitlines()[-1]))
    assert results[0] == results[1]
    assert "BrokenPipeError" in results[0][1]


def test_nothing_is_taken_apart_at_the_end():
    gone = "type('Gone', (), {'__del__': lambda self, tell=os.write: tell(1, b'apart')})()"
    code = f"globals()['gone'] = {gone}; sys.exit(0)"
    assert ended(code).stdout == ""
    assert ended(code, runner="command()").stdout == "apart"

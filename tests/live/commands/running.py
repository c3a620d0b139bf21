# SPDX-License-Identifier: Apache-2.0
"""`trustedpods exec` as a person runs it: a process with bytes for its input and outputs."""

import subprocess
from dataclasses import dataclass

from tests.live.clients.publisher import COMMANDS, LIMIT_S, Publisher


@dataclass(frozen=True)
class Ran:
    """How a command in a pod ended, and what it wrote."""

    code: int
    out: bytes
    err: bytes


def start(publisher: Publisher, *words: str) -> "subprocess.Popen[bytes]":
    """The command as a process whose input and outputs are pipes."""
    pipe = subprocess.PIPE
    argv = [str(COMMANDS / "trustedpods"), "exec", *words]
    environment = publisher.environment()
    return subprocess.Popen(argv, env=environment, cwd=publisher.folder, stdin=pipe, stdout=pipe, stderr=pipe)


def run(publisher: Publisher, *words: str, data: bytes = b"") -> Ran:
    """Run it to its end, with *data* as its whole input."""
    with start(publisher, *words) as process:
        try:
            out, err = process.communicate(data, timeout=LIMIT_S)
        finally:
            process.kill()
    return Ran(process.returncode, out, err)


def check(publisher: Publisher, *words: str, data: bytes = b"") -> bytes:
    """The same, which must end with 0; its output."""
    ran = run(publisher, *words, data=data)
    assert ran.code == 0, f"exec {words!r}: exit {ran.code}\n{ran.out[-2000:]!r}\n{ran.err[-2000:]!r}"
    return ran.out

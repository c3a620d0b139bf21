# SPDX-License-Identifier: Apache-2.0
"""Runs tests against mutants, each in a forked child in which one module is the mutant's.

    .venv/bin/python -m tests.mutation.run            # all of protocol/attestation
    .venv/bin/python -m tests.mutation.run tdx/verifier.py snp/verifier.py:98    # some files, some lines

A mutant lives when all tests pass with it: a check that nothing tests.
"""

import importlib.abc
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.mutation.mutants import Mutant, mutants
from tests.paths import ROOT

PACKAGE = ROOT / "protocol" / "attestation"
TESTS = ROOT / "tests" / "protocol" / "attestation"
LIMIT_S = 300
"""A mutant that hangs is a mutant that is noticed."""

ORDER = (
    "snp/test_report.py",
    "snp/test_chain.py",
    "snp/test_verifier.py",
    "snp/test_policy.py",
    "tdx/test_policy.py",
    "tdx/test_verifier.py",
    "test_verdict.py",
    "test_simulated.py",
    "test_saved.py",
    "policy/test_file.py",
    "test_report_data.py",
    "test_chip.py",
)
OWN = {
    "checks.py": "tdx/test_policy.py",
    "policy/draft.py": "test_saved.py",
    "policy/model.py": "policy/test_file.py",
    "policy/policy.py": "test_verdict.py",
    "profile.py": "test_verdict.py",
    "tdx/events.py": "tdx/test_policy.py",
    "tdx/quote.py": "tdx/test_verifier.py",
}
"""The tests of a module where their names differ."""


def _name(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def _dotted(file: Path) -> str:
    return _name(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


class MutantFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the mutant where its module is asked for."""

    def __init__(self, mutant: Mutant | None) -> None:
        self._mutant = mutant
        self._name = f"trustedpods.protocol.attestation.{_dotted(mutant.file)}" if mutant else ""

    def find_spec(self, fullname, path, target=None):
        if fullname != self._name:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=str(self._mutant.file))

    def exec_module(self, module):
        module.__file__ = str(self._mutant.file)
        exec(compile(self._mutant.source, str(self._mutant.file), "exec"), module.__dict__)


def selection(mutant: Mutant | None) -> list[str]:
    """Test files, those of the mutated module first."""
    first = ""
    if mutant:
        own = mutant.file.with_name(f"test_{mutant.file.name}")
        first = OWN.get(_name(mutant.file), _name(own))
    ordered = sorted(ORDER, key=lambda name: (name != first, ORDER.index(name)))
    return [str(TESTS / name) for name in ordered]


def preload() -> None:
    """What every child needs and no mutant changes; RSA keys take longest to make."""
    import dcap_qvl  # noqa: F401
    import hypothesis
    import pydantic  # noqa: F401
    from cryptography.hazmat.primitives.asymmetric import rsa

    import trustedpods.protocol.codec
    import trustedpods.protocol.sealing.hpke  # noqa: F401

    pool = [rsa.generate_private_key(65537, 2048) for _ in range(40)]
    make = rsa.generate_private_key
    rsa.generate_private_key = lambda public_exponent, key_size: (
        pool.pop() if pool and key_size == 2048 else make(public_exponent, key_size)
    )
    hypothesis.settings.register_profile("mutation", max_examples=20, database=None, deadline=None)
    hypothesis.settings.load_profile("mutation")


def survives(mutant: Mutant | None) -> bool:
    """All tests pass (in this process, which is a child)."""
    import pytest

    sys.meta_path.insert(0, MutantFinder(mutant))
    arguments = ["-x", "-q", "-n0", "-p", "no:cacheprovider"]
    arguments += ["-W", "ignore::pytest.PytestAssertRewriteWarning", *selection(mutant)]
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    return pytest.main(arguments) == 0


def start(mutant: Mutant | None) -> int:
    """A child that exits with 0 when the mutant survives."""
    child = os.fork()
    if child:
        return child
    code = 2
    try:
        signal.alarm(LIMIT_S)
        code = 0 if survives(mutant) else 1
    finally:
        os._exit(code)


def run(waiting: Sequence[Mutant | None], at_once: int) -> Iterator[tuple[Mutant | None, bool]]:
    """Each mutant with whether it survived, as they end."""
    queue, running = list(reversed(waiting)), {}
    while queue or running:
        while queue and len(running) < at_once:
            mutant = queue.pop()
            running[start(mutant)] = mutant
        child, status = os.wait()
        yield running.pop(child), os.waitstatus_to_exitcode(status) == 0


def all_mutants(files: Sequence[str] = ()) -> list[Mutant]:
    """Of the package, or of the named files (`tdx/verifier.py`) and lines (`tdx/verifier.py:98`)."""
    every = [mutant for file in sorted(PACKAGE.rglob("*.py")) for mutant in mutants(file)]
    return [
        mutant
        for mutant in every
        if not files or {_name(mutant.file), f"{_name(mutant.file)}:{mutant.line}"} & {*files}
    ]


def survivors(files: Sequence[str] = (), at_once: int = 2, say=print) -> list[Mutant]:
    """Those that nothing noticed; AssertionError when the tests fail without any mutant."""
    preload()
    assert all(alive for _, alive in run([None], 1)), "the tests fail as they are"
    found, began = all_mutants(files), time.monotonic()
    lived = []
    for number, (mutant, alive) in enumerate(run(found, at_once), 1):
        if alive and mutant:
            lived.append(mutant)
            say(f"SURVIVED {mutant}")
        if number % 20 == 0:
            say(f"{number} of {len(found)} mutants, {time.monotonic() - began:.0f} s")
    say(f"{len(found)} mutants, {len(lived)} survived, {time.monotonic() - began:.0f} s")
    return lived


if __name__ == "__main__":
    sys.exit(1 if survivors(sys.argv[1:]) else 0)

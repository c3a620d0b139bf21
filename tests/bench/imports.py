# SPDX-License-Identifier: Apache-2.0
"""CPU that a verb takes to start: from the shell to its first question to the chain, which nobody answers.

    python -m tests.bench.imports [--rounds 7] [--beside FOLDER]

FOLDER is a checkout of another commit with its own .venv; its verbs run in turn with ours, and the ratio of
the least CPU times is printed: what else runs on the machine adds to a time, nothing takes away from it. Of
--help the worst verb is printed, beside the other side's `trustedpods --help`.
"""

import argparse
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.paths import ROOT

NOBODY = "http://127.0.0.1:1"
"""tcpmux: no Debian serves it."""

MARKET = f"""
rpc = "{NOBODY}"
chain_id = 31337
payments = "0x00000000000000000000000000000000000000a1"
registry = "0x00000000000000000000000000000000000000a2"
token = "0x00000000000000000000000000000000000000a3"
finality_blocks = 0
"""

VERBS = {
    "list": ("list",),
    "status": ("status", "web"),
    "logs": ("logs", "web"),
    "fund": ("fund", "web", "1"),
    "balance": ("balance",),
    "bill": ("bill", "web"),
    "close": ("close", "web"),
    "provider list": ("provider", "list"),
}
"""Verbs with arguments that ask the chain first."""

ANSWERS = {0, 2, 8}
"""Done; no such verb (in an older commit), which is not compared; nobody answered."""

NO_SUCH_VERB = 2


def cpu_of(command: Sequence[str], home: Path) -> float | None:
    """Seconds of CPU, user and system, of a command and its children; None where it knows no such verb."""
    settings = {
        "HOME": str(home),
        "TRUSTEDPODS_MARKET": str(home / "market.toml"),
        "TRUSTEDPODS_KEY": str(home / "key"),
    }
    process = subprocess.Popen(
        command, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    code = process.returncode = os.waitstatus_to_exitcode(status)
    if code not in ANSWERS:
        raise SystemExit(f"{' '.join(command)}: exit code {code}")
    return None if code == NO_SUCH_VERB else usage.ru_utime + usage.ru_stime


def least(sides: Sequence[Path], words: Sequence[str], rounds: int, home: Path) -> list[float | None]:
    """The least CPU of a verb on each side, in turn."""
    found: list[list[float | None]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, times in zip(sides, found, strict=True):
            times.append(cpu_of((str(side / ".venv/bin/trustedpods"), *words), home))
    return [min((one for one in times if one is not None), default=None) for times in found]


def helped() -> list[tuple[str, ...]]:
    """Every verb, with those of groups."""
    import click

    from trustedpods.publisher.cli import main

    context = click.Context(main)

    def inside(group: click.Group, path: tuple[str, ...]) -> list[tuple[str, ...]]:
        found = []
        for name in group.list_commands(context):
            verb = group.get_command(context, name)
            found.append((*path, name))
            if isinstance(verb, click.Group):
                found += inside(verb, (*path, name))
        return found

    return inside(main, ())


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--beside", type=Path)
    options = parser.parse_args()
    sides = [ROOT] if options.beside is None else [ROOT, options.beside]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "market.toml").write_text(MARKET)
        (home / "key").write_text("11" * 32)
        (home / "key").chmod(0o600)
        print(f"CPU until nobody answers, least of {options.rounds}")
        for name, words in VERBS.items():
            print(f"  {name:16} {_row(least(sides, words, options.rounds, home))}")
        plain = least(sides, ("--help",), options.rounds, home)
        print(f"  {'--help':16} {_row(plain)}")
        slowest = max((least(sides[:1], (*verb, "--help"), 1, home)[0] or 0.0, verb) for verb in helped())
        again = least(sides[:1], (*slowest[1], "--help"), options.rounds, home)[0]
        print(f"  {'VERB --help':16} {_row([again, *plain[1:]])}  ({' '.join(slowest[1])})")


def _row(times: Sequence[float | None]) -> str:
    ours, *beside = times
    assert ours is not None
    if not beside or beside[0] is None:
        return f"{ours * 1000:6.0f} ms"
    return f"{ours * 1000:6.0f} ms  beside {beside[0] * 1000:6.0f} ms  {ours / beside[0]:.2f}x"


if __name__ == "__main__":
    main()

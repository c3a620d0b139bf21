# SPDX-License-Identifier: Apache-2.0
"""Slither finds nothing of high or medium impact that is not explained beside the code.

    python -m tests.contracts.forge.slither_check

An explanation is a `slither-disable-next-line` comment with its reason. Slither lives in a virtual
environment of its own under ~/.cache/trustedpods, made when it is not there. It works on a copy:
it runs `forge clean`, which would wipe our build.

It cannot model OpenZeppelin's transient reentrancy guard ("Impossible to generate IR", three
functions) and goes on without it; what the guard has to do is shown by test_check04.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tests.paths import ROOT

CONTRACTS = ROOT / "contracts"
REQUIREMENTS = CONTRACTS / "slither-requirements.txt"
FORGE = CONTRACTS / "node_modules/@foundry-rs/forge-linux-amd64/bin"
COPY = ROOT / "build" / "slither"
CACHE = Path("~/.cache/trustedpods").expanduser()
REFUSED = ("High", "Medium")


def environment() -> Path:
    """The environment with exactly these requirements."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]
    place = CACHE / f"slither-{digest}"
    if not (place / ".installed").exists():
        venv.create(place, clear=True, with_pip=True)
        install = [place / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--requirement", REQUIREMENTS], check=True)
        (place / ".installed").touch()
    return place


def copied() -> Path:
    """The sources and settings, with our compiler and libraries."""
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(CONTRACTS / "src", COPY / "src")
    for name in ("foundry.toml", "solc-wrapper.js"):
        shutil.copy(CONTRACTS / name, COPY)
    (COPY / "node_modules").symlink_to(CONTRACTS / "node_modules")
    return COPY


def analyse() -> list[dict[str, Any]]:
    """What Slither found, OpenZeppelin's own code left out."""
    folder, answer = copied(), COPY / "findings.json"
    command = [environment() / "bin" / "slither", ".", "--filter-paths", "node_modules", "--json", answer]
    path = f"{FORGE}{os.pathsep}{os.environ['PATH']}"  # the native binary: npm's own always ends with 0
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    if not answer.exists():
        raise click.ClickException(f"slither gave no answer:\n{done.stderr[-2000:]}")
    result = json.loads(answer.read_text())
    if not result["success"] or not result["results"].get("detectors"):
        raise click.ClickException(f"slither did not analyse: {result['error']}")
    findings: list[dict[str, Any]] = result["results"]["detectors"]
    return findings


def refused(findings: list[dict[str, Any]]) -> Iterator[str]:
    """Findings that need an explanation or a mend."""
    for finding in findings:
        if finding["impact"] in REFUSED:
            yield f"{finding['impact']} {finding['check']}: {finding['description'].strip()}"


def main() -> None:
    findings = analyse()
    bad = list(refused(findings))
    for one in bad:
        click.echo(one)
    if bad:
        sys.exit(1)
    click.echo(f"slither: nothing high or medium; {len(findings)} of low impact or informational")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Every line and branch of the contracts is run by a forge test.

    python -m tests.contracts.forge.coverage

Ends with code 1 when one is not and GAPS does not say why. The invariants are left out: what only
they reach by chance would be covered on some days.
"""

import os
import subprocess
import sys
from collections.abc import Iterator

import click

from tests.paths import ROOT

FORGE = ROOT / "contracts/node_modules/@foundry-rs/forge-linux-amd64/bin/forge"
REPORT = ROOT / "build" / "forge-coverage.lcov"
LOOKED_AT = ("src/PodPayments.sol", "src/PodRegistry.sol", "src/Words.sol", "src/UsageProof.sol")

GAPS: dict[str, str] = {}
"""What forge counts wrongly: "file:line" -> why it is the tool's error. None with forge 1.7.1."""


def measure() -> str:
    """Run forge with an output folder of its own: unoptimized code must not take the place of ours."""
    REPORT.parent.mkdir(exist_ok=True)
    folders = {"FOUNDRY_OUT": "../build/coverage/out", "FOUNDRY_CACHE_PATH": "../build/coverage/cache"}
    command = [FORGE, "coverage", "--no-match-contract", "Invariants"]
    subprocess.run(
        [*command, "--report", "lcov", "--report-file", REPORT],
        cwd=ROOT / "contracts",
        env=os.environ | folders,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return REPORT.read_text()


def missed(lcov: str) -> Iterator[str]:
    """Lines ("file:line") and branches ("file:line branch n") that nothing ran; files that are not there."""
    seen = set()
    file = ""
    for row in lcov.splitlines():
        kind, _, rest = row.partition(":")
        if kind == "SF":
            file = rest
            seen.add(file)
        fields = rest.split(",")
        if file not in LOOKED_AT:
            continue
        if kind == "DA" and fields[1] == "0":
            yield f"{file}:{fields[0]}"
        if kind == "BRDA" and fields[3] in ("0", "-"):
            yield f"{file}:{fields[0]} branch {fields[2]}"
    yield from (f"{name}: not measured" for name in LOOKED_AT if name not in seen)


def main() -> None:
    gaps = [one for one in missed(measure()) if one.split(" ")[0] not in GAPS]
    for gap in gaps:
        click.echo(f"not covered: {gap}")
    if gaps:
        sys.exit(1)
    click.echo(f"every line and branch of {', '.join(LOOKED_AT)} is covered")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""The demo's table: one row for each of the fifteen steps, filled as they happen."""

import sys
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from trustedpods.localnet.demo.outside import StepFailed

STEPS = {
    0: "start the client",
    1: "collect the manifest",
    2: "list providers",
    3: "select one",
    4: "open the payment channel",
    5: "send the bundle, sealed",
    6: "create the application",
    7: "confirm",
    8: "a request meets zero pods",
    9: "scale up",
    10: "serve",
    11: "idle: scale down",
    12: "count what was used",
    13: "submit, claim, pay out",
    14: "funds run out: remove",
}
"""What happens in each step of the protocol."""

WIDTH = 150
"""Of the table where nobody looks: log files do not wrap."""


@dataclass(slots=True)
class Steps:
    """What happened so far; a step is told on the way and shown again at the end."""

    facts: dict[int, list[str]] = field(default_factory=dict)

    def happened(self, number: int, *facts: str) -> None:
        """Step *number* was seen to happen, with *facts* from this run."""
        self.facts.setdefault(number, []).extend(facts)
        sys.stderr.write(f"  step {number:2d}  {STEPS[number]}: {'; '.join(facts)}\n")

    def print(self) -> None:
        """The table; StepFailed when a row is missing."""
        table = Table(title="What happened in this run", title_justify="left")
        table.add_column("step", justify="right")
        table.add_column("what", no_wrap=True)
        table.add_column("in this run", overflow="fold")
        for number, what in STEPS.items():
            table.add_row(str(number), what, "\n".join(self.facts.get(number, ["did not happen"])))
        console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
        console.print(table)
        missing = [number for number in STEPS if number not in self.facts]
        if missing:
            raise StepFailed(f"steps that did not happen: {', '.join(map(str, missing))}")

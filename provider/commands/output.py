# SPDX-License-Identifier: Apache-2.0
"""What a verb prints: facts line by line, or a table; the same as JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence

import click

PLAIN_WIDTH = 240
"""Characters of a table that goes to a file or a pipe: a channel's id is 48, and none is folded."""


def show(facts: Mapping[str, object], output: str) -> None:
    """Print facts, one a line."""
    if output == "json":
        click.echo(json.dumps(facts, indent=2))
        return
    # One write: whoever reads the first line only may leave before a second one.
    click.echo("\n".join(f"{name}: {_text(value)}" for name, value in facts.items()))


def show_rows(rows: Sequence[Mapping[str, object]], output: str) -> None:
    """Print a table; every row has the names of the first."""
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("none")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(value)) for value in row.values()))
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    console.print(table)


def print_csv(names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows as RFC 4180 has them, under their *names*; no cell begins a formula of a spreadsheet."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    click.echo(text.getvalue(), nl=False)


def _cell(value: object) -> str:
    text = one_line(str(value))
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def _text(value: object) -> str:
    return "-" if value is None else one_line(str(value))


def one_line(text: str) -> str:
    """One line of printable characters: Kubernetes, pods and peers wrote much of what is shown here."""
    return "".join(
        c if c.isprintable() else " " if c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )

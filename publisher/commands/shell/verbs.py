# SPDX-License-Identifier: Apache-2.0
"""A group whose verbs are imported when one is asked for: a list of them needs no more than their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

_COMMANDS = "trustedpods.publisher.commands"

_AROUND = 6
"""Columns of a list beside name and help, as click counts them."""


@dataclass(frozen=True, slots=True)
class LazyVerb:
    """Where a verb is, `MODULE:NAME` below `publisher.commands`, and the first sentence of its help."""

    place: str
    help: str


class LazyVerbs(click.Group):
    """Verbs by name; *other_words* are what the same is called elsewhere."""

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - click's own
        table: Mapping[str, LazyVerb],
        other_words: Mapping[str, str],
        **settings: Any,  # noqa: ANN401 - click's own
    ) -> None:
        super().__init__(*arguments, **settings)
        self._table = table
        self._other_words = other_words

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb, imported by now; None where there is none of that name."""
        entry = self._table.get(cmd_name)
        if entry is not None and cmd_name not in self.commands:
            module, _, name = entry.place.partition(":")
            self.commands[cmd_name] = getattr(import_module(f"{_COMMANDS}.{module}"), name)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A line for each verb, without importing it."""
        names = self.list_commands(ctx)
        room = formatter.width - _AROUND - max(map(len, names))
        rows = [
            (name, click.Command(name, help=self._table[name].help).get_short_help_str(room))
            for name in names
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb; a usage error with the nearest one otherwise."""
        if args[0] in self._table:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches

        near = get_close_matches(args[0], self._table, 1)
        meant = self._other_words.get(args[0], near[0] if near else None)
        if meant is None:
            return super().resolve_command(ctx, args)
        raise click.UsageError(f"no verb {args[0]!r}; did you mean `{ctx.command_path} {meant}`?", ctx)

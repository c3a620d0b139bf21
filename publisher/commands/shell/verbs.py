# SPDX-License-Identifier: Apache-2.0
"""A group whose verbs are imported when one is asked for: a list of them needs no more than their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Any

import click
from click.exceptions import NoArgsIsHelpError

_COMMANDS = "trustedpods.publisher.commands"

_AROUND = 6
"""Columns of a list beside name and help, as click counts them."""


_WHERE = ("--market", "--key", "--output", "-o")
"""Options of nearly every verb, which people who know other tools write before it."""

_SAID = ("--quiet", "--verbose")
"""The same without a value."""


class WrongWords(click.UsageError):
    """A wrong command line, told as every other error is: one line, and what to do."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it."""
        path = None if self.ctx is None else self.ctx.command_path
        message = self.format_message().strip().removesuffix(".")
        click.echo(f"error: {message}", file=file, err=file is None)
        if path is not None:
            click.echo(f"hint: `{path} --help` shows how it is written", file=file, err=file is None)


def _as_ours(error: click.UsageError) -> click.UsageError:
    """The same error in our words; help that is printed as one stays."""
    if isinstance(error, WrongWords | NoArgsIsHelpError):
        return error
    return WrongWords(error.format_message(), error.ctx)


def _before_verb(words: list[str]) -> int:
    """How many of the first *words* are such options with their values."""
    count = 0
    while count < len(words):
        name, given, _ = words[count].partition("=")
        if words[count] in _SAID:
            count += 1
        elif words[count] in _WHERE and count + 1 < len(words):
            count += 2
        elif given and name in _WHERE:
            count += 1
        else:
            break
    return count


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

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; options of verbs that stand before the verb are read as its own."""
        count = _before_verb(args)
        moved, rest = args[:count], args[count:]
        if not (moved and rest):
            return self._parsed(ctx, args)
        at, verb = 0, self.get_command(ctx, rest[0])
        while isinstance(verb, click.Group) and at + 1 < len(rest) and not rest[at + 1].startswith("-"):
            at, verb = at + 1, verb.get_command(ctx, rest[at + 1])
        return self._parsed(ctx, [*rest[: at + 1], *moved, *rest[at + 1 :]])

    def _parsed(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _as_ours(error) from None

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own
        """As click does; wrong words for a verb are told in our form."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _as_ours(error) from None

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

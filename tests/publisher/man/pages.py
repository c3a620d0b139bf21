# SPDX-License-Identifier: Apache-2.0
"""docs/man and docs/man8: pages for both commands and each of their verbs, drawn from these themselves.

python -m tests.publisher.man.pages     # writes them anew
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from tests.paths import ROOT
from trustedpods.provider.cli import main as provider
from trustedpods.publisher.cli import main as publisher


@dataclass(frozen=True, slots=True)
class Manual:
    """The pages of a command: what it is called, and in which section and folder they stand."""

    command: click.Group
    program: str
    section: int
    folder: Path
    heading: str


CLIENT = Manual(publisher, "trustedpods", 1, ROOT / "docs" / "man", "User Commands")
DAEMON = Manual(provider, "trustedpods-provider", 8, ROOT / "docs" / "man8", "System Administration")
_LITERAL = "\b"
"""What click calls a paragraph whose lines stay as they are."""

_ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}


def pages(manual: Manual) -> dict[str, str]:
    """Text of each page, by the name of its file."""
    root = click.Context(manual.command, info_name=manual.program)
    made = {f"{manual.program}.{manual.section}": _whole(manual, root)}
    for name in manual.command.list_commands(root):
        verb = manual.command.get_command(root, name)
        assert verb is not None
        context = click.Context(verb, root, name)
        body = [*_synopsis(context), *_verb(context), *_below(context)]
        made[f"{manual.program}-{name}.{manual.section}"] = _page(manual, context, body)
    return made


def _whole(manual: Manual, root: click.Context) -> str:
    verbs = []
    for name in manual.command.list_commands(root):
        verb = manual.command.get_command(root, name)
        assert verb is not None
        verbs += [".TP", f".BR {_escaped(f'{manual.program}-{name}')} ({manual.section})", _first(verb)]
    return _page(manual, root, [*_synopsis(root), *_verb(root), ".SH VERBS", *verbs])


def _page(manual: Manual, context: click.Context, body: list[str]) -> str:
    name = context.command_path.replace(" ", "-")
    above = f".BR {_escaped(manual.program)} ({manual.section})"
    others = [] if context.parent is None else [".SH SEE ALSO", above]
    lines = [
        '.\\" SPDX-License-Identifier: Apache-2.0',
        '.\\" drawn from the commands: python -m tests.publisher.man.pages',
        f'.TH {_escaped(name.upper())} {manual.section} "" "Trusted Pods" "{manual.heading}"',
        ".SH NAME",
        f"{_escaped(name)} \\- {_first(context.command).removesuffix('.')}",
        *body,
        *others,
    ]
    return "\n".join(lines) + "\n"


def _synopsis(context: click.Context, heading: str = ".SH SYNOPSIS") -> list[str]:
    pieces = " ".join(context.command.collect_usage_pieces(context))
    return [heading, f".B {_escaped(context.command_path)}", _escaped(pieces)]


def _verb(context: click.Context, level: str = ".SH") -> Iterator[str]:
    """Its text, options and examples."""
    if level == ".SH":
        yield ".SH DESCRIPTION"
    yield from _text(context.command.help or "")
    records = [
        record
        for parameter in context.command.get_params(context)
        if (record := parameter.get_help_record(context)) is not None and record[1]
    ]
    if level == ".SH":
        yield ".SH OPTIONS"
    for words, what in records:
        yield from (".TP", f".B {_escaped(words)}", _escaped(what))
    if context.command.epilog:
        if level == ".SH":
            yield ".SH NOTES"
        yield from _text(context.command.epilog)


def _below(context: click.Context) -> Iterator[str]:
    """The verbs of a group, and of groups in it."""
    group = context.command
    if not isinstance(group, click.Group):
        return
    if context.parent is not None and context.parent.parent is None:
        yield ".SH VERBS"
    for name in group.list_commands(context):
        verb = group.get_command(context, name)
        assert verb is not None
        inner = click.Context(verb, context, name)
        yield f".SS {_escaped(inner.command_path)}"
        yield from _synopsis(inner, ".PP")
        yield from _verb(inner, ".SS")
        yield from _below(inner)


def _first(verb: click.Command) -> str:
    return _escaped(verb.get_short_help_str(1000))


def _text(text: str) -> Iterator[str]:
    """Paragraphs; those that click leaves as they are stay so."""
    for paragraph in inspect.cleandoc(text.replace(_LITERAL + "\n", _LITERAL)).split("\n\n"):
        yield ".PP"
        lines = paragraph.replace(_LITERAL, "").splitlines()
        if _LITERAL in paragraph:
            yield from (".nf", *map(_escaped, lines), ".fi")
        else:
            yield _escaped(" ".join(line.strip() for line in lines))


def _escaped(text: str) -> str:
    """As roff prints it letter by letter; a line that would be a request is none."""
    made = "".join(
        _ESCAPES.get(letter, letter if letter.isascii() else f"\\[u{ord(letter):04X}]") for letter in text
    )
    return f"\\&{made}" if made.startswith((".", "\\(aq")) else made


def write() -> None:
    """Write all pages, and take away those of verbs that are gone."""
    for manual in (CLIENT, DAEMON):
        made = pages(manual)
        manual.folder.mkdir(exist_ok=True)
        for old in manual.folder.glob(f"*.{manual.section}"):
            if old.name not in made:
                old.unlink()
        for name, text in made.items():
            (manual.folder / name).write_text(text)


if __name__ == "__main__":
    write()

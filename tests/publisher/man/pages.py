# SPDX-License-Identifier: Apache-2.0
"""docs/man: a page for `trustedpods` and for each of its verbs, drawn from the commands themselves.

python -m tests.publisher.man.pages     # writes them anew
"""

import inspect
from collections.abc import Iterator

import click

from tests.paths import ROOT
from trustedpods.publisher.cli import main as command

FOLDER = ROOT / "docs" / "man"
PROGRAM = "trustedpods"
_LITERAL = "\b"
"""What click calls a paragraph whose lines stay as they are."""

_ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}


def pages() -> dict[str, str]:
    """Text of each page, by the name of its file."""
    root = click.Context(command, info_name=PROGRAM)
    made = {f"{PROGRAM}.1": _whole(root)}
    for name in command.list_commands(root):
        verb = command.get_command(root, name)
        assert verb is not None
        context = click.Context(verb, root, name)
        made[f"{PROGRAM}-{name}.1"] = _page(context, [*_synopsis(context), *_verb(context), *_below(context)])
    return made


def _whole(root: click.Context) -> str:
    verbs = []
    for name in command.list_commands(root):
        verb = command.get_command(root, name)
        assert verb is not None
        verbs += [".TP", f".BR {_escaped(f'{PROGRAM}-{name}')} (1)", _first(verb)]
    return _page(root, [*_synopsis(root), *_verb(root), ".SH VERBS", *verbs])


def _page(context: click.Context, body: list[str]) -> str:
    name = context.command_path.replace(" ", "-")
    others = [] if context.parent is None else [".SH SEE ALSO", f".BR {PROGRAM} (1)"]
    lines = [
        '.\\" SPDX-License-Identifier: Apache-2.0',
        '.\\" drawn from the commands: python -m tests.publisher.man.pages',
        f'.TH {_escaped(name.upper())} 1 "" "Trusted Pods" "User Commands"',
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
    made = pages()
    for old in FOLDER.glob("*.1"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    write()

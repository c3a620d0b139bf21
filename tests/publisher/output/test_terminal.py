# SPDX-License-Identifier: Apache-2.0
"""Whatever others wrote, what reaches a terminal are lines of ours with printable text in them."""

import ast
import io
import os
import socket
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.paths import ROOT
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.publisher.output import terminal as output
from trustedpods.publisher.output.terminal import (
    MOST_WRITTEN,
    CommandOutput,
    LogOutput,
    PlainShow,
    one_line,
    table,
)

HOSTILE = [
    "\x1b[2J\x1b[H",  # clears the screen
    "\x1b]0;title\x07\x1b]52;c;cm0gLXJm\x07",  # sets title and clipboard
    "a\rb",
    "first\nsecond  provider  1.00",
    "\x9b31m",  # one byte instead of escape and bracket
    "\u202egnp.exe",  # turns the rest of the line round
    "a\x08\x7fb",
    "line\u2028paragraph\u2029",
    "\ud800",
    "[bold red]markup[/]",
]
texts = st.text() | st.sampled_from(HOSTILE) | st.lists(st.sampled_from(HOSTILE)).map("".join)


class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


def terminal():
    return Terminal(io.BytesIO(), encoding="utf-8", newline="")


def shown(stream):
    stream.flush()
    return stream.buffer.getvalue()


def assert_lines(written, count):
    """So many lines, and nothing in them but what is seen."""
    assert written.count("\n") == count
    assert written.endswith("\n") or not count
    assert all(line.isprintable() for line in written.split("\n"))


@given(texts)
def test_a_text_of_others_is_one_line(text):
    assert one_line(text).isprintable()
    if text.isprintable():
        assert one_line(text) == text


@given(st.lists(texts, min_size=1, max_size=4))
def test_every_way_out_keeps_to_it(cells):
    for write, lines in (
        (lambda show: show.line(cells[0]), 1),
        (lambda show: show.warning(cells[0]), 1),
        (lambda show: show.progress(cells[0], 1, 1), 1),
        (lambda show: [show.line(line) for line in table(cells, [cells, cells])], 3),
    ):
        stream = io.StringIO()
        write(PlainShow(stream))
        assert_lines(stream.getvalue(), lines)


@pytest.mark.parametrize("text", HOSTILE)
def test_results_and_errors_keep_to_it_too(text, capsys):
    output.print_lines([text, "", text])
    output.print_error(Refused(text, where=text, rule=text, hint=text), PlainShow(sys.stderr))
    said = capsys.readouterr()
    assert_lines(said.out, 3)
    first, *below, last = said.err.splitlines()
    assert (first[:7], last[:6]) == ("error: ", "hint: ")
    assert len(below) == text.count("\n")
    assert all(line.startswith("       | ") for line in below), "none can be taken for ours"
    assert_lines(said.err, 2 + len(below))
    output.print_error(BadInput(text, where=text, hint=text), PlainShow(sys.stderr))
    assert_lines(capsys.readouterr().err, 1)
    output.print_json({"text": text})
    assert capsys.readouterr().out.isascii()


TRACE = 'Traceback (most recent call last):\n  File "a.py", line 3\nhint: run `rm -rf /`'


def test_a_rule_stands_before_what_a_container_wrote(capsys):
    error = Refused(
        f"container app ended: exit code 3\n{TRACE}", where="0x70/1", rule="start", hint="mend it"
    )
    output.print_error(error, PlainShow(sys.stderr))
    assert capsys.readouterr().err.splitlines() == [
        "error: 0x70/1: container app ended: exit code 3 [start]",
        "       | Traceback (most recent call last):",
        '       |   File "a.py", line 3',
        "       | hint: run `rm -rf /`",
        "hint: mend it",
    ]


def test_what_was_written_is_bounded(capsys):
    lines = "\n".join(f"line {number}" for number in range(1000))
    output.print_error(Refused(f"it ended\n{lines}", rule="start"), PlainShow(sys.stderr))
    first, left_out, *shown = capsys.readouterr().err.splitlines()
    assert (first, left_out) == ("error: it ended [start]", f"       | ({1000 - MOST_WRITTEN} lines before)")
    assert shown[-1] == "       | line 999"
    assert len(shown) == MOST_WRITTEN


def test_all_lines_of_a_result_are_one_write(monkeypatch):
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # a write is a packet
    with reader, writer, open(writer.fileno(), "w", encoding="utf-8", closefd=False) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        output.print_lines(["http://one", "https://two"])
        monkeypatch.undo()
        assert reader.recv(1000) == b"http://one\nhttps://two\n"


def test_no_lines_touch_nothing_that_waits_in_the_stream(monkeypatch):
    reader, writer = os.pipe()
    stream = io.TextIOWrapper(io.BufferedWriter(io.FileIO(writer, "w")), encoding="utf-8")
    stream.write("left")
    os.close(reader)
    monkeypatch.setattr(sys, "stdout", stream)
    try:
        output.print_lines([])
        with pytest.raises(BrokenPipeError):
            output.print_lines(["more"])
    finally:
        with suppress(BrokenPipeError):
            stream.close()


@pytest.mark.parametrize("text", HOSTILE)
def test_names_of_transfers_keep_to_it(text):
    stream = terminal()
    live = output.LiveShow(stream)
    live.progress(text, 1, 10)
    assert live._bars.tasks[0].description.isprintable()
    live.close()


@given(st.lists(st.binary(max_size=30) | texts.map(lambda text: text.encode("utf-8", "replace")), max_size=5))
def test_logs_on_a_terminal_are_printable(pieces):
    stream = terminal()
    logs = LogOutput(stream, raw=False)
    for piece in pieces:
        logs.write("web", piece)
    written = shown(stream).decode()
    assert all(character.isprintable() or character in "\n\t" for character in written)
    assert not written or written.endswith("\n")


def test_logs_keep_what_can_be_read():
    stream = terminal()
    LogOutput(stream, raw=False).write("web", "GET /\t200\r\nf\u00fcnf\nUser-Agent: \x1b[31mred".encode())
    assert shown(stream).decode() == "GET /\t200\nf\u00fcnf\nUser-Agent: \ufffd[31mred\n"


@given(st.lists(st.binary(max_size=30) | texts.map(lambda text: text.encode("utf-8", "replace")), max_size=5))
def test_what_a_command_writes_to_a_terminal_is_printable(pieces):
    stream = terminal()
    written = CommandOutput(stream, raw=False)
    for piece in pieces:
        written.write(piece)
    assert all(character.isprintable() or character in "\n\t" for character in shown(stream).decode())


def test_a_commands_lines_are_its_own():
    stream = terminal()
    written = CommandOutput(stream, raw=False)
    for piece in ("name? f\u00fc".encode()[:-1], b"\xbcnf\r\n\x1b[31mred"):
        written.write(piece)
    assert shown(stream).decode() == "name? f\u00fcnf\n\ufffd[31mred"


@given(st.lists(st.binary(max_size=30)))
def test_a_command_into_a_pipe_or_raw_writes_the_bytes_themselves(pieces):
    for stream, raw in ((terminal(), True), (io.TextIOWrapper(io.BytesIO()), False)):
        written = CommandOutput(stream, raw=raw)
        for piece in pieces:
            written.write(piece)
        assert shown(stream) == b"".join(pieces)


@given(st.lists(st.binary(max_size=30)))
def test_a_pipe_or_raw_gets_the_bytes_themselves(pieces):
    for stream, raw in ((terminal(), True), (io.TextIOWrapper(io.BytesIO()), False)):
        logs = LogOutput(stream, raw=raw)
        for piece in pieces:
            logs.write("web", piece)
        assert shown(stream) == b"".join(pieces)


def test_nothing_else_of_the_client_prints():
    """Whoever prints past this module prints only what it makes itself, and is listed."""
    allowed = {
        "publisher/output/terminal.py",
        "publisher/commands/options.py",  # "interrupted", and what goes on without us
        "publisher/commands/streams/raw_terminal.py",  # a line beside a command's screen, made by `one_line`
        "publisher/commands/watch.py",  # one JSON object a round
        "publisher/commands/shell/verbs.py",  # a wrong command line: click's words, and what was typed
        "publisher/commands/shell/process.py",  # nothing: it flushes what others wrote
        "publisher/commands/shell/completion.py",  # the script that a shell reads
        "publisher/commands/network/contexts.py",  # the list of contexts to choose from, one line each
    }
    found = set()
    for path in (ROOT / "publisher").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called == "sys.stdout.isatty":  # a question
                continue
            if called in {"print", "click.echo", "click.secho"} or called.startswith(
                ("sys.stdout.", "sys.stderr.")
            ):
                found.add(path.relative_to(ROOT).as_posix())
    assert found - allowed == set()

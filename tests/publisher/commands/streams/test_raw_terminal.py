# SPDX-License-Identifier: Apache-2.0
"""A terminal that is handed over is taken back, however it ends; in a process of its own on a real pty."""

import os
import signal
import sys
import termios
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.publisher.commands.streams.pty_process import PtyProcess
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.commands.streams.raw_terminal import RawTerminal

CHILD = Path(__file__).with_name("raw_child.py")


@contextmanager
def pty(what):
    with PtyProcess([sys.executable, str(CHILD), what]) as made:
        made.until(b"before 80x24")
        made.until(b"raw")
        yield made


def test_keys_go_through_and_the_terminal_comes_back():
    with pty("end") as made:
        made.until(b"\r\n[trustedpods: a line]\r\n")
        assert not made.state()[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
        made.type(b"\x03")
        made.until(b" typed b'\\x03'")
        assert made.wait() == 0
        assert made.state() == made.before


def test_the_window_grows():
    with pty("resize") as made:
        made.resize(132, 50)
        made.until(b" now 132x50")


@pytest.mark.parametrize(
    ("what", "number", "code"),
    [
        ("raise", None, 1),
        ("end", signal.SIGTERM, 128 + signal.SIGTERM),
        ("end", signal.SIGHUP, 128 + signal.SIGHUP),
        ("end", signal.SIGINT, 1),
    ],
    ids=["an error", "SIGTERM", "SIGHUP", "SIGINT"],
)
def test_the_terminal_comes_back_whatever_happens(what, number, code):
    with pty(what) as made:
        if number is not None:
            made.until(b"a line")
            os.kill(made.process.pid, number)
        ended = made.wait()
        assert ended == code or (number == signal.SIGINT and ended == -signal.SIGINT)
        assert made.state() == made.before


def test_ctrl_c_is_ours_while_the_provider_is_silent():
    with pty("silent") as made:
        made.until(b"a line")
        made.type(b"\x03")
        made.until(b"KeyboardInterrupt")
        assert made.wait() != 0
        assert made.state() == made.before


def test_no_terminal_is_said(monkeypatch):
    with open(os.devnull) as null:
        monkeypatch.setattr("sys.stdin", null)
        with pytest.raises(BadInput, match="no terminal"):
            RawTerminal()

# SPDX-License-Identifier: Apache-2.0
"""The terminal of this process, handed to a command in a pod and always taken back.

While it is handed over each key goes to the command, Ctrl-C too, and what it writes comes as it is.
"""

import os
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

import trio

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.exec import MAX_SIDE, TerminalSize
from trustedpods.publisher.output.terminal import one_line
from trustedpods.publisher.parallel import open_nursery

if TYPE_CHECKING:
    from trustedpods.publisher.market.silence import SilenceWatch

INTERRUPT = b"\x03"
"""What a keyboard sends for Ctrl-C."""

USUAL = TerminalSize(columns=80, rows=24)
"""Of a terminal that does not know its size."""


class RawTerminal:
    """Standard input as a terminal; BadInput where it is none."""

    def __init__(self) -> None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise BadInput("standard input is no terminal", where="-t", hint="leave -t out")
        self._fd = sys.stdin.fileno()
        self._told = self.size()
        self._changed = trio.Event()
        self._watch: SilenceWatch | None = None

    def size(self) -> TerminalSize:
        """The window's size now."""
        try:
            found = os.get_terminal_size(self._fd)
        except OSError:
            return USUAL
        if not found.columns or not found.lines:
            return USUAL
        return TerminalSize(columns=min(found.columns, MAX_SIDE), rows=min(found.lines, MAX_SIDE))

    async def resized(self) -> TerminalSize:
        """The next size that is another one."""
        while (size := self.size()) == self._told:
            await self._changed.wait()
        self._told = size
        return size

    async def read(self, most: int) -> bytes:
        """What was typed. KeyboardInterrupt for Ctrl-C while the provider is silent: nobody else hears it."""
        await trio.lowlevel.wait_readable(self._fd)
        try:
            typed = os.read(self._fd, most)
        except OSError:
            return b""  # the terminal is gone
        if self._watch is not None and self._watch.silent and INTERRUPT in typed:
            raise KeyboardInterrupt
        return typed

    @asynccontextmanager
    async def entered(self, watch: "SilenceWatch | None") -> AsyncIterator[None]:
        """Hand the terminal over for the block; SystemExit (128 + n) after a signal that ends processes."""
        self._watch = watch
        if watch is not None:
            watch.tell = tell_beside
        told = (signal.SIGWINCH, signal.SIGTERM, signal.SIGHUP)
        with _raw(self._fd), trio.open_signal_receiver(*told) as signals:
            async with open_nursery() as nursery:
                nursery.start_soon(self._heed, signals)
                yield
                nursery.cancel_scope.cancel()

    async def _heed(self, signals: AsyncIterator[int]) -> None:
        async for number in signals:
            if number != signal.SIGWINCH:
                raise SystemExit(128 + number)
            self._changed.set()
            self._changed = trio.Event()


def tell_beside(text: str) -> None:
    """A line beside what a command shows, on a terminal whose line ends are the command's."""
    sys.stderr.write(f"\r\n[trustedpods: {one_line(text)}]\r\n")
    sys.stderr.flush()


@contextmanager
def _raw(fd: int) -> Iterator[None]:
    """Without echo, lines and signals of its own; as before afterwards, whatever happens."""
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd, termios.TCSANOW)
        yield
    finally:
        with suppress(termios.error):  # of a terminal that is gone
            termios.tcsetattr(fd, termios.TCSANOW, before)  # waits for nobody who reads what was written

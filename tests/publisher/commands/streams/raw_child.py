# SPDX-License-Identifier: Apache-2.0
"""A process that hands its terminal over, and then does what its first word says."""

import signal
import sys
from types import SimpleNamespace

import trio

from trustedpods.publisher.commands.streams.raw_terminal import RawTerminal


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


async def main(what):
    terminal = RawTerminal()
    watch = SimpleNamespace(silent=what == "silent", tell=say)
    say(f"before {terminal.size().columns}x{terminal.size().rows}\n")
    async with terminal.entered(watch):
        say("raw")
        if what == "raise":
            raise RuntimeError("as a test asked")
        if what == "resize":
            size = await terminal.resized()
            say(f" now {size.columns}x{size.rows}")
        watch.tell("a line")
        typed = await terminal.read(100)
        say(f" typed {typed!r}")
    say(" after")


signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started all of this aside
trio.run(main, sys.argv[1])

# SPDX-License-Identifier: Apache-2.0
"""A process on a terminal of its own, and the person before it."""

import fcntl
import os
import struct
import subprocess
import sys
import termios
import time

LIMIT_S = 120.0

TAKE = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""The new session's terminal becomes the one that it is started on: its window's signals go there."""


class PtyProcess:
    """A terminal of 80 columns with a process on it; `shown` is what stands there so far."""

    def __init__(self, argv, **more):
        self.leader, self._follower = os.openpty()
        os.set_blocking(self.leader, False)
        self.resize(80, 24)
        self.before = self.state()
        self.shown = b""
        end = self._follower
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE, *argv],
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
            **more,
        )

    def resize(self, columns, rows):
        """The window becomes so large."""
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def state(self):
        """The terminal's settings."""
        return termios.tcgetattr(self._follower)

    def type(self, data):
        """Keys that are pressed."""
        os.write(self.leader, data)

    def until(self, text, behind=0):
        """Wait until *text* is shown *behind* so many bytes; where it ends."""
        end = time.monotonic() + LIMIT_S
        while text not in self.shown[behind:]:
            assert time.monotonic() < end, f"{text!r} is not in {self.shown!r}"
            try:
                self.shown += os.read(self.leader, 4096)
            except BlockingIOError:
                time.sleep(0.01)
        return behind + self.shown[behind:].index(text) + len(text)

    def wait(self):
        """Its exit code."""
        return self.process.wait(LIMIT_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.leader)
        os.close(self._follower)

# SPDX-License-Identifier: Apache-2.0
"""A program has ended when its run has, however that ends, and its progress is told."""

import os
import signal
import subprocess
import sys
import time

import pytest
import trio

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.images.local.running import MAX_TOLD, Growing, run_program
from trustedpods.publisher.images.opening import Silent


class ImageTold(Silent):
    def __init__(self):
        self.bars = []

    def progress(self, name, done, total):
        self.bars.append((name, done, total))


def has_ended(file):
    try:
        os.kill(int(file.read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def test_what_it_writes_comes_back_and_what_it_saves_is_told(tmp_path):
    told, out = ImageTold(), tmp_path / "out"
    script = f"echo said; printf 12345 > {out}; sleep 0.5; printf 67890 >> {out}"
    assert run_program(("/bin/sh", "-c", script), 30, told, Growing(out, "app")) == "said"
    assert told.bars[-1] == ("app", 10, 10)
    assert told.bars[0] == ("app", 5, 6)


def test_one_that_does_not_end_is_ended(tmp_path):
    pid = tmp_path / "pid"
    with pytest.raises(BadInput, match="sh did not finish in 1 s"):
        run_program(("/bin/sh", "-c", f"echo $$ > {pid}; exec sleep 60"), 1, Silent())
    assert has_ended(pid)


@pytest.mark.parametrize("own", ["", "trap '' TERM; "], ids=["told", "killed"])
def test_what_it_started_is_ended_with_it(tmp_path, own):
    pid = tmp_path / "pid"
    child = f"{own}echo $$ > {pid}; while :; do sleep 0.1; done"
    with pytest.raises(BadInput, match="sh did not finish in 1 s"):
        run_program(("/bin/sh", "-c", '/bin/sh -c "$0" & exec sleep 60', child), 1, Silent())
    assert has_ended(pid)


class Pressing(Silent):
    """Ctrl-C, once the program has written something."""

    def progress(self, name, done, total):
        if done:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_it(tmp_path):
    pid = tmp_path / "pid"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    script = f"echo $$ > {pid}; exec sleep 60"
    try:
        with pytest.raises(KeyboardInterrupt):
            run_program(("/bin/sh", "-c", script), 60, Pressing(), Growing(pid, "pid"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert has_ended(pid)


OUR_RUN = """
import functools, os, signal, sys
import trio
from trustedpods.publisher.commands import interrupts
from trustedpods.publisher.images.local.running import run_program
from trustedpods.publisher.images.opening import Silent

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may have had it ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
how, terminal, pid = sys.argv[1:]
os.open(terminal, os.O_RDWR)  # it becomes ours: we lead a session
line = f"trap '' HUP INT; echo $$ > {pid}.draft; mv {pid}.draft {pid}; while :; do sleep 0.1; done"
run = functools.partial(run_program, ("/bin/sh", "-c", line), 60, Silent())
if how == "thread":
    async def work():
        await trio.to_thread.run_sync(run)
    interrupts.run(work)
else:
    run()
"""


class OurRun:
    """A process of ours that waits for a program, at a terminal of its own."""

    def __init__(self, how, pid):
        self.terminal, other = os.openpty()
        argv = [sys.executable, "-c", OUR_RUN, how, os.ttyname(other), str(pid)]
        self.process = subprocess.Popen(argv, start_new_session=True, stderr=subprocess.PIPE)
        self.pid = pid
        until(pid.exists)
        os.close(other)

    def hang_up(self):
        os.close(self.terminal)

    def has_ended(self):
        self.process.communicate(timeout=20)
        until(lambda: has_ended(self.pid))
        return True


def until(happened, seconds=20):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("how", ["plain", "thread"])
def test_a_terminal_that_is_closed_ends_it(how, tmp_path):
    ours = OurRun(how, tmp_path / "pid")
    ours.hang_up()
    assert ours.has_ended()


@pytest.mark.parametrize("how", ["plain", "thread"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_that_ends_us_ends_it(how, number, tmp_path):
    ours = OurRun(how, tmp_path / "pid")
    ours.process.send_signal(number)
    assert ours.has_ended()
    ours.hang_up()


@pytest.mark.parametrize("how", ["plain", "thread"])
def test_the_first_ctrl_c_at_the_terminal_ends_both(how, tmp_path):
    ours = OurRun(how, tmp_path / "pid")
    os.write(ours.terminal, b"\x03")
    assert ours.has_ended()
    ours.hang_up()


async def test_who_waits_for_its_thread_and_is_cancelled_is_so_at_once(tmp_path):
    pid = tmp_path / "pid"
    line = f"echo $$ > {pid}; exec sleep 60"
    with trio.CancelScope() as scope:

        class Cancelling(Silent):
            def progress(self, name, done, total):
                if done:
                    trio.from_thread.run_sync(scope.cancel)

        growing = Growing(pid, "pid")
        await trio.to_thread.run_sync(run_program, ("/bin/sh", "-c", line), 60, Cancelling(), growing)
    assert scope.cancelled_caught
    assert has_ended(pid)


def test_of_much_that_it_says_the_end_is_read():
    script = "i=0; while [ $i -lt 20000 ]; do echo line; i=$((i+1)); done; echo last"
    said = run_program(("/bin/sh", "-c", script), 60, Silent())
    assert len(said) <= MAX_TOLD
    assert said.endswith("last")


def test_one_that_says_nothing_and_one_that_is_none():
    with pytest.raises(BadInput, match=r"^sh: failed \(3\)$"):
        run_program(("/bin/sh", "-c", "exit 3"), 60, Silent())
    with pytest.raises(BadInput, match="cannot be run"):
        run_program(("/nonexistent",), 60, Silent())

# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C in a real process: kept until the verb waits, and a second one is not kept at all."""

import signal
import subprocess
import sys

import pytest

from trustedpods.publisher.commands.options import INTERRUPTED

VERB = """
import signal, sys, time
import trio
from trustedpods.publisher.commands.options import Common, Run

class Loses:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)  # Python prints and forgets what is raised here

async def swallowed():
    try:
        signal.raise_signal(signal.SIGINT)
        sum(range(1000))
    except BaseException:
        pass  # as any library may
    await trio.lowlevel.checkpoint()
    print("went on", flush=True)

async def in_a_finalizer():
    Loses()
    await trio.lowlevel.checkpoint()
    print("went on", flush=True)

async def in_a_thread():
    await trio.to_thread.run_sync(lambda: signal.pthread_kill(main, signal.SIGINT))
    await trio.sleep(60)
    print("went on", flush=True)

async def never_waits():
    print("busy", flush=True)
    while True:
        try:
            sum(range(10_000))
        except BaseException:
            pass

async def waits():
    print("busy", flush=True)
    await trio.sleep(60)

import threading
main = threading.main_thread().ident
run = Run(Common(None, None))
run.journal.if_interrupted = "what goes on"
run.finish(globals()[sys.argv[1]], lambda _: ["done"])
"""


def start(how: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", VERB, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("how", ["swallowed", "in_a_finalizer", "in_a_thread"])
def test_the_first_is_never_lost(how: str) -> None:
    process = start(how)
    printed, said = process.communicate(timeout=30)
    assert (process.returncode, printed) == (INTERRUPTED, ""), said
    assert said.endswith("interrupted\nhint: what goes on\n")
    assert "Traceback" not in said


def test_a_verb_that_waits_ends_with_the_first() -> None:
    process = start("waits")
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, "interrupted" in said) == (INTERRUPTED, True)


def test_code_that_never_waits_ends_with_the_second() -> None:
    process = start("never_waits")
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)  # the first one waits for a checkpoint that never comes
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT  # a shell shows 130


def test_work_that_waits_without_trio_ends_at_once():
    code = """
import time
from trustedpods.publisher.commands.options import Common, Run

run = Run(Common(None, None))

async def work():
    with run.opening():
        try:
            print("busy", flush=True)
            time.sleep(60)
        finally:
            print("tidied", flush=True)

run.finish(work, lambda _: ["done"])
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "busy\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[0] == "tidied\n"
    assert process.returncode == INTERRUPTED

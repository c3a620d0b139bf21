# SPDX-License-Identifier: Apache-2.0
"""Terminals and connections to a pod that runs, as a person has them."""

import json
import logging
import random
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import IO

import pytest

from tests.live.clients.publisher import COMMANDS, Deployed, Json, Publisher
from tests.live.commands import running as commands
from tests.live.commands.test_exec import awake
from tests.live.conftest import unique
from tests.live.observers.waiting import until
from tests.publisher.commands.streams.pty_process import PtyProcess
from tests.publisher.verbs.streams.test_archives import files

pytestmark = pytest.mark.live

LOGGER = logging.getLogger(__name__)

TRUSTEDPODS = str(COMMANDS / "trustedpods")

ROUNDS = 7

PROMPT_S = 1.0
"""The aim is 0.3 s on a machine that does nothing else (docs/benchmarks.md); tests run beside others, and
where a session itself takes longer than this, a prompt may take twice that."""


@pytest.fixture(scope="module")
def pod(publisher: Publisher) -> Deployed:
    return publisher.deploy(publisher.manifest("hello", unique("streams"), awake))


def terminal(publisher: Publisher, name: str, *words: str) -> PtyProcess:
    argv = [TRUSTEDPODS, "exec", "-it", name, "--", *words]
    return PtyProcess(argv, env=publisher.environment(), cwd=publisher.folder)


def said(publisher: Publisher, *words: str) -> "subprocess.CompletedProcess[str]":
    """How the command ended, run as it is."""
    argv = [TRUSTEDPODS, *words]
    environment = publisher.environment()
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=300, check=False)


@contextmanager
def forwarded(publisher: Publisher, name: str, *ports: str) -> Iterator[list[str]]:
    """Addresses of *ports* here, while the verb runs."""
    argv = [TRUSTEDPODS, "port-forward", name, *ports]
    environment = publisher.environment()
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for port in ports if not port.startswith("-")]
            yield [line.split(" -> ")[0] for line in lines]
        finally:
            process.kill()


def test_a_shell_on_a_terminal_that_grows(publisher: Publisher, pod: Deployed) -> None:
    with terminal(publisher, pod.name, "sh") as shell:
        shell.until(b"$ ")
        shell.type(b"tty; stty size\r")
        shown = shell.until(b"24 80\r\n", shell.until(b"/dev/pts/"))
        shell.resize(132, 50)
        until("the window grew", lambda: _size(shell, b"50 132\r\n", shown))
        shell.type(b"echo u''p; sleep 1000; echo not reached\r")
        shown = shell.until(b"\nup\r\n", shown)  # only now the shell has given the terminal away
        shell.type(b"\x03")
        shell.type(b"echo still $((40 + 2))\r")
        shell.until(b"still 42\r\n", shown)
        shell.type(b"exit 7\r")
        assert shell.wait() == 7
        assert shell.state() == shell.before


def test_a_prompt_comes_soon_after_the_session(publisher: Publisher, pod: Deployed) -> None:
    """Of each the least of several: what else runs adds to a time, nothing takes away from it."""
    sessions, prompts = [], []
    for _ in range(ROUNDS):
        began = time.monotonic()
        assert said(publisher, "status", pod.name).returncode == 0
        sessions.append(time.monotonic() - began)
        began = time.monotonic()
        with terminal(publisher, pod.name, "sh") as shell:
            shell.until(b"$ ")
            prompts.append(time.monotonic() - began)
            shell.type(b"exit\r")
            assert shell.wait() == 0
    late = min(prompts) - min(sessions)
    LOGGER.info("session %.2f s, prompt %.2f s: %.2f s later", min(sessions), min(prompts), late)
    assert late <= max(PROMPT_S, min(sessions)), (sessions, prompts)


def _size(shell: PtyProcess, wanted: bytes, behind: int) -> bool:
    """Asks for the size once more; the mark is not in what was typed."""
    shell.type(b"stty size; echo e''nd\r")
    behind = shell.until(b"\nend\r\n", behind + len(shell.shown[behind:]))
    return wanted in shell.shown[:behind]


def test_a_terminal_that_is_killed_leaves_no_shell(publisher: Publisher, pod: Deployed) -> None:
    with terminal(publisher, pod.name, "sh", "-i") as shell:
        shell.until(b"$ ")
        assert b"sh -i" in commands.check(publisher, pod.name, "--", "ps")
        shell.process.kill()
    until("the shell ended", lambda: b"sh -i" not in commands.check(publisher, pod.name, "--", "ps"))


def test_a_terminal_is_taken_back_when_the_command_is_not_there(publisher: Publisher, pod: Deployed) -> None:
    with terminal(publisher, pod.name, "no-such-program") as shell:
        shell.until(b"[exec-start]")
        assert shell.wait() == 246
        assert shell.state() == shell.before


def test_a_forwarded_port_serves_http_to_several_at_once(publisher: Publisher, pod: Deployed) -> None:
    with forwarded(publisher, pod.name, ":8080") as [address]:
        host, _, port = address.partition(":")
        assert host == "127.0.0.1"

        def get(_: int) -> bytes:
            with urllib.request.urlopen(f"http://{address}/", timeout=60) as answer:
                return bytes(answer.read())

        with socket.create_connection((host, int(port)), timeout=60) as idle:
            idle.sendall(b"GET / HTTP/1.0\r\n")
            with ThreadPoolExecutor(2) as both:
                first, second = both.map(get, range(2))
            assert first == second
            idle.sendall(b"\r\n")
            idle.shutdown(socket.SHUT_WR)
            answered = b""
            while piece := idle.recv(65536):
                answered += piece
            assert answered.startswith(b"HTTP/1.")
            assert answered.endswith(first)


def test_a_service_by_its_name_and_a_port_that_is_not_declared(publisher: Publisher, pod: Deployed) -> None:
    with (
        forwarded(publisher, pod.name, "--service=web", ":80") as [address],
        urllib.request.urlopen(f"http://{address}/", timeout=60) as answer,
    ):
        assert answer.status == 200
    refused = said(publisher, "port-forward", pod.name, ":9999")
    assert (refused.returncode, "[forward-port]" in refused.stderr) == (6, True)


def test_a_folder_there_and_back(publisher: Publisher, pod: Deployed, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "bytes").write_bytes(random.Random(7).randbytes(3_000_000))
    (source / "run").write_text("#!/bin/sh")
    (source / "run").chmod(0o755)
    (source / "link").symlink_to("deep/bytes")
    for words in ((str(source), f"{pod.name}:/tmp/"), (f"{pod.name}:/tmp/source", str(tmp_path / "back"))):
        copied = said(publisher, "cp", *words)
        assert copied.returncode == 0, copied.stderr
    assert files(tmp_path / "back") == files(source)
    missing = said(publisher, "cp", f"{pod.name}:/nothing", str(tmp_path / "nothing"))
    assert (missing.returncode, "[copy]" in missing.stderr) == (6, True)


def test_lines_are_followed_over_a_restart_until_ctrl_c(publisher: Publisher, pod: Deployed) -> None:
    argv = [TRUSTEDPODS, "logs", pod.name, "-f", "--tail", "0", "-o", "json"]
    environment = publisher.environment()
    with subprocess.Popen(
        argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            lines = Lines(process)
            before = lines.until_told(publisher, pod.name, "before")
            assert publisher.run("restart", pod.name).code == 0
            after = lines.until_told(publisher, pod.name, "after")
            assert (before["container"], before["replica"] != after["replica"]) == ("hello", True)
            assert before["time"] < after["time"]
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()
    plain = said(publisher, "logs", pod.name, "--since", "1h")
    assert (plain.returncode, "after" in plain.stdout) == (0, True), plain.stderr


class Lines:
    """What a follower prints, a JSON object a line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.found: list[Json] = []
        Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.found.append(json.loads(line))

    def until_told(self, publisher: Publisher, name: str, word: str) -> Json:
        """The line of *word*, which the pod's program is made to write until it is seen."""

        def seen() -> list[Json]:
            commands.check(publisher, name, "--", "sh", "-c", f"echo {word} > /proc/1/fd/1")
            return [line for line in self.found if line["text"] == word]

        return until(f"{word} is followed", seen)[0]


def test_the_history_tells_of_both(publisher: Publisher, pod: Deployed) -> None:
    events = publisher.run("status", pod.name).json["pod_events"]
    told = [event["text"] for event in events if event["reason"] in ("exec", "forward")]
    assert any(text.startswith("a command on a terminal") for text in told)
    assert "a port-forward to port 8080 started" in told

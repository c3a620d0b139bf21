# SPDX-License-Identifier: Apache-2.0
"""Starting a part's process, finding it again after a crash of the supervisor, waiting for its end."""

import contextlib
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import trio

from trustedpods.localnet.processes.fd_store import FdStore
from trustedpods.localnet.processes.units import Part
from trustedpods.provider.facade.activator.socket_activation import FIRST_DESCRIPTOR

MAX_LOG_BYTES = 16 * 1024 * 1024
"""A log file is cut when it is longer; the part before the cut is kept as FILE.1."""

_STOP_LIMIT_S = 5.0


@dataclass(slots=True)
class Running:
    """A process of ours, started by this supervisor or by one before it."""

    pid: int
    started: int

    async def ended(self) -> str:
        """Wait for its end; returns how it ended, as far as that can be known."""
        descriptor = self._open()
        if descriptor is not None:
            try:
                await trio.lowlevel.wait_readable(descriptor)
            finally:
                os.close(descriptor)
        return _reap(self.pid)

    async def stop(self) -> None:
        """Ask it to end, then make it; returns when it has ended."""
        self._send(signal.SIGTERM)
        with trio.move_on_after(_STOP_LIMIT_S) as limit:
            await self.ended()
        if limit.cancelled_caught:
            self._send(signal.SIGKILL)
            await self.ended()

    def _open(self) -> int | None:
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if start_time(self.pid) == self.started:
            return descriptor
        os.close(descriptor)
        return None

    def _send(self, number: signal.Signals) -> None:
        descriptor = self._open()
        if descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            os.close(descriptor)


def _reap(pid: int) -> str:
    """How a process that has ended did so; of one that is not our child that cannot be known."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return "ended"
    code = os.waitstatus_to_exitcode(status)
    return f"killed by signal {-code}" if code < 0 else f"ended with code {code}"


def start(part: Part, log: Path, kept: FdStore | None = None) -> Running:
    """Start the part in a session of its own; its output is appended to *log*, and it gets what is *kept*."""
    log.parent.mkdir(parents=True, exist_ok=True)
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    descriptors = [] if kept is None else kept.descriptors()
    try:
        pid = os.posix_spawnp(
            part.argv[0],
            part.argv,
            {**os.environ, **part.env, **({} if kept is None else kept.environment)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o640),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *(
                    (os.POSIX_SPAWN_DUP2, have, want)
                    for want, have in enumerate(descriptors, FIRST_DESCRIPTOR)
                ),
            ],
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them; a child would inherit that
        )
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return Running(pid, start_time(pid) or 0)


def find(pid: int | None, started: int | None) -> Running | None:
    """The process of that pid and start time, if it still runs."""
    if pid is None or started is None or start_time(pid) != started:
        return None
    return Running(pid, started)


def start_time(pid: int) -> int | None:
    """Clock ticks between boot and the start of the process; none when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] == "Z" else int(fields[19])


def end_session(pid: int, started: int) -> None:
    """Kill a part with all that it started, if it still runs: a part leads a session of its own."""
    if start_time(pid) != started:
        return
    for number in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(number) == pid:
                os.kill(number, signal.SIGKILL)


def cut_log(log: Path) -> None:
    """Keep a log file bounded. Its writer appends, so it goes on at the new end."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > MAX_LOG_BYTES:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
            os.truncate(log, 0)


def last_line(log: Path, limit: int = 4096) -> str:
    """The last line in a log file that is not empty; a hint together with what it is about."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - limit))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    words = [line.strip() for line in lines[-2:]]
    return " ".join(words if words and words[-1].startswith("hint:") else words[-1:])
